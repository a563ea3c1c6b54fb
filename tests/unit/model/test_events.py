"""The events: published schemas and decoders agree, unknown fields are refused, and old forms stay readable."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.events import (
    CAUSATION_DEPTH_MAX,
    Dispatch,
    Fact,
    FactData,
    FactMetadata,
    FactName,
    HeldRecord,
    Nudge,
    SubmitTask,
    WakeUp,
)
from pushlane.model.task import Door, Tier
from pushlane.testing import submit_envelope
from tests.unit.model.json_schema import accepts

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "events"
OUTCOME = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=1, finished_at_ms=2, result={"a": 1})
DISPATCH = Dispatch(
    task_id="t",
    tenant_id="atlas",
    task_type="echo",
    epoch=1,
    pool="default",
    agent_id="one",
    attempt_pk="default#0",
    token="a.b.c",
    payload={"a": [1]},
)


def schema(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((SCHEMAS / f"{name}.v1.json").read_text())
    return read


def decodes(kind: type, value: object) -> bool:
    try:
        msgspec.json.decode(json.dumps(value), type=kind)
    except msgspec.ValidationError:
        return False
    return True


def with_metadata(**changed: Any) -> dict[str, Any]:
    envelope = submit_envelope()
    return envelope | {"metadata": envelope["metadata"] | changed}


FULL: dict[str, Any] = {
    "payload": {"deep": [{"a": None}]},
    "tier": "critical",
    "pool": "gpu",
    "capabilities": ["a", "b"],
    "deadline_ms": 1_700_000_000_000,
    "estimate": {"runtime_seconds": 1.5, "tokens": 10},
    "retry": {"max_attempts": 1, "backoff_seconds": 0.1, "backoff_max_seconds": 900},
    "idempotency_key": "order#1",
    "labels": {"kind": "é" * 128},
}

GOOD = [
    submit_envelope(),
    submit_envelope(**FULL),
    submit_envelope(capabilities=None, deadline_ms=None, idempotency_key=None),
    submit_envelope(tenant_id="a" * 64, capabilities=["a"] * 10),
    with_metadata(correlation_id="c" * 128, traceparent="00-1-2-01", depth=CAUSATION_DEPTH_MAX),
]
BAD = [
    [],
    {},
    {"metadata": {}, "data": {}},
    submit_envelope() | {"extra": 1},
    with_metadata(extra=1),
    with_metadata(version=2),
    with_metadata(version="1"),
    with_metadata(name="Another"),
    with_metadata(depth=CAUSATION_DEPTH_MAX + 1),
    with_metadata(depth=-1),
    with_metadata(correlation_id="c" * 129),
    submit_envelope(extra=1),
    submit_envelope(tenant_id="a#b"),
    submit_envelope(tenant_id="a\n"),
    submit_envelope(tenant_id=None),
    submit_envelope(task_type="a" * 65),
    submit_envelope(payload=[]),
    submit_envelope(tier="urgent"),
    submit_envelope(capabilities=[]),
    submit_envelope(capabilities=["a"] * 11),
    submit_envelope(capabilities="echo"),
    submit_envelope(deadline_ms=-1),
    submit_envelope(deadline_ms=1.5),
    submit_envelope(estimate={"runtime_seconds": 0}),
    submit_envelope(estimate={"more": 1}),
    submit_envelope(retry={"max_attempts": 11}),
    submit_envelope(idempotency_key=""),
    submit_envelope(labels={"a b": "x"}),
    submit_envelope(labels={"a": "x" * 129}),
    submit_envelope(labels={f"l{number}": "x" for number in range(11)}),
    submit_envelope(labels={"a": 1}),
]


@pytest.mark.parametrize("value", GOOD)
def test_a_good_submission_is_valid_for_the_schema_and_the_decoder(value: Any) -> None:
    assert decodes(SubmitTask, value)
    assert accepts(schema("submit-task"), value)


@pytest.mark.parametrize("value", BAD)
def test_a_bad_submission_is_refused_by_both(value: Any) -> None:
    assert not decodes(SubmitTask, value)
    assert not accepts(schema("submit-task"), value)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("dispatch", DISPATCH),
        ("dispatch", msgspec.structs.replace(DISPATCH, deadline_ms=1, correlation_id="c", traceparent="t")),
        ("nudge", Nudge(token="a.b.c", runner="call-1", outcome=OUTCOME)),
        ("wake-up", WakeUp(pool="default", generation=1, due_ms=2)),
        ("held-record", HeldRecord(door=Door.SNS, source_id="m-1", body=msgspec.Raw(b'{"metadata":{},"data":[1]}'))),
        (
            "fact",
            Fact(
                metadata=FactMetadata(name=FactName.TASK_SUCCEEDED, fact_id="f", occurred_at_ms=1),
                data=FactData(tenant_id="atlas", tier=Tier.LOW, result={"a": 1}, labels={"k": "v"}),
            ),
        ),
    ],
)
def test_what_we_write_is_valid_for_its_schema_and_is_read_back(name: str, event: msgspec.Struct) -> None:
    written = msgspec.json.encode(event)
    assert accepts(schema(name), json.loads(written))
    assert msgspec.json.decode(written, type=type(event)) == event


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(Dispatch, "token"), (Nudge, "runner"), (WakeUp, "pool"), (HeldRecord, "source_id"), (Fact, "metadata")],
)
def test_a_field_that_an_event_cannot_do_without_is_required(kind: type, missing: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="missing required field"):
        msgspec.json.decode("{}", type=kind)
    names = {"Dispatch": "dispatch", "Nudge": "nudge", "WakeUp": "wake-up", "HeldRecord": "held-record", "Fact": "fact"}
    name = names[kind.__name__]
    assert missing in schema(name)["$defs"][kind.__name__]["required"]


def test_a_submission_of_the_first_day_is_readable_without_what_came_later() -> None:
    oldest = b'{"metadata":{"name":"SubmitTask","version":1},"data":{"tenant_id":"atlas","task_type":"echo"}}'
    data = msgspec.json.decode(oldest, type=SubmitTask).data
    assert (data.payload, data.tier, data.pool, data.capabilities, data.labels) == ({}, "normal", "default", None, {})
    assert (data.retry.max_attempts, data.estimate.tokens, data.idempotency_key) == (3, 0, None)


OLD_DISPATCH = {
    "task_id": "t",
    "tenant_id": "a",
    "task_type": "e",
    "epoch": 1,
    "pool": "p",
    "agent_id": "o",
    "attempt_pk": "k",
    "token": "x",
    "payload": {},
}


@pytest.mark.parametrize(
    ("kind", "old"),
    [
        (Dispatch, OLD_DISPATCH),
        (Nudge, {"token": "x", "runner": "r", "outcome": {"kind": "failed", "started_at_ms": 1, "finished_at_ms": 2}}),
        (WakeUp, {"pool": "p", "generation": 1, "due_ms": 2}),
        (Fact, {"metadata": {"name": "TaskFailed", "fact_id": "f", "occurred_at_ms": 1}, "data": {}}),
    ],
)
def test_messages_in_flight_during_a_deployment_are_read_with_and_without_newer_fields(
    kind: type, old: dict[str, Any]
) -> None:
    newer = old | {"a_later_field": {"x": 1}}
    assert msgspec.json.decode(json.dumps(old), type=kind) == msgspec.json.decode(json.dumps(newer), type=kind)
