"""Submissions as records, good and bad."""

import json
from typing import Any

import pytest

from pushlane.model.errors import InvalidEvent
from pushlane.model.task import Door, Source, Task
from pushlane.router.intake import Record, Said, normalise
from pushlane.testing import submit_envelope

NOW = 1_700_000_000_000
CLAIM: dict[str, Any] = {"key": "claims/atlas/x.json", "bytes": 70_000, "sha256": "a" * 64}


def a_record(body: object, source_id: str = "m1") -> Record:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Record(item_id="m1", source=Source(door=Door.SQS, source_id=source_id), body=raw)


def taken(body: object, source_id: str = "m1") -> Task:
    return normalise(a_record(body, source_id), NOW, vouch)


def vouch(_record: Record, said: Said) -> None:
    """Two tenants, and everybody may speak for them."""
    if getattr(said.data, "tenant_id", None) not in ("atlas", "borea"):
        raise InvalidEvent("$.data.tenant_id", "no active tenant of this id", "unknown_tenant")


def refused(body: object) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as raised:
        taken(body)
    return raised.value


def with_metadata(**changed: Any) -> dict[str, Any]:
    envelope = submit_envelope()
    return envelope | {"metadata": envelope["metadata"] | changed}


def sized(size: int) -> dict[str, Any]:
    return {"text": "x" * (size - len('{"text":""}'))}


def deep(levels: int) -> bytes:
    """A submission whose payload nests `levels` deep."""
    payload = b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)
    return (
        b'{"metadata":{"name":"SubmitTask","version":1},"data":{"tenant_id":"atlas","task_type":"echo","payload":'
        + (payload + b"}}")
    )


def raw_payload(text: str) -> bytes:
    return json.dumps(submit_envelope(payload="@")).replace('"@"', text).encode()
