"""Where a dead message goes back, and as what: as the same submission that it was, so that a repeat changes nothing."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client.installation import Installation
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace
from pushlane.model.events import HeldRecord
from pushlane.model.ids import ID_PATTERN, intake_queue_of, intake_slot
from pushlane.model.task import Door
from pushlane.ports import Message

_IDENTIFIER: Final = re.compile(ID_PATTERN)
STAYS: Final[Mapping[DeadLetterKind, str]] = {
    DeadLetterKind.CHANGES: "positions in a table's stream, for facts that were not published: the tasks themselves are"
    " as they should be, and nothing can be sent back; discard it when you have looked",
    DeadLetterKind.CALL: "failed calls of a function, and nothing that waits: the sweep runs again within a minute, a"
    " failed deployment is deployed again; discard it when you have looked",
}


class DeadMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a dead-letter queue. `receives`: how often somebody took it. `group`: of a FIFO or fair queue."""

    message_id: str
    body: str
    sent_at_ms: int
    receives: int
    group: str | None = None
    fifo: bool = False


class Back(Struct, frozen=True):
    """One message to send, and the queue that it goes to."""

    queue_url: str
    message: Message


class Stays(Struct, frozen=True):
    """The message cannot go back, and why."""

    reason: str


class StreamRecord(Struct, frozen=True, kw_only=True):
    """One record of the intake stream, with the identity that the router knows it by."""

    source_id: str
    body: bytes


class StreamPosition(Struct, frozen=True, rename="camel"):
    """Which records a stream's mapping gave up, as Lambda tells it."""

    shard_id: str
    start_sequence_number: str
    end_sequence_number: str


class _Destined(Struct, frozen=True):
    batch: StreamPosition = msgspec.field(name="KinesisBatchInfo")


class _Refused(Struct, frozen=True, kw_only=True):
    door: Door
    source_id: str
    body: str
    body_bytes: int
    bound_tenant: str | None = None


ReadStream = Callable[[StreamPosition], Sequence[StreamRecord] | Stays]


def way_back(
    place: DeadLetterPlace, dead: DeadMessage, installation: Installation, read_stream: ReadStream
) -> tuple[Back, ...] | Stays:
    """What to send for a dead message of `place` (several for a piece of a stream), or why it stays there."""
    match place.kind:
        case DeadLetterKind.QUEUE if place.back_to is not None:
            return (Back(place.back_to, _as_it_was(dead)),)
        case DeadLetterKind.INTAKE:
            return (_submission(dead, installation),)
        case DeadLetterKind.QUARANTINE:
            return _refused(dead, installation)
        case DeadLetterKind.STREAM:
            return _of_stream(dead, installation, read_stream)
        case kind:
            return Stays(STAYS.get(kind, "it is not known where it came from; deploy all stacks again"))


def _as_it_was(dead: DeadMessage) -> Message:
    """A FIFO queue would drop what it saw within five minutes: the redrive of this message is one of its own."""
    deduplication_id = f"redrive-{dead.message_id}" if dead.fifo else None
    return Message(dead.body, group=dead.group, deduplication_id=deduplication_id)


def _submission(dead: DeadMessage, installation: Installation) -> Back:
    """Events of the bus and notifications carry their identity. What was sent straight to a queue has that of its
    message, which a new message would not have: it goes to the held queue, which keeps it.
    """
    said = _json(dead.body)
    if isinstance(said, dict) and ("detail-type" in said or said.get("Type") == "Notification"):
        return Back(_intake_queue(installation, dead.body), Message(dead.body, group=dead.group))
    return _kept(installation, Door.SQS, dead.message_id, dead.body.encode(), dead.group)


def _refused(dead: DeadMessage, installation: Installation) -> tuple[Back, ...] | Stays:
    try:
        refused = msgspec.json.decode(dead.body, type=_Refused)
    except msgspec.DecodeError:
        return Stays("no refused submission: a record that could not be read at all; discard it when you have looked")
    body = refused.body.encode()
    if len(body) != refused.body_bytes:
        return Stays(f"only a part of its {refused.body_bytes} bytes was kept: have it submitted again")
    said = _json(refused.body)
    if not isinstance(said, dict):
        return Stays("no JSON object, so it will never be a submission: discard it")
    if _name(said) == "SetPolicy":
        return Stays("a policy, and there may be a newer one: set it with `pushlane policy set`")
    return (_kept(installation, refused.door, refused.source_id, body, _tenant(said), refused.bound_tenant),)


def _of_stream(dead: DeadMessage, installation: Installation, read_stream: ReadStream) -> tuple[Back, ...] | Stays:
    try:
        position = msgspec.json.decode(dead.body, type=_Destined).batch
    except msgspec.DecodeError:
        return Stays("names no records of the stream; discard it when you have looked")
    records = read_stream(position)
    if isinstance(records, Stays):
        return records
    return tuple(_kept(installation, Door.KINESIS, one.source_id, one.body, None) for one in records)


def _kept(
    installation: Installation,
    door: Door,
    source_id: str,
    body: bytes,
    group: str | None,
    bound_tenant: str | None = None,
) -> Back:
    """With the identity that it had at its door. What is no JSON has none to keep: intake refuses it with a reason."""
    text = body.decode(errors="backslashreplace")  # no JSON has such an escape, so what was no UTF-8 stays refused
    said = _json(text)
    if said is None:
        return Back(installation.intake_queue_urls[0], Message(text, group=group))
    record = HeldRecord(door=door, source_id=source_id, body=msgspec.Raw(body), bound_tenant=bound_tenant)
    held = msgspec.json.encode(record).decode()
    return Back(installation.held_queue_url, Message(held, group=group or _tenant(said)))


def _intake_queue(installation: Installation, body: str) -> str:
    """The queue of the tenant that the envelope inside names; without one the first, which costs isolation only."""
    urls = installation.intake_queue_urls
    tenant_id = _tenant(_inner(_json(body)))
    return urls[0] if tenant_id is None else urls[intake_queue_of(intake_slot(tenant_id), len(urls))]


def _inner(outer: Any) -> Any:
    if not isinstance(outer, dict):
        return None
    return outer["detail"] if "detail" in outer else _json(str(outer.get("Message", "")))


def _tenant(envelope: Any) -> str | None:
    data = envelope.get("data") if isinstance(envelope, dict) else None
    tenant_id = data.get("tenant_id") if isinstance(data, dict) else None
    return tenant_id if isinstance(tenant_id, str) and _IDENTIFIER.match(tenant_id) else None


def _name(envelope: Mapping[str, Any]) -> object:
    metadata = envelope.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None


def _json(text: str) -> Any:
    """The value; None for what is no JSON (and for `null`, which is nothing either)."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
