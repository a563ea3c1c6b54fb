"""Events as AWS delivers them, one file a trigger (`tests/events/`): AWS's documented shapes, our own bodies."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushlane.aws.streams import changes
from pushlane.model.events import FactName
from pushlane.model.ids import unkeyed_task_id
from pushlane.ports import Table
from pushlane.router.facts import facts_of
from pushlane.router.intake import normalise, record_of_kinesis, record_of_sqs
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.submissions import vouch

EVENTS = Path(__file__).resolve().parents[2] / "events"
KINESIS_SEQUENCE = "49590338271490256608559692538361571095921575989136588898"


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return loaded


@pytest.mark.parametrize(
    ("name", "door", "source_id"),
    [
        ("sqs_eventbridge", "eventbridge", "6a7e8feb-b491-4cf7-a9f1-bf3703467718"),
        ("sqs_sns", "sns", "63a3f6b6-d533-4a47-aef9-fcf5cf758c76"),
        ("sqs_direct", "sqs", "11d6ee51-4cc7-4302-9e22-7cd8afdaadf5"),
        ("kinesis", "kinesis", f"shardId-000000000006:{KINESIS_SEQUENCE}"),
    ],
)
def test_every_door_gives_the_same_task_but_for_where_it_came_from(name: str, door: str, source_id: str) -> None:
    [raw] = event(name)["Records"]
    record = record_of_kinesis(raw) if name == "kinesis" else record_of_sqs(raw)
    task = normalise(record, 1_763_837_041_150, vouch)
    assert (task.source.door, task.source.source_id) == (door, source_id)
    assert task.task_id == unkeyed_task_id("atlas", door, source_id)
    [direct] = event("sqs_direct")["Records"]
    other = normalise(record_of_sqs(direct), 1_763_837_041_150, vouch)
    assert 1_500_000_000_000 < (task.sent_at_ms or 0) <= task.accepted_at_ms
    same = msgspec.structs.replace(task, task_id="", source=other.source, sent_at_ms=other.sent_at_ms)
    assert same == msgspec.structs.replace(other, task_id="")


@pytest.mark.parametrize("name", ["sqs_eventbridge", "sqs_sns", "sqs_direct", "kinesis"])
def test_the_router_accepts_it_and_answers_with_a_batch_response(name: str) -> None:
    dispatcher = InMemoryDispatcher()
    assert dispatcher.router.handle(event(name)) == {"batchItemFailures": []}
    accepted = [event for event, fields in dispatcher.logged if fields.get("resolution") == "parked"]
    assert len(accepted) == 1


def test_a_stream_batch_becomes_facts_and_an_expired_item_none() -> None:
    told = [
        fact
        for change in changes(event("dynamodb_stream"), {Table.TASKS: "Pushlane-Tasks-1ABC", Table.ATTEMPTS: "other"})
        for fact in facts_of(change)
    ]
    assert [fact.metadata.name for fact in told] == [
        FactName.TASK_ACCEPTED,
        FactName.TASK_DISPATCHED,
        FactName.TASK_SUCCEEDED,
    ]
    assert told[-1].data.result == {"title": "Hello"}
    assert told[-1].data.finished_at_ms == 1_763_837_041_290


def test_a_stream_of_an_unknown_table_is_an_error_and_not_silence() -> None:
    with pytest.raises(KeyError):
        changes(event("dynamodb_stream"), {Table.TASKS: "another"})


def test_an_empty_batch_is_answered() -> None:
    assert InMemoryDispatcher().router.handle({"Records": []}) == {"batchItemFailures": []}
