"""Normalise what comes through any door to one task, or to a rejection that names the field."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from pushlane.model.claim_check import FIELD, INLINE_BYTES_MAX, as_claim_check, claim_prefix
from pushlane.model.commands import COMMANDS, Command, said_name
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import SET_POLICY_DETAIL_TYPE, SUBMIT_DETAIL_TYPE, HeldRecord, SubmitData, SubmitTask
from pushlane.model.ids import ID_PATTERN, digest, keyed_task_id, unkeyed_task_id
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.model.task import Door, Source, Task
from pushlane.model.trace_context import read_xray_header
from pushlane.model.workflow_document import SUBMIT_WORKFLOW, SubmitWorkflow

SOURCE_ID_MAX: Final = 128
REASON_MAX: Final = 500
_HOP_MAX_MS: Final = 24 * 3_600_000
# Refused because nobody proves that the tenant, or the agent, says so; and because another tenant is named.
UNPROVEN: Final = "unproven"
FOREIGN_TENANT: Final = "foreign_tenant"

_NOT_OF_TENANT: Final = frozenset({UNPROVEN, FOREIGN_TENANT})

Said = SubmitTask | SubmitWorkflow | Command

Envelope = TypeVar("Envelope")

_submit_decoder = msgspec.json.Decoder(SubmitTask)
_held_decoder = msgspec.json.Decoder(HeldRecord)
_outer_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNSAID: Final = SubmitData(tenant_id="", task_type="")
_IDENTIFIER: Final = re.compile(ID_PATTERN)
# What may come through any door, and what the ingress bus alone may bring.
_ANYWHERE: Final = frozenset({SUBMIT_DETAIL_TYPE, SUBMIT_WORKFLOW, *COMMANDS})
_OF_THE_BUS: Final = _ANYWHERE | {SET_POLICY_DETAIL_TYPE}
_PATH: Final = re.compile(r" - at (?:`key` in )?`(?P<path>[^`]+)`$")


class Record(Struct, frozen=True, kw_only=True):
    """One record of a Lambda event: how to name it in a batch response, its door and identity there, its body.
    `name`: what it is, by the bus's detail type or its own metadata; what says nothing else is a submission.
    `bound_tenant`: the one whose own door it came through, or whose credential it came with. `sent_at_ms`: since when
    the door's channel has had it, by the channel's own clock. `traceparent`: of the header that came with it.
    """

    item_id: str
    source: Source
    body: bytes
    name: str = SUBMIT_DETAIL_TYPE
    bound_tenant: str | None = None
    sent_at_ms: int | None = None
    traceparent: str | None = None


# Raises `InvalidEvent` unless somebody vouches for the tenant that the record names.
Vouch = Callable[[Record, Said], None]


class Rejection(Struct, frozen=True, kw_only=True):
    """A record that cannot become a task, with the reason; `tenant_id` only if the record says it readably.
    `retry_after_seconds`: when a replay makes sense; None when it never does as it stands.
    """

    record: Record
    field: str
    reason: str
    code: str
    tenant_id: str | None = None
    retry_after_seconds: int | None = None


def record_of_sqs(message: Mapping[str, Any], bound_tenant: str | None = None) -> Record:
    """An SQS message of an intake queue, or of the queue that is a tenant's own door: an EventBridge event, an SNS
    notification, or an envelope sent as it is.

    The identity is the one that stays the same if the channel before the queue delivers twice.
    """
    said = message.get("attributes", {})
    traced = read_xray_header(said.get("AWSTraceHeader"))
    return msgspec.structs.replace(
        _record_of_sqs(message),
        bound_tenant=bound_tenant,
        sent_at_ms=_sent_at_ms(said.get("SentTimestamp")),
        traceparent=None if traced is None else traced.traceparent,
    )


def _record_of_sqs(message: Mapping[str, Any]) -> Record:
    item_id, body = str(message["messageId"]), _encoded(message["body"])
    outer = _outer(body)
    detail_type = _text(outer, "detail-type")
    if detail_type in _OF_THE_BUS and (event_id := _source_id(outer, "id")) is not None:
        source = Source(door=Door.EVENTBRIDGE, source_id=event_id)
        detail = bytes(outer.get("detail", b"null"))
        return Record(item_id=item_id, source=source, body=detail, name=detail_type)
    if _text(outer, "Type") == "Notification" and (message_id := _source_id(outer, "MessageId")) is not None:
        source = Source(door=Door.SNS, source_id=message_id)
        return _named(item_id, source, (_text(outer, "Message") or "").encode())
    return _named(item_id, Source(door=Door.SQS, source_id=item_id), body)


def record_of_held(message: Mapping[str, Any]) -> Record:
    """An SQS message of the held queue: the record that stepped aside, with the identity that it had at its door.

    Anything else that lies there is read as if it had come to intake, so that it is taken or refused with a reason.
    """
    try:
        held = _held_decoder.decode(_encoded(message["body"]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return record_of_sqs(message)
    source = Source(door=held.door, source_id=held.source_id)
    record = _named(str(message["messageId"]), source, bytes(held.body))
    return msgspec.structs.replace(record, bound_tenant=held.bound_tenant, sent_at_ms=held.sent_at_ms)


def record_of_kinesis(record: Mapping[str, Any]) -> Record:
    """A Kinesis record; its sequence number is its identity."""
    kinesis = record["kinesis"]
    sequence = str(kinesis["sequenceNumber"])
    source = Source(door=Door.KINESIS, source_id=str(record.get("eventID", sequence)))
    try:
        body = base64.b64decode(kinesis["data"], validate=True)
    except (binascii.Error, ValueError):
        body = _encoded(kinesis["data"])
    sent_at_ms = _sent_at_ms(kinesis.get("approximateArrivalTimestamp"), 1_000)
    return msgspec.structs.replace(_named(sequence, source, body), sent_at_ms=sent_at_ms)


def _sent_at_ms(said: object, milliseconds: int = 1) -> int | None:
    """The channel's own timestamp in units of so many milliseconds; None when it says none."""
    try:
        return round(float(str(said)) * milliseconds)
    except (ValueError, OverflowError):
        return None


def _named(item_id: str, source: Source, body: bytes) -> Record:
    """A record whose own metadata say what it is."""
    name = said_name(body)
    return Record(item_id=item_id, source=source, body=body, name=name if name in _ANYWHERE else SUBMIT_DETAIL_TYPE)


def normalise(record: Record, now_ms: int, vouch: Vouch) -> Task:
    """The task that the record asks for; raises `InvalidEvent` naming the field."""
    submit = decoded(record.body, _submit_decoder)
    vouch(record, submit)
    task = checked_task(submit, record.source, now_ms, record.sent_at_ms)
    return task if task.traceparent else msgspec.structs.replace(task, traceparent=record.traceparent)


def checked_task(submit: SubmitTask, source: Source, now_ms: int, sent_at_ms: int | None = None) -> Task:
    """The task that a tenant asks for; raises `InvalidEvent` for what no single field can say of itself."""
    data = submit.data
    _check_payload(data)
    if data.retry.backoff_max_seconds < data.retry.backoff_seconds:
        raise InvalidEvent("$.data.retry.backoff_max_seconds", "is below backoff_seconds")
    sent_at_ms = None if sent_at_ms is None else min(sent_at_ms, now_ms)
    submitted_at_ms = _submitted_at_ms(submit.metadata.submitted_at_ms, now_ms if sent_at_ms is None else sent_at_ms)
    return msgspec.structs.replace(
        _task(submit, source, now_ms), sent_at_ms=sent_at_ms, submitted_at_ms=submitted_at_ms
    )


def _submitted_at_ms(said_ms: int | None, channel_ms: int) -> int | None:
    """The producer's word, as far as it can be: its clock may be wrong, and no channel keeps a record back for long."""
    return None if said_ms is None else min(max(said_ms, channel_ms - _HOP_MAX_MS), channel_ms)


def reject(record: Record, error: InvalidEvent, retry_after_seconds: int | None = None) -> Rejection:
    """The rejection of a record, with the tenant: the one that it is bound to, or else the one that the body names
    readably, unless it is refused because nobody vouches for that.
    """
    return Rejection(
        record=record,
        field=error.field,
        reason=error.reason[:REASON_MAX],  # it can quote the value, and that can be as long as the record
        code=error.code,
        tenant_id=record.bound_tenant or (None if error.code in _NOT_OF_TENANT else _said_tenant(record.body)),
        retry_after_seconds=retry_after_seconds,
    )


def _task(submit: SubmitTask, source: Source, now_ms: int) -> Task:
    data, meta = submit.data, submit.metadata
    task_id = (
        keyed_task_id(data.tenant_id, data.idempotency_key)
        if data.idempotency_key is not None
        else unkeyed_task_id(data.tenant_id, source.door, source.source_id)
    )
    return Task(
        task_id=task_id,
        tenant_id=data.tenant_id,
        task_type=data.task_type,
        capabilities=tuple(sorted(set(data.capabilities or (data.task_type,)))),
        payload=data.payload,
        source=source,
        body_digest=_body_digest(data),
        accepted_at_ms=now_ms,
        pool=data.pool,
        tier=data.tier,
        deadline_ms=data.deadline_ms,
        deadline_kind=data.deadline_kind,
        penalty=data.penalty,
        resources=data.resources,
        estimate=data.estimate,
        retry=data.retry,
        idempotency_key=data.idempotency_key,
        labels=data.labels,
        correlation_id=meta.correlation_id,
        traceparent=meta.traceparent,
        depth=meta.depth,
        parent=data.parent,
        callback=data.callback,
    )


def _body_digest(data: SubmitData) -> str:
    """Fingerprint of what is asked for. A default counts the same spelled out as left out, and the key does not."""
    said = {name: value for name, value in msgspec.structs.asdict(data).items() if value != getattr(_UNSAID, name)}
    said.pop("idempotency_key", None)
    return digest(msgspec.json.encode(said, order="sorted").decode())


def decoded(body: bytes, decoder: msgspec.json.Decoder[Envelope]) -> Envelope:
    """The envelope in a record's body; raises `InvalidEvent` naming the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = _PATH.search(str(error))
        reason = _PATH.sub("", str(error))
        raise InvalidEvent(found["path"] if found else "$", reason) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent("$", f"not a JSON envelope: {error}", "not_json") from error


def _check_payload(data: SubmitData) -> None:
    if nests_too_deep(data.payload):
        raise InvalidEvent("$.data.payload", f"nests deeper than {NESTING_MAX} levels", "too_deep")
    try:
        claim = as_claim_check(data.payload)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"$.data.payload.{FIELD}", str(error)) from error
    if claim is not None and not claim.key.startswith(claim_prefix(data.tenant_id)):
        raise InvalidEvent(f"$.data.payload.{FIELD}.key", "does not lie under the tenant's own claims", "foreign_claim")
    size = len(msgspec.json.encode(data.payload))
    if size > INLINE_BYTES_MAX:
        reason = (
            f"{size} bytes of JSON, {INLINE_BYTES_MAX} fit inline: store it and send a claim check (the client does)"
        )
        raise InvalidEvent("$.data.payload", reason, "oversize")


def _encoded(text: object) -> bytes:
    """Lone surrogates become bytes that are no UTF-8, so that decoding refuses them."""
    return str(text).encode(errors="surrogatepass")


def _outer(body: bytes) -> dict[str, msgspec.Raw]:
    """The fields of the channel's own envelope; what lies inside them stays as it was written."""
    try:
        return _outer_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text(outer: Mapping[str, msgspec.Raw], name: str) -> str | None:
    try:
        return msgspec.json.decode(outer[name], type=str)
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _source_id(outer: Mapping[str, msgspec.Raw], name: str) -> str | None:
    """The channel's own id of an event. Whoever may send to the queue can write anything there, so it is bounded."""
    value = _text(outer, name)
    return value if value is not None and 0 < len(value) <= SOURCE_ID_MAX else None


def _said_tenant(body: bytes) -> str | None:
    try:
        said = msgspec.json.decode(body)["data"]["tenant_id"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return None
    return said if isinstance(said, str) and _IDENTIFIER.match(said) else None
