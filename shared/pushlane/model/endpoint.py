"""The endpoint: how an agent's dispatches reach it, and where. Six kinds, one contract."""

from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidEvent
from pushlane.model.target_url import PUBLIC_ONLY, InvalidTarget, TargetRules, target_of

TARGET_CHARACTERS_MAX: Final = 1_024
_LAMBDA_ARN: Final = ":lambda:"
_SNS_ARN: Final = ":sns:"


class EndpointKind(StrEnum):
    """`SQS`: its queue. `LAMBDA`: asynchronous invocations of its function. `SNS`: a topic that it subscribes to.
    `HTTPS`: signed requests to its URL. `WEBSOCKET`: its open connection. `PULL`: nothing is sent, it claims.
    """

    SQS = "sqs"
    LAMBDA = "lambda"
    SNS = "sns"
    HTTPS = "https"
    WEBSOCKET = "websocket"
    PULL = "pull"


# Sent by the courier function, which waits for other people's servers so that no turn has to.
BY_COURIER: Final = frozenset({EndpointKind.HTTPS, EndpointKind.WEBSOCKET})
# What one message to an agent may have, in bytes; above it the dispatch travels by claim check. What the courier sends
# comes in by a queue; a WebSocket frame of API Gateway has 128 KB, and the document stands in an envelope there.
DISPATCH_BYTES_MAX: Final = {
    EndpointKind.SQS: 1_048_576,
    EndpointKind.LAMBDA: 1_048_576,
    EndpointKind.SNS: 262_144,
    EndpointKind.HTTPS: 1_000_000,
    EndpointKind.WEBSOCKET: 120_000,
    EndpointKind.PULL: 256_000,
}


class Endpoint(Struct, frozen=True, kw_only=True):
    """`target`: the queue's URL, the function's or the topic's ARN, the https URL, the connection's id (none while the
    agent is not connected); a pull agent has none.
    """

    kind: EndpointKind = EndpointKind.SQS
    target: str = ""

    @property
    def pushed(self) -> bool:
        """Dispatches are sent to it; one that is not claims them."""
        return self.kind is not EndpointKind.PULL

    @property
    def connected(self) -> bool:
        """There is somewhere to send to."""
        return bool(self.target) or not self.pushed


def sqs(queue_url: str) -> Endpoint:
    """A queue of the agent's own."""
    return Endpoint(kind=EndpointKind.SQS, target=queue_url)


def require_endpoint(endpoint: Endpoint, rules: TargetRules = PUBLIC_ONLY) -> Endpoint:
    """The endpoint; raises `InvalidEvent` that names what does not fit its kind. `rules`: what URLs may be called."""
    kind, target = endpoint.kind, endpoint.target
    reason = None
    if kind is EndpointKind.PULL and target:
        reason = "a pull agent claims its tasks, so it has no target: leave it out"
    elif kind is EndpointKind.LAMBDA and _LAMBDA_ARN not in target:
        reason = "the target of a lambda endpoint is the function's ARN"
    elif kind is EndpointKind.SNS and _SNS_ARN not in target:
        reason = "the target of an sns endpoint is the topic's ARN"
    elif kind is EndpointKind.SQS and not target:
        reason = "the target of an sqs endpoint is the queue's URL"
    elif kind is EndpointKind.HTTPS:
        reason = _not_called(target, rules)
    if reason is not None:
        raise InvalidEvent("$.endpoint.target", reason, "bad_endpoint")
    return endpoint


def _not_called(url: str, rules: TargetRules) -> str | None:
    try:
        target_of(url, rules)
    except InvalidTarget as error:
        return f"the target of an https endpoint is a URL that can be called: {error}"
    return None


class Outbound(Struct, frozen=True, kw_only=True):
    """Router -> courier: deliver this document. `target`: the URL, or the connection's id."""

    kind: EndpointKind
    target: str
    dispatch: dict[str, Any] | msgspec.Raw
    v: int = 1
