"""From a producer's words to a checked `SubmitTask` event with an idempotency key."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client.errors import InvalidSubmission
from pushlane.model.claim_check import CLAIMED_BYTES_MAX
from pushlane.model.events import SUBMIT_DETAIL_TYPE, SubmitData, SubmitMetadata, SubmitTask
from pushlane.model.ids import intake_slot, keyed_task_id

_PATH_MARK: Final = " - at `"


class Submission(Struct, frozen=True, kw_only=True):
    """A valid event, ready to be sent: its task id is known before any door has seen it."""

    event: SubmitTask
    task_id: str
    idempotency_key: str

    @property
    def tenant_id(self) -> str:
        return self.event.data.tenant_id

    def encoded(self) -> str:
        return msgspec.json.encode(self.event).decode()


def prepare(
    data: SubmitData | Mapping[str, Any],
    *,
    fresh_key: str,
    correlation_id: str | None = None,
    traceparent: str | None = None,
    submitted_at_ms: int | None = None,
) -> Submission:
    """Check `data` by the event schema, give it `fresh_key` if it has no idempotency key of its own, and write its
    tenant's intake slot into the metadata. `traceparent`: the W3C trace context that the task's trace goes on from.

    Raises `InvalidSubmission` that names the field.
    """
    metadata = SubmitMetadata(
        name=SUBMIT_DETAIL_TYPE,
        version=1,
        correlation_id=correlation_id,
        traceparent=traceparent,
        submitted_at_ms=submitted_at_ms,
    )
    fields = _builtins(data)
    key = fields.get("idempotency_key") or fresh_key
    event = _checked({"metadata": msgspec.to_builtins(metadata), "data": {**fields, "idempotency_key": key}})
    slotted = msgspec.structs.replace(event.metadata, intake=intake_slot(event.data.tenant_id))
    event = msgspec.structs.replace(event, metadata=slotted)
    return Submission(event=event, task_id=keyed_task_id(event.data.tenant_id, key), idempotency_key=key)


def encoded_payload(submission: Submission) -> bytes:
    """The payload as it is measured and stored; equal payloads have equal bytes."""
    encoded = msgspec.json.encode(submission.event.data.payload, order="sorted")
    if len(encoded) > CLAIMED_BYTES_MAX:
        raise InvalidSubmission("$.data.payload", f"{len(encoded)} bytes encoded; at most {CLAIMED_BYTES_MAX}")
    return encoded


def with_payload(submission: Submission, payload: dict[str, Any]) -> Submission:
    """The same submission with another payload (the claim check that stands for it)."""
    data = msgspec.structs.replace(submission.event.data, payload=payload)
    event = msgspec.structs.replace(submission.event, data=data)
    return msgspec.structs.replace(submission, event=event)


def _builtins(data: SubmitData | Mapping[str, Any]) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = msgspec.to_builtins(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSubmission("$.data", f"not JSON: {error}") from error
    return plain


def _checked(event: dict[str, Any]) -> SubmitTask:
    try:
        return msgspec.convert(event, SubmitTask)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(_PATH_MARK)
        raise InvalidSubmission(path.rstrip("`") or "$.data", reason) from error
