"""What may be said over a WebSocket: one JSON object a message, strictly read."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from pushlane.api.problems import Problem, invalid
from pushlane.api.strict import decode, read_json
from pushlane.model.commands import Reason
from pushlane.model.ids import IdempotencyKey, Identifier
from pushlane.model.live import StreamKind

MESSAGE_BYTES_MAX: Final = 32 * 1024

Ref = Annotated[str, Meta(max_length=128)]


class _Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ref` comes back with the answer."""

    ref: Ref | None = None


class SubscribeMessage(_Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Post everything of the stream after the sequence `after`, from now on. `id`: of the task, workflow or tenant."""

    action: Literal["subscribe"]
    stream: StreamKind
    id: Identifier
    after: Annotated[int, Meta(ge=0, le=2**52)] = 0


class UnsubscribeMessage(_Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No more of this stream."""

    action: Literal["unsubscribe"]
    stream: StreamKind
    id: Identifier


class SignalMessage(_Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tell a task something: an answer, an interrupt, new instructions."""

    action: Literal["signal"]
    task_id: Identifier
    name: Identifier
    data: dict[str, Any] = {}
    signal_id: IdempotencyKey | None = None


class CancelMessage(_Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a task."""

    action: Literal["cancel"]
    task_id: Identifier
    reason: Reason | None = None


class PingMessage(_Message, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Is anybody there? It also keeps a connection open that is idle otherwise (API Gateway closes it in 10 min)."""

    action: Literal["ping"]


Message = SubscribeMessage | UnsubscribeMessage | SignalMessage | CancelMessage | PingMessage
_KINDS: Final[Mapping[str, type[Message]]] = {
    "subscribe": SubscribeMessage,
    "unsubscribe": UnsubscribeMessage,
    "signal": SignalMessage,
    "cancel": CancelMessage,
    "ping": PingMessage,
}


def message_of(raw: bytes) -> Message:
    """The message; raises the problem that names the field."""
    if len(raw) > MESSAGE_BYTES_MAX:
        raise Problem(413, "too-large", f"the message has {len(raw)} bytes; at most {MESSAGE_BYTES_MAX} are taken here")
    said = read_json(raw)
    action = said.get("action") if isinstance(said, dict) else None
    kind = _KINDS.get(action) if isinstance(action, str) else None
    if kind is None:
        raise invalid("$.action", f"is one of {', '.join(_KINDS)}", "unknown_action")
    message: Message = decode(raw, kind)
    return message
