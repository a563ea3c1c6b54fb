"""Tenants over their bound step aside and come back: nothing is lost, nothing becomes two tasks, nobody else waits."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.agent import TaskContext, agent
from pushlane.inmemory import InMemorySender, ManualClock
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.task import DEFAULT_POOL, Door, Source
from pushlane.ports import Message, Write
from pushlane.router.app import StreamBatchUnfinished
from pushlane.router.held import DELAY_SECONDS_MAX, REMEMBERED_MAX, Held, HeldTenants, hold
from pushlane.router.intake import Record, record_of_held, record_of_sqs
from pushlane.testing import InMemoryDispatcher, kinesis_event, sqs_event, submit_envelope
from pushlane.testing.deliveries import HELD, INTAKE
from tests.unit.router.submissions import NOW, taken, with_metadata

MINUTE_MS = 60_000


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return payload


def a_dispatcher() -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=("atlas", "noisy"))
    dispatcher.register(echo, agent_id="one", slots=4)
    return dispatcher


def over_for(dispatcher: InMemoryDispatcher, seconds: int, tenant_id: str = "noisy", pool: str = DEFAULT_POOL) -> None:
    dispatcher.held.note(pool, tenant_id, dispatcher.clock.now_ms() + seconds * 1_000)


def refuse_held(dispatcher: InMemoryDispatcher) -> None:
    """The held queue takes nothing."""
    dispatcher.sender = InMemorySender(dispatcher.clock, refuse=lambda url, _message: url == HELD)
    dispatcher.turn = msgspec.structs.replace(dispatcher.turn, sender=dispatcher.sender)
    dispatcher.router = dispatcher.new_router(dispatcher.held)


def tasks_in(dispatcher: InMemoryDispatcher, *task_ids: str) -> list[str | None]:
    return [dispatcher.status(task_id) for task_id in task_ids]


# The memory


@pytest.mark.parametrize(
    ("until_ms", "delay"),
    [(0, None), (NOW, None), (NOW + 1, 1), (NOW + 1_000, 1), (NOW + 1_001, 2), (NOW + 10 * MINUTE_MS, 600)],
)
def test_the_delay_is_what_is_left_in_whole_seconds(until_ms: int, delay: int | None) -> None:
    tenants = HeldTenants()
    tenants.note("p", "noisy", until_ms)
    assert tenants.over("p", "noisy", NOW) == delay


@given(st.integers(-(10**9), 10**9))
def test_no_delay_is_one_that_the_queue_refuses(left_ms: int) -> None:
    tenants = HeldTenants()
    tenants.note("p", "noisy", NOW + left_ms)
    delay = tenants.over("p", "noisy", NOW)
    assert (delay is None) == (left_ms <= 0)
    assert delay is None or 1 <= delay <= DELAY_SECONDS_MAX


def test_a_tenant_is_over_in_the_pool_that_said_so_and_nobody_else_is() -> None:
    tenants = HeldTenants()
    tenants.note("p", "noisy", NOW + MINUTE_MS)
    assert tenants.over("p", "noisy", NOW) == 60
    assert tenants.over("q", "noisy", NOW) is None
    assert tenants.over("p", "quiet", NOW) is None


def test_the_latest_word_counts_also_when_it_is_an_earlier_time() -> None:
    tenants = HeldTenants()
    tenants.note("p", "noisy", NOW + MINUTE_MS)
    tenants.note("p", "noisy", NOW + 5_000)
    assert tenants.over("p", "noisy", NOW) == 5
    tenants.note("p", "noisy", 0)
    assert tenants.over("p", "noisy", NOW) is None


def test_the_memory_is_bounded_and_gives_up_what_was_noted_longest_ago() -> None:
    tenants = HeldTenants()
    tenants.note("p", "first", NOW + MINUTE_MS)
    tenants.note("p", "second", NOW + MINUTE_MS)
    for number in range(REMEMBERED_MAX - 2):
        tenants.note("p", f"t-{number}", NOW + MINUTE_MS)
    tenants.note("p", "first", NOW + MINUTE_MS)  # noted again, so it is the newest
    tenants.note("p", "one-more", NOW + MINUTE_MS)
    assert tenants.over("p", "second", NOW) is None
    assert tenants.over("p", "first", NOW) == tenants.over("p", "one-more", NOW) == 60


# The message


def held_message(record: Record) -> Message:
    sender = InMemorySender(ManualClock(NOW))
    assert hold(sender, HELD, [Held(record=record, tenant_id="atlas", delay_seconds=0)]) == []
    [message] = sender.drain(HELD)
    return message


SPACED = json.dumps(submit_envelope(payload={"a": [1, 2.5, None, 'quoted "\\u00e9" \\']}, deadline_ms=NOW), indent=3)


@pytest.mark.parametrize(
    "record",
    [
        record_of_sqs({"messageId": "m1", "body": SPACED}),
        record_of_sqs({"messageId": "m1", "body": f'{{"detail-type":"SubmitTask","id":"e1","detail":{SPACED}}}'}),
        record_of_sqs(
            {"messageId": "m1", "body": json.dumps({"Type": "Notification", "MessageId": "n1", "Message": SPACED})}
        ),
    ],
    ids=lambda record: record.source.door,
)
def test_a_held_record_comes_back_as_the_same_submission(record: Record) -> None:
    message = held_message(record)
    again = record_of_held({"messageId": "another", "body": message.body})
    assert again == Record(item_id="another", source=record.source, body=record.body)
    assert message.group == "atlas"


def test_held_twice_it_is_still_the_same() -> None:
    record = record_of_sqs({"messageId": "m1", "body": SPACED})
    once = record_of_held({"messageId": "m2", "body": held_message(record).body})
    twice = record_of_held({"messageId": "m3", "body": held_message(once).body})
    assert (twice.source, twice.body) == (record.source, record.body)


def test_white_space_and_escapes_do_not_make_a_submission_too_large_to_be_held() -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "x" * 50_000)
    text = json.dumps(submit_envelope(payload={"text": "@"})).replace("@", escaped)
    record = record_of_sqs({"messageId": "m1", "body": text + " " * (1_048_576 - len(text))})
    again = record_of_held({"messageId": "m2", "body": held_message(record).body})
    assert taken(again.body).task_id == taken(record.body).task_id
    assert taken(again.body).body_digest == taken(record.body).body_digest


@pytest.mark.parametrize("body", ["junk", "{}", '{"v":2,"door":"sqs","source_id":"x","body":{}}', SPACED])
def test_what_is_no_held_record_is_read_as_if_it_had_come_to_intake(body: str) -> None:
    message = {"messageId": "m1", "body": body}
    assert record_of_held(message) == record_of_sqs(message)


def test_a_held_record_on_an_intake_queue_is_refused_so_nobody_borrows_an_identity_there() -> None:
    body = held_message(record_of_sqs({"messageId": "m1", "body": SPACED})).body
    assert record_of_sqs({"messageId": "m2", "body": body}).source == Source(door=Door.SQS, source_id="m2")
    dispatcher = a_dispatcher()
    assert dispatcher.router.handle(sqs_event(INTAKE, [("m2", body)])) == {"batchItemFailures": []}
    assert [one["field"] for one in dispatcher.quarantined()] == ["$"]


# The way through the router


def test_nothing_is_written_for_a_tenant_over_its_bound_and_the_others_go_on() -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    held = [dispatcher.submit(tenant_id="noisy", payload={"n": n}) for n in range(7)]
    quiet = dispatcher.submit(tenant_id="atlas")
    dispatcher.run_until_idle()
    assert dispatcher.status(quiet) == "SUCCEEDED"
    assert tasks_in(dispatcher, *held) == [None] * 7
    assert not [fact for fact in dispatcher.facts if fact.data.tenant_id == "noisy"]
    assert [fields["records"] for event, fields in dispatcher.logged if event == "held"] == [7]
    dispatcher.advance(29)
    assert tasks_in(dispatcher, *held) == [None] * 7
    dispatcher.advance(1)
    assert tasks_in(dispatcher, *held) == ["SUCCEEDED"] * 7


def test_whoever_is_still_over_is_held_again() -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    task_id = dispatcher.submit(tenant_id="noisy")
    dispatcher.run_until_idle()
    dispatcher.advance(20)
    over_for(dispatcher, 2_000)
    dispatcher.advance(1_900)
    assert dispatcher.status(task_id) is None
    dispatcher.advance(200)
    assert dispatcher.status(task_id) == "SUCCEEDED"
    assert len([event for event, _ in dispatcher.logged if event == "held"]) == 4  # at 0 s, 30 s, 930 s and 1,830 s


def test_over_in_one_pool_is_not_over_in_another() -> None:
    dispatcher = a_dispatcher()
    dispatcher.register(echo, agent_id="two", pool="other")
    over_for(dispatcher, 30, pool="other")
    here, there = (dispatcher.submit(tenant_id="noisy", pool=pool) for pool in (DEFAULT_POOL, "other"))
    dispatcher.run_until_idle()
    assert tasks_in(dispatcher, here, there) == ["SUCCEEDED", None]


def test_what_the_held_queue_does_not_take_is_delivered_again() -> None:
    dispatcher = a_dispatcher()
    refuse_held(dispatcher)
    over_for(dispatcher, 30)
    messages = [
        ("m1", json.dumps(submit_envelope(tenant_id="noisy"))),
        ("m2", json.dumps(submit_envelope(tenant_id="atlas"))),
        ("m3", json.dumps(submit_envelope(tenant_id="noisy"))),
    ]
    answer = dispatcher.router.handle(sqs_event(INTAKE, messages))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]}
    with pytest.raises(StreamBatchUnfinished):
        dispatcher.router.handle(kinesis_event("stream", [("1", submit_envelope(tenant_id="noisy"))]))


@pytest.mark.parametrize("key", [None, "order-1"])
def test_dying_between_holding_and_acknowledging_makes_no_second_task(key: str | None) -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    keyed = {"idempotency_key": key} if key else {}
    event = sqs_event(INTAKE, [("m1", json.dumps(submit_envelope(tenant_id="noisy", **keyed)))])
    for _ in range(3):  # the same delivery: it was held, and then its acknowledgement was lost
        assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    dispatcher.advance(31)
    dispatcher.router.handle(event)  # and once more when the tenant is no longer over
    dispatcher.run_until_idle()
    done = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_SUCCEEDED]
    accepted = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_ACCEPTED]
    assert (len(done), len(accepted), dispatcher.quarantined()) == (1, 1, [])


def test_another_router_that_does_not_know_takes_a_turn() -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    event = sqs_event(INTAKE, [("m1", json.dumps(submit_envelope(tenant_id="noisy")))])
    assert dispatcher.new_router().handle(event) == {"batchItemFailures": []}
    dispatcher.run_until_idle()
    assert [f.data.tenant_id for f in dispatcher.facts if f.metadata.name is FactName.TASK_SUCCEEDED] == ["noisy"]


def test_the_same_through_the_stream_and_the_held_queue_is_one_task() -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    event = kinesis_event("stream", [("1", submit_envelope(tenant_id="noisy"))])
    dispatcher.router.handle(event)
    dispatcher.advance(31)
    dispatcher.router.handle(event)
    dispatcher.run_until_idle()
    [done] = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_SUCCEEDED]
    stored = dispatcher.task(str(done.data.task_id))
    assert stored is not None
    assert stored["door"] == "kinesis"


def test_a_refused_record_of_a_tenant_over_its_bound_is_refused_at_once() -> None:
    dispatcher = a_dispatcher()
    over_for(dispatcher, 30)
    dispatcher.submit(tenant_id="noisy", tier="urgent")
    dispatcher.run_until_idle()
    assert [one["field"] for one in dispatcher.quarantined()] == ["$.data.tier"]


def test_holding_reads_and_writes_nothing_of_the_state() -> None:
    class Closed:
        def __init__(self) -> None:
            self.on = False

        def before(self, name: str, operations: Sequence[Write]) -> None:
            if self.on:
                raise StoreUnavailable(f"{name} is not to be called")

        def after(self, name: str, operations: Sequence[Write]) -> None:
            """Nothing happens."""

    closed = Closed()
    dispatcher = InMemoryDispatcher(tenants=("noisy",), faults=closed)
    stranger = json.dumps(submit_envelope(tenant_id="stranger"))
    dispatcher.router.handle(sqs_event(INTAKE, [("m0", stranger)]))  # reads the directory of tenants, once a second
    over_for(dispatcher, 30)
    closed.on = True
    event = sqs_event(INTAKE, [("m1", json.dumps(submit_envelope(tenant_id="noisy")))])
    assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    assert dispatcher.sender.next_visible_of(HELD) == dispatcher.clock.now_ms() + 30_000


def test_the_slot_in_the_metadata_says_nothing_about_the_task() -> None:
    """Missing, wrong or forged: the same task, of the same digest."""
    tasks = [taken(envelope) for envelope in (submit_envelope(), *(with_metadata(intake=n) for n in (None, 0, 7, 15)))]
    assert all(task == tasks[0] for task in tasks)
