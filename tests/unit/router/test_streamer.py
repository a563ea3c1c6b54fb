"""The streamer: only what is proven is recorded, a task's messages keep their order, and no bad one goes in circles."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from pushlane.inmemory import InMemoryItemStore, InMemorySender, InMemorySink, ManualClock
from pushlane.inmemory.store import Faults
from pushlane.model import token
from pushlane.model.emitted import Emitted
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import Fact, FactData, FactMetadata, FactName
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.task import Status
from pushlane.model.timeline import LoggedEvent, Origin, Recorded, sign_fact
from pushlane.ports import Cancelled, CancelReason, Change, Message, Put, TransactionCancelled, Write
from pushlane.router.lifecycle import LifecyclePorts, publish_changes, timeline_messages
from pushlane.router.stream_metrics import stream_metrics
from pushlane.router.streamer import APPENDS_MAX, Streamer, StreamerPorts
from pushlane.state import event_log, keys
from pushlane.state.items import new_task_attributes, to_json
from pushlane.testing.events import sqs_event
from tests.unit.values import NOW, a_reservation, a_task

RING = ring_of(b"a key for tests only, thirty-two bytes")
TASK = "t-0001"


def a_token(task_id: str = TASK, epoch: int = 1, *, ring: KeyRing = RING, life_ms: int = 60_000, **changed: Any) -> str:
    claims = token.ReservationClaims(
        tenant_id="atlas",
        task_id=task_id,
        epoch=epoch,
        pool="default",
        reservation=a_reservation(),
        expires_at_ms=NOW + life_ms,
    )
    return token.sign(msgspec.structs.replace(claims, **changed), ring)


def an_emit(number: int = 1, task_id: str = TASK, epoch: int = 1, **changed: Any) -> Message:
    emit = Emitted(
        token=a_token(task_id, epoch),
        task_id=task_id,
        epoch=epoch,
        runner="r",
        number=number,
        kind="token",
        emitted_at_ms=NOW,
        data={"n": number},
    )
    return Message(to_json(msgspec.structs.replace(emit, **changed)))


def a_fact(name: FactName = FactName.TASK_ACCEPTED, task_id: str | None = TASK, **data: Any) -> Fact:
    said = FactData(tenant_id="atlas", task_id=task_id, epoch=data.pop("epoch", 1), **data)
    return Fact(metadata=FactMetadata(name=name, fact_id=f"{name}-{task_id}", occurred_at_ms=NOW), data=said)


def told(*facts: Fact, ring: KeyRing = RING) -> list[Message]:
    return timeline_messages(facts, lambda: ring)


class World:
    """A streamer over a store in memory. `faults` plays the store's failures."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.store = InMemoryItemStore(self.clock, faults=faults)
        self.sender = InMemorySender(self.clock)
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.measured: list[dict[str, int]] = []
        self.backed_off: list[int] = []
        self.streamer = Streamer(
            StreamerPorts(
                store=self.store,
                clock=self.clock,
                keyring=lambda: RING,
                sender=self.sender,
                events_queue_url="events",
                retention_seconds=60,
                back_off=self.backed_off.append,
                log=lambda event, **fields: self.logged.append((event, fields)),
                measure=lambda counts: self.measured.append(dict(counts)),
            )
        )

    def bring(self, *messages: Message) -> list[str]:
        """One batch; the messages that have to come again, as m0, m1, ..."""
        bodies = [(f"m{index}", message.body) for index, message in enumerate(messages)]
        answer = self.streamer.handle(sqs_event("events", bodies))
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    def log_of(self, task_id: str = TASK) -> tuple[LoggedEvent, ...]:
        return event_log.read_events(self.store, task_id).events

    def said(self, task_id: str = TASK) -> list[str]:
        return [event.kind for event in self.log_of(task_id)]

    @property
    def refusals(self) -> list[str]:
        return [fields["code"] for event, fields in self.logged if event == "refused"]


def test_facts_and_emits_of_a_task_are_one_numbered_log() -> None:
    world = World()
    batch = [*told(a_fact(epoch=0)), an_emit(1), an_emit(2), *told(a_fact(FactName.TASK_SUCCEEDED))]
    assert world.bring(*batch) == []
    assert [(event.sequence, event.kind, event.origin) for event in world.log_of()] == [
        (1, "TaskAccepted", Origin.FACT),
        (2, "token", Origin.AGENT),
        (3, "token", Origin.AGENT),
        (4, "TaskSucceeded", Origin.FACT),
    ]
    assert [event.ends for event in world.log_of()] == [False, False, False, True]
    assert world.log_of()[1].data == {"n": 1}
    assert world.log_of()[0].data["tenant_id"] == "atlas"
    assert world.measured == [{"recorded": 4, "stale": 0, "repeated": 0, "refused": 0}]


def test_the_tasks_of_a_batch_have_logs_of_their_own() -> None:
    world = World()
    world.bring(an_emit(1), an_emit(1, "t-0002"), an_emit(2), *told(a_fact(task_id="t-0003")))
    lengths = [len(world.log_of(task_id)) for task_id in (TASK, "t-0002", "t-0003")]
    assert lengths == [2, 1, 1]


def test_a_batch_that_comes_again_is_recorded_once_and_writes_nothing() -> None:
    world = World()
    batch = [an_emit(1), *told(a_fact())]
    assert (world.bring(*batch), world.bring(*batch)) == ([], [])
    assert len(world.log_of()) == 2
    assert world.measured[1] == {"recorded": 0, "stale": 0, "repeated": 2, "refused": 0}


def test_an_emit_that_is_faster_than_the_acceptance_of_its_task_costs_a_try_and_loses_nothing() -> None:
    world = World()
    assert world.bring(an_emit(1)) == []
    accepted = told(a_fact(epoch=0))
    assert (world.bring(*accepted, an_emit(2)), world.bring(*accepted)) == ([], [])
    assert world.said() == ["token", "TaskAccepted", "token"]
    assert world.backed_off == [1, 1]


FORGED = {
    "another key": an_emit(token=a_token(ring=ring_of(b"somebody else's"))),
    "expired": an_emit(token=a_token(life_ms=-1)),
    "another audience": an_emit(token=a_token(aud="pushlane.fact")),
    "no token": an_emit(token=""),
    "another task": an_emit(token=a_token("t-0002")),
    "another attempt": an_emit(token=a_token(epoch=2)),
    "a fact under another key": told(a_fact(), ring=ring_of(b"somebody else's"))[0],
    "a fact signed with a token": Message(
        to_json(Recorded(signature=a_token().rpartition(".")[2], fact=msgspec.Raw(msgspec.json.encode(a_fact()))))
    ),
    "an emit that wears a signature": Message('{"signature":"x",' + an_emit().body[1:]),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_what_is_not_proven_is_dropped_counted_and_never_comes_again(forged: Message) -> None:
    world = World()
    assert world.bring(forged, an_emit(7)) == []
    assert [event.source_id for event in world.log_of()] == ["1/r/7"]
    assert world.log_of("t-0002") == ()
    assert world.measured == [{"recorded": 1, "stale": 0, "repeated": 0, "refused": 1}]
    assert len(world.refusals) == 1


def test_a_signed_fact_cannot_be_altered() -> None:
    world = World()
    message = told(a_fact())[0].body
    altered = message.replace("TaskAccepted", "TaskExpired", 1)
    assert altered != message
    assert world.bring(Message(altered)) == []
    assert (world.said(), world.refusals) == ([], ["unproven"])


def test_the_name_that_sqs_knows_a_fact_by_cannot_be_foretold_and_is_the_same_each_time() -> None:
    [one], [again], [foretold] = told(a_fact()), told(a_fact()), told(a_fact(), ring=ring_of(b"an agent's guess"))
    assert one.deduplication_id == again.deduplication_id
    assert foretold.deduplication_id != one.deduplication_id
    assert one.group == TASK


UNREADABLE = {
    "no JSON": "{",
    "empty": "",
    "a list": "[]",
    "of another version": to_json({**msgspec.json.decode(an_emit().body), "v": 2}),
    "nested beyond reason": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "a surrogate": an_emit().body.replace('"token"', '"\\ud800"'),
    "number zero": an_emit(0).body,
    "a negative number": an_emit(-1).body,
    "a number beyond all": an_emit(2**60).body,
    "no kind": an_emit(kind="").body,
    "a long kind": an_emit(kind="k" * 129).body,
    "a long runner": an_emit(runner="r" * 129).body,
    "a time beyond all": an_emit(emitted_at_ms=2**60).body,
    "large data": an_emit(data="x" * 65_536).body,
    "deep data": an_emit(data=msgspec.json.decode("[" * 70 + "]" * 70)).body,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_recorded_is_dropped_and_holds_up_nothing(body: str) -> None:
    world = World()
    assert world.bring(Message(body), an_emit(3)) == []
    assert [event.source_id for event in world.log_of()] == ["1/r/3"]
    assert len(world.refusals) == 1


def test_the_largest_data_and_a_huge_integer_are_recorded() -> None:
    world = World()
    assert world.bring(an_emit(1, data="x" * 65_534), an_emit(2, data=10**40)) == []
    assert [event.data for event in world.log_of()] == ["x" * 65_534, 10**40]


def test_emits_of_an_attempt_that_is_over_are_marked() -> None:
    world = World()
    world.bring(an_emit(1), *told(a_fact(FactName.TASK_DISPATCHED, epoch=2)), an_emit(2), an_emit(1, epoch=2))
    assert [event.stale for event in world.log_of()] == [False, False, True, False]
    assert world.measured[0]["stale"] == 1


class Failing:
    """Raises `error` before the first `times` transactions, for one task or for all."""

    def __init__(self, error: Exception, times: int, task_id: str | None = None) -> None:
        self.error = error
        self.times = times
        self.task_id = task_id

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.times and self.task_id in (None, operations[0].key.pk):
            self.times -= 1
            raise self.error

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


CONFLICT = TransactionCancelled((Cancelled(0, CancelReason.CONFLICT),))


def test_a_conflict_is_tried_again_a_few_times() -> None:
    world = World(Failing(CONFLICT, APPENDS_MAX - 1))
    assert world.bring(an_emit(1)) == []
    assert (world.backed_off, len(world.log_of())) == ([1, 2, 3, 4], 1)


def test_a_log_that_is_always_taken_makes_its_messages_come_again_in_their_order() -> None:
    world = World(Failing(CONFLICT, 1 + APPENDS_MAX, TASK))  # once for all logs together
    assert world.bring(an_emit(1), an_emit(1, "t-0002"), an_emit(2)) == ["m0", "m2"]
    assert (world.log_of(), len(world.log_of("t-0002"))) == ((), 1)
    assert world.bring(an_emit(1), an_emit(2)) == []
    assert [event.source_id for event in world.log_of()] == ["1/r/1", "1/r/2"]


def test_a_store_that_does_not_answer_makes_all_come_again() -> None:
    world = World(Failing(StoreUnavailable("down"), 1))
    assert world.bring(an_emit(1), an_emit(2)) == ["m0", "m1"]
    assert world.measured == [{}]


class Interloper(Failing):
    """Another streamer that appends between the read and the write."""

    def __init__(self) -> None:
        super().__init__(CONFLICT, 1)
        self.world: World | None = None

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact" and self.times and self.world is not None:
            self.times = 0
            self.world.bring(*told(a_fact()))


def test_an_append_under_a_log_that_went_on_takes_the_next_number() -> None:
    faults = Interloper()
    world = faults.world = World(faults)
    assert world.bring(an_emit(1), an_emit(2)) == []
    assert [(event.sequence, event.kind) for event in world.log_of()] == [
        (1, "TaskAccepted"),
        (2, "token"),
        (3, "token"),
    ]


class LostAnswer(Failing):
    """The first transaction is applied and its answer lost."""

    def before(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""

    def after(self, name: str, operations: Sequence[Write]) -> None:
        super().before(name, operations)


def test_a_lost_answer_numbers_nothing_twice() -> None:
    world = World(LostAnswer(StoreUnavailable("lost"), 1))
    assert world.bring(an_emit(1), an_emit(2)) == ["m0", "m1"]
    assert world.bring(an_emit(1), an_emit(2), an_emit(3)) == []
    assert [(event.sequence, event.source_id) for event in world.log_of()] == [(n, f"1/r/{n}") for n in (1, 2, 3)]


def a_change(number: int = 1) -> Change:
    task = a_task(number)
    return Change(keys.task_key(task.task_id), None, new_task_attributes(task, Status.DISPATCHED, 1))


def lifecycle(sender: InMemorySender, sink: InMemorySink) -> LifecyclePorts:
    def log(_event: str, **_fields: Any) -> None:
        """Nobody reads it."""

    return LifecyclePorts(
        sink=sink,
        sender=sender,
        events_queue_url="events",
        quarantine_queue_url="quarantine",
        keyring=lambda: RING,
        log=log,
        measure=lambda _facts: None,
    )


def test_the_lifecycle_tells_the_streamer_every_fact_of_a_task() -> None:
    world = World()
    sender, sink = InMemorySender(world.clock), InMemorySink()
    publish_changes(lifecycle(sender, sink), [a_change()])
    assert world.bring(*sender.drain("events")) == []
    assert world.said() == ["TaskAccepted", "TaskDispatched"] == [fact.name for fact in sink.published]


NOBODYS = [
    a_fact(FactName.POLICY_CHANGED, None),
    a_fact(FactName.TASK_REJECTED),
    a_fact(FactName.COMMAND_REFUSED),
]


@pytest.mark.parametrize("fact", NOBODYS, ids=[fact.metadata.name for fact in NOBODYS])
def test_facts_that_are_of_no_task_stay_out_of_the_logs(fact: Fact) -> None:
    """A refused command names whatever task its sender likes, also one of another tenant."""
    assert told(fact) == []


def test_a_signature_is_of_the_very_bytes_that_travel() -> None:
    awkward = a_fact(reason="\ufffe \u2028 é \x7f")
    [message] = told(awkward)
    recorded = msgspec.json.decode(message.body, type=Recorded)
    assert recorded == sign_fact(bytes(recorded.fact), RING)
    world = World()
    assert world.bring(message) == []
    assert world.log_of()[0].data["reason"] == "\ufffe \u2028 é \x7f"


def test_a_head_of_the_first_form_stays_readable() -> None:
    world = World()
    stored = '{"tenant_id":"atlas","last":4,"epoch":2,"speakers":[[1,"r",3,[2]]],"fact_ids":["TaskAccepted-t-00"]}'
    world.store.write(Put(event_log.head_key(TASK), {"v": 1, "last": 4, "head": stored, "expires_at_s": 1}))
    world.bring(an_emit(2), an_emit(3), an_emit(4))
    assert [(event.sequence, event.source_id, event.stale) for event in world.log_of()] == [
        (5, "1/r/2", True),
        (6, "1/r/4", True),
    ]


@pytest.mark.parametrize(
    ("counts", "metrics"),
    [
        ({}, {}),
        ({"recorded": 0, "refused": 0}, {}),
        ({"recorded": 3, "stale": 1, "refused": 2}, {"EventsRecorded": 3, "EventsStale": 1, "EventsRefused": 2}),
    ],
)
def test_counts_become_metrics(counts: Mapping[str, int], metrics: Mapping[str, int]) -> None:
    lines = stream_metrics(counts, NOW, "local")
    assert [{name: line[name] for name in line if name.startswith("Events")} for line in lines] == [metrics][
        : bool(metrics)
    ]
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert {one["Name"] for one in directive["Metrics"]} == metrics.keys()
