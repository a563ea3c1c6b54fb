"""The rules of the event log: every event once, one gap-free numbering, late attempts marked, reads that resume."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.timeline import LoggedEvent, Origin
from pushlane.ports import Delete, Table, TransactionCancelled
from pushlane.state import event_log
from pushlane.state.event_log import Appended, Head, Said, append, read_events, writes
from tests.unit.values import NOW

TASK = "t-1"
WEEK = 7 * 24 * 3600


def emit(number: int, epoch: int = 1, runner: str = "r1", **changed: Any) -> Said:
    said = Said(
        tenant_id="atlas",
        task_id=TASK,
        origin=Origin.AGENT,
        kind="token",
        at_ms=NOW,
        source_id=f"{epoch}/{runner}/{number}",
        epoch=epoch,
        runner=runner,
        number=number,
    )
    return msgspec.structs.replace(said, **changed)


def fact(name: str, epoch: int = 1, **changed: Any) -> Said:
    said = Said(
        tenant_id="atlas",
        task_id=TASK,
        origin=Origin.FACT,
        kind=name,
        at_ms=NOW,
        source_id=f"{name}-{epoch}".ljust(32, "0"),
        epoch=epoch,
    )
    return msgspec.structs.replace(said, **changed)


def sources(done: Appended) -> list[str]:
    return [event.source_id for event in done.events]


class World:
    """One log in memory, written as the streamer writes it."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = InMemoryItemStore(self.clock)

    @property
    def head(self) -> Head | None:
        key = event_log.head_key(TASK)
        item = self.store.get([key]).get(key)
        return None if item is None else event_log.head_of(item.attributes)

    def say(self, *said: Said) -> Appended:
        before = self.head
        done = append(before, said)
        self.commit(before, done, "-".join(one.source_id for one in said)[-36:])
        return done

    def commit(self, before: Head | None, done: Appended, token: str) -> None:
        self.store.transact(writes(TASK, before, done, NOW, WEEK), token)

    def read(self, after: int = 0, limit: int = 100) -> event_log.LogPage:
        return read_events(self.store, TASK, after=after, limit=limit)


def test_events_are_numbered_in_the_order_of_their_arrival() -> None:
    first = append(None, [fact("TaskAccepted", 0), emit(1), emit(2)])
    second = append(first.head, [fact("TaskSucceeded", ends=True)])
    assert [event.sequence for event in (*first.events, *second.events)] == [1, 2, 3, 4]
    assert second.head.last == 4


def test_what_is_delivered_again_is_known_however_late() -> None:
    said = [fact("TaskAccepted", 0), emit(1), emit(2), fact("TaskStarted")]
    first = append(None, said)
    again = append(first.head, [*said, emit(3)])
    assert (again.repeated, sources(again)) == (4, ["1/r1/3"])


def test_an_emit_that_was_overtaken_is_taken_once_when_it_comes() -> None:
    head = append(None, [emit(1), emit(4)]).head
    late = append(head, [emit(3), emit(3), emit(2), emit(4), emit(1)])
    assert (sources(late), late.repeated) == (["1/r1/3", "1/r1/2"], 3)


def test_a_number_far_ahead_is_remembered_in_bounded_space() -> None:
    head = append(None, [emit(1), emit(2**52)]).head
    (speaker,) = head.speakers
    assert len(speaker.missing) == event_log.MISSING_MAX
    assert append(head, [emit(5)]).repeated == 1


@given(st.lists(st.integers(1, 30), max_size=80))
def test_every_number_within_the_window_is_taken_just_once(numbers: list[int]) -> None:
    done = append(None, [emit(1), *(emit(number) for number in numbers)])
    assert sorted(event.source_id for event in done.events) == sorted({f"1/r1/{n}" for n in (1, *numbers)})
    assert [event.sequence for event in done.events] == list(range(1, len(done.events) + 1))


@pytest.mark.parametrize("newer", [emit(1, epoch=2, runner="r2"), fact("TaskDispatched", epoch=2)])
def test_an_emit_of_an_attempt_that_was_followed_by_another_is_recorded_as_stale(newer: Said) -> None:
    head = append(None, [emit(1), newer]).head
    late = append(head, [emit(2), emit(2, epoch=2, runner="r2")])
    assert [(event.epoch, event.stale) for event in late.events] == [(1, True), (2, False)]


def test_an_emit_after_the_end_of_the_task_is_recorded_as_stale_and_a_fact_is_not() -> None:
    head = append(None, [emit(1), fact("TaskCancelled", ends=True)]).head
    late = append(head, [emit(2), fact("ResultStale")])
    assert [event.stale for event in late.events] == [True, False]


def test_a_fact_of_an_earlier_attempt_makes_no_later_one_stale() -> None:
    head = append(None, [emit(1, epoch=2, runner="r2"), fact("ResultStale", epoch=1)]).head
    assert [event.stale for event in append(head, [emit(2, epoch=2, runner="r2")]).events] == [False]


def test_only_the_latest_attempts_are_remembered_and_older_ones_are_refused_rather_than_repeated() -> None:
    head = append(None, [emit(1, epoch=epoch) for epoch in range(1, event_log.SPEAKERS_MAX + 2)]).head
    assert len(head.speakers) == event_log.SPEAKERS_MAX
    late = append(head, [emit(1, epoch=1), emit(1, epoch=2), emit(2, epoch=2)])
    assert [why for _, why in late.refused] == ["attempt-too-old"]
    assert (late.repeated, sources(late)) == (1, ["2/r1/2"])


def test_the_facts_of_a_whole_stream_batch_are_known_when_it_comes_again() -> None:
    batch = [fact("TaskRetrying", epoch) for epoch in range(101)]
    head = append(None, batch).head
    assert append(head, batch).repeated == 101
    assert len(append(head, [fact("TaskParked", epoch) for epoch in range(101)]).head.fact_ids) == event_log.FACTS_MAX


def test_nobody_writes_into_the_log_of_another_tenants_task() -> None:
    head = append(None, [fact("TaskAccepted")]).head
    done = append(head, [fact("BudgetExceeded", tenant_id="birch")])
    assert (done.events, [why for _, why in done.refused]) == ((), ["another-tenant"])


def test_two_streamers_cannot_give_a_number_twice() -> None:
    world = World()
    before = world.head
    mine, other = append(before, [emit(1)]), append(before, [fact("TaskAccepted")])
    world.commit(before, mine, "mine")
    with pytest.raises(TransactionCancelled):
        world.commit(before, other, "other")
    before = world.head
    mine, other = append(before, [emit(2)]), append(before, [fact("TaskAccepted")])
    world.commit(before, other, "other again")
    with pytest.raises(TransactionCancelled):
        world.commit(before, mine, "mine again")
    assert [event.source_id[:6] for event in world.read().events] == ["1/r1/1", "TaskAc"]


def test_what_is_written_is_read_back() -> None:
    world = World()
    (said,) = world.say(emit(1, data={"text": "é", "n": [1, None, 2.5]})).events
    assert world.read().events == (said,)
    assert isinstance(said, LoggedEvent)


def ids(events: Iterable[LoggedEvent]) -> list[int]:
    return [event.sequence for event in events]


def test_a_reader_resumes_after_any_sequence_and_sees_all() -> None:
    world = World()
    world.say(*(emit(number) for number in range(1, 8)))
    for size in (1, 2, 3, 7, 100):
        for after in range(8):
            seen: list[int] = []
            page = world.read(after, size)
            while page.events:
                seen += ids(page.events)
                assert (page.expired, page.more) == (False, page.last < 7)
                page = world.read(page.last, size)
            assert (seen, page.last, page.expired) == (list(range(after + 1, 8)), 7, False)


def test_a_log_that_is_not_there_yet_is_empty() -> None:
    assert World().read() == event_log.LogPage(events=(), last=0)


def test_events_that_have_expired_are_missed_openly() -> None:
    world = World()
    world.say(*(emit(number) for number in range(1, 6)))
    for sequence in (1, 2):
        world.store.write(Delete(event_log.event_key(TASK, sequence)))
    assert (ids(world.read().events), world.read().expired) == ([3, 4, 5], True)
    assert (world.read(1).expired, world.read(2).expired) == (True, False)
    for sequence in (3, 4, 5):
        world.store.write(Delete(event_log.event_key(TASK, sequence)))
    assert (world.read(3).last, world.read(3).expired, world.read(5).expired) == (5, True, False)
    world.store.write(Delete(event_log.head_key(TASK)))
    assert (world.read(5).expired, world.read(0).expired) == (True, False)


def test_events_expire_after_the_retention_and_their_head_later() -> None:
    world = World()
    world.say(emit(1))
    running = {item.key.sk: int(str(item.attributes["expires_at_s"])) for item in world.store.items(Table.EVENTS)}
    assert running["000000000001"] == NOW // 1_000 + WEEK
    world.say(fact("TaskSucceeded", ends=True))
    ended = {item.key.sk: int(str(item.attributes["expires_at_s"])) for item in world.store.items(Table.EVENTS)}
    assert running["HEAD"] > ended["HEAD"] > ended["000000000002"] + 14 * 24 * 3600
