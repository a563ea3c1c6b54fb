"""Rejected records: kept before they are forgotten, told once, and never in the way of what comes behind them."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from pushlane.inmemory import InMemoryItemStore, InMemorySender, ManualClock
from pushlane.model.errors import InvalidEvent, StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.task import Door, Source
from pushlane.ports import Table, Write
from pushlane.router.app import StreamBatchUnfinished
from pushlane.router.intake import Record, Rejection, reject
from pushlane.router.quarantine import Quarantine, QuarantineUnavailable, record_fact
from pushlane.testing import InMemoryDispatcher, kinesis_event, sqs_event, submit_envelope
from tests.unit.values import NOW

QUEUE = "queue/quarantine"
RECORD = Record(item_id="m1", source=Source(door=Door.SQS, source_id="m1"), body=b'{"data":{"tenant_id":"atlas"}}')
REJECTION = reject(RECORD, InvalidEvent("$.metadata", "is missing"))
JUNK = sqs_event("intake", [("m1", "junk")])


class Parts:
    """A quarantine with its store and its queue, which refuses while `refusing`."""

    def __init__(self) -> None:
        self.refusing = False
        clock = ManualClock(NOW)
        self.store = InMemoryItemStore(clock)
        self.sender = InMemorySender(clock, refuse=lambda _url, _message: self.refusing)
        self.quarantine = Quarantine(self.store, self.sender, clock, QUEUE)

    def keep(self, rejection: Rejection) -> dict[str, Any]:
        self.quarantine.keep(rejection)
        [message] = self.sender.drain(QUEUE)
        kept: dict[str, Any] = json.loads(message.body)
        return kept


def test_a_rejected_record_is_kept_with_its_reason_and_where_it_came_from() -> None:
    assert Parts().keep(REJECTION) == {
        "door": "sqs",
        "source_id": "m1",
        "tenant_id": "atlas",
        "code": "invalid",
        "field": "$.metadata",
        "reason": "is missing",
        "body": '{"data":{"tenant_id":"atlas"}}',
        "body_bytes": 30,
    }


def test_the_fact_is_written_once_however_often_the_record_comes() -> None:
    parts = Parts()
    for _ in range(3):
        parts.keep(REJECTION)
    [fact] = parts.store.items(Table.TASKS)
    assert (fact.attributes["fact"], fact.attributes["field"]) == ("TaskRejected", "$.metadata")
    assert fact.attributes["expires_at_s"] == NOW // 1_000 + 7 * 24 * 3600


def test_two_records_are_two_facts_and_one_record_with_another_fault_is_another() -> None:
    parts = Parts()
    other = Record(item_id="m2", source=Source(door=Door.SQS, source_id="m2"), body=RECORD.body)
    for rejection in (
        REJECTION,
        reject(other, InvalidEvent("$.metadata", "is missing")),
        reject(RECORD, InvalidEvent("$.data.tier", "is odd")),
    ):
        parts.keep(rejection)
    assert len(parts.store.items(Table.TASKS)) == 3


def test_a_queue_that_refuses_means_no_fact_and_the_record_comes_again() -> None:
    parts = Parts()
    parts.refusing = True
    with pytest.raises(QuarantineUnavailable):
        parts.quarantine.keep(REJECTION)
    assert parts.store.items(Table.TASKS) == []
    parts.refusing = False
    parts.keep(REJECTION)
    assert len(parts.store.items(Table.TASKS)) == 1


@pytest.mark.parametrize(
    "body",
    [b"\0" * 1_000_000, b"\xff" * 1_000_000, "\uffff".encode() * 300_000, b'"\\' * 500_000, b"x" * 1_000_000],
    ids=["control characters", "no utf-8", "what no queue takes", "escapes", "plain"],
)
def test_any_body_fits_into_a_message_and_its_size_is_told(body: bytes) -> None:
    record = Record(item_id="1", source=Source(door=Door.KINESIS, source_id="1"), body=body)
    kept = Parts().keep(reject(record, InvalidEvent("$", "x" * 5_000)))
    assert kept["body_bytes"] == len(body)


def test_through_the_router_a_refused_record_is_delivered_again_and_its_neighbour_is_not() -> None:
    dispatcher = InMemoryDispatcher()
    refusing = True
    dispatcher.sender._refuse = lambda url, _message: refusing and url == QUEUE
    event = sqs_event("intake", [("bad", "junk"), ("good", json.dumps(submit_envelope()))])
    assert dispatcher.router.handle(event) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    refusing = False
    assert dispatcher.router.handle({"Records": event["Records"][:1]}) == {"batchItemFailures": []}
    assert [kept["body"] for kept in dispatcher.quarantined()] == ["junk"]


def test_through_a_stream_the_batch_comes_again_and_nothing_of_it_is_lost_or_doubled() -> None:
    dispatcher = InMemoryDispatcher()
    refusing = True
    dispatcher.sender._refuse = lambda url, _message: refusing and url == QUEUE
    event = kinesis_event("stream", [("1", b"\0" * 200_000), ("2", submit_envelope())])
    with pytest.raises(StreamBatchUnfinished):
        dispatcher.router.handle(event)
    refusing = False
    assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    dispatcher.publish()
    told = [fact.metadata.name for fact in dispatcher.facts]
    assert sorted(told) == [FactName.TASK_ACCEPTED, FactName.TASK_PARKED, FactName.TASK_REJECTED]
    assert len(dispatcher.quarantined()) == 1


class FactsOutage:
    """The store fails on every fact that is recorded."""

    def __init__(self) -> None:
        self.on = True

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if self.on and name == "write" and operations[0].key.pk.startswith("FACT#"):
            raise StoreUnavailable("as ordered")

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


def test_a_fact_that_cannot_be_written_is_written_when_the_record_comes_again() -> None:
    outage = FactsOutage()
    dispatcher = InMemoryDispatcher(faults=outage)
    assert dispatcher.router.handle(JUNK) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    outage.on = False
    assert dispatcher.router.handle(JUNK) == {"batchItemFailures": []}
    dispatcher.publish()
    assert [fact.metadata.name for fact in dispatcher.facts] == [FactName.TASK_REJECTED]
    assert {kept["source_id"] for kept in dispatcher.quarantined()} == {"m1"}


def test_a_fact_keeps_its_first_word() -> None:
    clock = ManualClock(NOW)
    store = InMemoryItemStore(clock)
    record_fact(store, clock, FactName.RESULT_STALE, "f", {"reason": "first"})
    clock.advance(5)
    record_fact(store, clock, FactName.RESULT_STALE, "f", {"reason": "second"})
    [fact] = store.items(Table.TASKS)
    assert (fact.attributes["reason"], fact.attributes["occurred_at_ms"]) == ("first", NOW)


def test_a_body_from_kinesis_that_is_no_base64_is_kept_as_it_came() -> None:
    dispatcher = InMemoryDispatcher()
    event = kinesis_event("stream", [("1", b"x")])
    event["Records"][0]["kinesis"]["data"] = "not base64!"
    dispatcher.router.handle(event)
    event["Records"][0]["kinesis"]["data"] = base64.b64encode(b"\xff").decode()
    dispatcher.router.handle(event)
    assert [kept["body"] for kept in dispatcher.quarantined()] == ["not base64!", "\ufffd"]


def test_the_router_tells_that_the_quarantine_failed() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.sender._refuse = lambda _url, _message: True
    dispatcher.router.handle(JUNK)
    assert [event for event, _ in dispatcher.logged] == ["rejected", "quarantine-failed"]
