"""What a failed AWS call means for repeating it."""

from enum import StrEnum
from typing import Final

from botocore.exceptions import (
    ChecksumError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.parsers import ResponseParserError

# All that a sent request can end in. What fails before it is sent (parameters, credentials) is not here.
SendError = (
    ClientError
    | BotocoreConnectionError
    | HTTPClientError
    | ChecksumError
    | IncompleteReadError
    | ResponseStreamingError
    | ResponseParserError
)
SEND_ERRORS: Final[tuple[type[SendError], ...]] = (
    ClientError,
    BotocoreConnectionError,
    HTTPClientError,
    ChecksumError,
    IncompleteReadError,
    ResponseStreamingError,
    ResponseParserError,
)

_BUSY: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttled",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        # A single write met a transaction on its item. Nothing was applied, and botocore does not repeat it.
        "TransactionConflictException",
    }
)
_UNDECIDED: Final = frozenset({"TransactionInProgressException", "RequestTimeout", "RequestTimeoutException"})


class Failure(StrEnum):
    """`BUSY`: not applied, try again. `AMBIGUOUS`: perhaps applied. `REFUSED`: not applied, and never will be."""

    BUSY = "busy"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"


def failure_of(error: SendError) -> Failure:
    """The kind of failure that `error` stands for."""
    if not isinstance(error, ClientError):
        return Failure.AMBIGUOUS
    code = error_code(error)
    if code in _BUSY:
        return Failure.BUSY
    if code in _UNDECIDED or http_status(error) >= 500:
        return Failure.AMBIGUOUS
    return Failure.REFUSED


def error_code(error: SendError) -> str:
    """The service's own code, or the class of an error that is not the service's answer."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "")
    return type(error).__name__


def http_status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
