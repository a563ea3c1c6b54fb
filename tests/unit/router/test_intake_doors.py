"""Any record of any door is a task or a rejection, and the same submission is the same body."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.errors import InvalidEvent
from pushlane.model.nesting import NESTING_MAX
from pushlane.model.task import Door, Source, Task
from pushlane.router.intake import (
    REASON_MAX,
    SOURCE_ID_MAX,
    Record,
    normalise,
    record_of_kinesis,
    record_of_sqs,
    reject,
)
from pushlane.testing import InMemoryDispatcher, kinesis_event, sqs_event, submit_envelope
from tests.unit.router.submissions import NOW, deep, refused, taken, vouch

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "metadata": JSON | st.just({"name": "SubmitTask", "version": 1}),
        "data": JSON
        | st.fixed_dictionaries(
            {"tenant_id": st.just("atlas"), "task_type": st.just("echo")},
            optional={"payload": JSON, "labels": JSON, "deadline_ms": JSON, "retry": JSON, "capabilities": JSON},
        ),
        "detail-type": st.just("SubmitTask") | JSON,
        "id": JSON,
        "detail": JSON,
        "Type": st.just("Notification") | JSON,
        "MessageId": JSON,
        "Message": JSON,
    },
)


def survives(record: Record) -> None:
    """Either a task or a rejection that can be kept: nothing else comes of a record."""
    try:
        task = normalise(record, NOW, vouch)
    except InvalidEvent as error:
        rejection = reject(record, error)
        assert rejection.field.startswith("$")
        assert len(rejection.reason) <= REASON_MAX
        return
    assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task


@given(st.binary(max_size=200))
def test_any_bytes_from_kinesis_are_a_task_or_a_rejection(body: bytes) -> None:
    survives(record_of_kinesis(kinesis_event("s", [("1", body)])["Records"][0]))


@given(ANYTHING)
def test_any_text_from_sqs_is_a_task_or_a_rejection(body: str) -> None:
    survives(record_of_sqs(sqs_event("q", [("m1", body)])["Records"][0]))


@given(ANYTHING)
def test_kinesis_data_that_is_no_base64_is_a_rejection(data: str) -> None:
    record = record_of_kinesis({"kinesis": {"sequenceNumber": "1", "data": data}})
    survives(record)


@given(NEAR)
def test_any_json_that_is_nearly_an_event_is_a_task_or_a_rejection(body: dict[str, Any]) -> None:
    text = json.dumps(body)
    survives(record_of_sqs(sqs_event("q", [("m1", text)])["Records"][0]))
    survives(record_of_kinesis(kinesis_event("s", [("1", text.encode())])["Records"][0]))


def shuffled(value: Any) -> Any:
    """The same JSON with every object's keys the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(inner) for key, inner in reversed(value.items())}
    return [shuffled(inner) for inner in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_key_order_and_white_space_do_not_make_another_body(payload: dict[str, Any]) -> None:
    envelope = submit_envelope(payload=payload, labels={"a": "1", "b": "2"}, idempotency_key="k")
    one = taken(envelope)
    other = taken(json.dumps(shuffled(envelope), indent=3).encode())
    assert one.body_digest == other.body_digest
    assert one.task_id == other.task_id


CHANGES: list[dict[str, Any]] = [
    {"payload": {"a": 2}},
    {"payload": {"a": "1"}},
    {"payload": {"a": 1, "b": None}},
    {"payload": {}},
    {"tier": "high"},
    {"pool": "other"},
    {"task_type": "other"},
    {"tenant_id": "borea"},
    {"capabilities": ["other"]},
    {"deadline_ms": 1},
    {"estimate": {"tokens": 1}},
    {"estimate": {"runtime_seconds": 31}},
    {"retry": {"max_attempts": 4}},
    {"labels": {"a": "2"}},
]


@pytest.mark.parametrize("changed", CHANGES, ids=str)
def test_any_changed_field_makes_another_body(changed: dict[str, Any]) -> None:
    base = {"payload": {"a": 1}, "labels": {"a": "1"}}
    assert taken(submit_envelope(**base)).body_digest != taken(submit_envelope(**base | changed)).body_digest


@pytest.mark.parametrize(
    "same",
    [{"tier": "normal"}, {"pool": "default"}, {"retry": {}}, {"idempotency_key": "k"}, {"estimate": {"tokens": 0}}],
    ids=str,
)
def test_a_default_that_is_spelled_out_is_the_same_body(same: dict[str, Any]) -> None:
    assert taken(submit_envelope()).body_digest == taken(submit_envelope(**same)).body_digest


@pytest.mark.parametrize(
    "outer",
    [
        {"Type": "Notification"},
        {"Type": "Notification", "MessageId": None},
        {"Type": "Notification", "MessageId": ""},
        {"Type": "Notification", "MessageId": "x" * (SOURCE_ID_MAX + 1), "Message": "{}"},
        {"Type": "SubscriptionConfirmation", "MessageId": "x", "Message": "please"},
        {"detail-type": "SubmitTask"},
        {"detail-type": "SubmitTask", "id": 7, "detail": {}},
        {"detail-type": "SubmitTask", "id": "x" * 500_000, "detail": submit_envelope()},
        {"detail-type": ["SubmitTask"], "id": "x", "detail": {}},
        {"detail-type": "AnotherEvent", "id": "x", "detail": {}},
    ],
    ids=lambda outer: str(outer)[:60],
)
def test_what_only_looks_like_an_event_of_a_channel_is_a_message_and_is_refused_as_one(outer: dict[str, Any]) -> None:
    record = record_of_sqs(sqs_event("q", [("m1", json.dumps(outer))])["Records"][0])
    assert record.source == Source(door=Door.SQS, source_id="m1")
    assert refused(record.body).field == "$"


@pytest.mark.parametrize(
    ("outer", "door"),
    [
        ({"Type": "Notification", "MessageId": "x"}, Door.SNS),
        ({"Type": "Notification", "MessageId": "x", "Message": {"metadata": 1}}, Door.SNS),
        ({"Type": "Notification", "MessageId": "x", "Message": "no json"}, Door.SNS),
        ({"detail-type": "SubmitTask", "id": "x"}, Door.EVENTBRIDGE),
        ({"detail-type": "SubmitTask", "id": "x", "detail": "text"}, Door.EVENTBRIDGE),
    ],
    ids=str,
)
def test_an_event_of_a_channel_with_nothing_usable_in_it_is_refused_under_that_door(
    outer: dict[str, Any], door: Door
) -> None:
    record = record_of_sqs(sqs_event("q", [("m1", json.dumps(outer))])["Records"][0])
    assert record.source == Source(door=door, source_id="x")
    assert refused(record.body).field == "$"


@pytest.mark.parametrize("levels", [NESTING_MAX, NESTING_MAX + 1])
def test_every_door_draws_the_line_of_depth_at_the_same_place(levels: int) -> None:
    detail = deep(levels)
    event = b'{"detail-type":"SubmitTask","id":"x","detail":' + detail + b"}"
    notification = json.dumps({"Type": "Notification", "MessageId": "x", "Message": detail.decode()})
    records = [
        record_of_sqs({"messageId": "m", "body": detail.decode()}),
        record_of_sqs({"messageId": "m", "body": event.decode()}),
        record_of_sqs({"messageId": "m", "body": notification}),
        record_of_kinesis({"kinesis": {"sequenceNumber": "1", "data": base64.b64encode(detail).decode()}}),
    ]
    for record in records:
        if levels > NESTING_MAX:
            assert refused(record.body).code == "too_deep"
        else:
            assert taken(record.body).tenant_id == "atlas"


def test_no_depth_of_json_stops_its_neighbours() -> None:
    for levels in (*range(880, 1_010, 5), 50_000):
        dispatcher = InMemoryDispatcher()
        bodies = [deep(levels).decode(), json.dumps(submit_envelope())]
        event = sqs_event("q", [(f"m{n}", body) for n, body in enumerate(bodies)])
        assert dispatcher.router.handle(event) == {"batchItemFailures": []}
        assert [event for event, _ in dispatcher.logged] == ["rejected", "turn", "intake"]
