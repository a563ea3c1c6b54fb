"""Requests that reach the store and whose answer is lost on the way back, by botocore's own event hooks."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer = Callable[[AWSPreparedRequest], AWSResponse]


class Body:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def refusal(status: int, code: str) -> Answer:
    """An answer with an error code of DynamoDB."""

    def answer(request: AWSPreparedRequest) -> AWSResponse:
        content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected"}).encode()
        return AWSResponse(request.url, status, HTTPHeaders(), Body(content))

    return answer


def closed(request: AWSPreparedRequest) -> AWSResponse:
    """The connection ends without an answer."""
    raise ConnectionClosedError(endpoint_url=request.url)


def timed_out(request: AWSPreparedRequest) -> AWSResponse:
    """The answer does not come in time."""
    raise ReadTimeoutError(endpoint_url=request.url)


WAYS_TO_LOSE: Final[dict[str, Answer]] = {
    "500": refusal(500, "InternalServerError"),
    "503": refusal(503, "ServiceUnavailable"),
    "in progress": refusal(400, "TransactionInProgressException"),
    "closed": closed,
    "timeout": timed_out,
}


class Answers:
    """Replaces the answers to the first `times` requests of one operation; `reaching` says whether they are sent."""

    def __init__(
        self, client: "DynamoDBClient", operation: str, answer: Answer, *, times: int, reaching: bool = True
    ) -> None:
        self._answer = answer
        self._times = times
        self._reaching = reaching
        self._session = URLLib3Session()
        self.requests: list[dict[str, Any]] = []
        # botocore lets a handler of this event answer in place of the network.
        register: Callable[[str, Callable[..., Any]], None] = client.meta.events.register
        register(f"before-send.dynamodb.{operation}", self._before_send)

    def _before_send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        self.requests.append(json.loads(cast("bytes", request.body)))
        if len(self.requests) > self._times:
            return None
        if self._reaching:
            self._session.send(request)
        return self._answer(request)
