"""What Bedrock says when it does not answer, as the errors that an attempt may end with."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pushlane.agent.errors import Permanent, Throttled
from pushlane.model.errors import PushlaneError

_TOO_MANY_REQUESTS: Final = 429
# A model that is not loaded yet is busy for everybody, and so is a quota that is used up.
_BUSY: Final = frozenset({"ThrottlingException", "ServiceQuotaExceededException", "ModelNotReadyException"})
_INVALID: Final = frozenset({"ValidationException"})
_UNAVAILABLE: Final = frozenset(
    {
        "InternalServerException",
        "ModelErrorException",
        "ModelStreamErrorException",
        "ModelTimeoutException",
        "ServiceUnavailableException",
    }
)


class ModelUnavailable(PushlaneError):
    """Bedrock or its model failed or took too long: the attempt is retried by the task's policy."""


@contextmanager
def refusals_explained(resource: str, retry_after_seconds: float) -> Iterator[None]:
    """Raise `Throttled`, `Permanent` or `ModelUnavailable` for what Bedrock refuses.

    Anything else passes as it is and is retried as well: rights or a model's name may be put right meanwhile, and when
    the retries are used up the task waits among the dead letters until they are.
    """
    from botocore.exceptions import ClientError  # only who has made a client needs the SDK

    try:
        yield
    except ClientError as error:
        explained = _explained(error.response, resource, retry_after_seconds)
        if explained is None:
            raise
        raise explained from error


def _explained(response: Mapping[str, Any], resource: str, retry_after_seconds: float) -> PushlaneError | None:
    said = response.get("Error", {})
    code, metadata = str(said.get("Code", "")), response.get("ResponseMetadata", {})
    # Inside an event stream the same names begin with a small letter.
    name, reason = code[:1].upper() + code[1:], f"Bedrock: {code}: {said.get('Message', '')}"
    if name in _BUSY or metadata.get("HTTPStatusCode") == _TOO_MANY_REQUESTS:
        return Throttled(resource, _asked_seconds(metadata) or retry_after_seconds)
    if name in _INVALID:
        return Permanent(reason)
    return ModelUnavailable(reason) if name in _UNAVAILABLE else None


def _asked_seconds(metadata: Mapping[str, Any]) -> float | None:
    """What a `Retry-After` header asks for, where it gives seconds."""
    try:
        seconds = float(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None
