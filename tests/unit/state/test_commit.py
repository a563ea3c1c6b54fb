"""A plan as one transaction: what each shared item's operation says, and what a decision's own operations ask."""

from typing import Any

import pytest

from pushlane.model.attempt import OutcomeKind
from pushlane.model.task import Task
from pushlane.ports import AtLeast, AtMost, Delete, Equals, Missing, Table, Update, Write
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    FromLane,
    Park,
    ParkReason,
    Plan,
    Retry,
)
from pushlane.scheduling.snapshot import (
    Arrival,
    Finished,
    LaneView,
    LeaseExpired,
    PoolSnapshot,
    RetryState,
    WakeView,
    entry_of,
)
from pushlane.state import keys
from pushlane.state.commit import OPERATIONS_MAX, Commit, compile_plan, slot_changes
from tests.unit.values import NOW, POOL, a_task, an_agent, an_attempt, an_entry, an_outcome, only_updates


def compiled(snapshot: PoolSnapshot, *decisions: Decision, wake_due_ms: int | None = None) -> Commit:
    return compile_plan(snapshot, Plan(decisions=decisions, wake_due_ms=wake_due_ms), {}, NOW, wake_due_ms)


def a_pool(*agents: Any, **more: Any) -> PoolSnapshot:
    return PoolSnapshot(pool=POOL, agents=agents or (an_agent(slots=3, used=1),), **more)


def a_dispatch(number: int = 1, agent_id: str = "one", handed_from: str | None = None) -> Dispatch:
    task = a_task(number)
    return Dispatch(
        entry=entry_of(task),
        epoch=1,
        agent_id=agent_id,
        lease_until_ms=NOW + 1,
        origin=Arrival(task),
        handed_from=handed_from,
    )


def a_completion(number: int = 9) -> Complete:
    return Complete(finished=Finished(f"t-{number:04d}", 1, "one", "call", an_outcome()))


def agent_update(commit: Commit, agent_id: str = "one") -> Update:
    return only_updates(commit.operations, Table.SCHEDULER)[keys.agent_key(POOL, agent_id)]


def test_a_reservation_holds_only_under_the_slots_that_were_read() -> None:
    update = agent_update(compiled(a_pool(), a_dispatch(1), a_dispatch(2)))
    assert update.add == {"used": 2, "revision": 1}
    assert update.conditions == (Equals("status", "ACTIVE"), Equals("slots", 3), AtMost("used", 1))


def test_a_release_never_counts_below_zero_and_asks_nothing_else() -> None:
    update = agent_update(compiled(a_pool(), a_completion(8), a_completion(9)))
    assert update.add == {"used": -2, "revision": 1}
    assert update.conditions == (AtLeast("used", 2),)


def test_a_handoff_releases_and_reserves_in_one_operation_and_bumps_the_revision() -> None:
    full = a_pool(an_agent(slots=3, used=3))
    update = agent_update(compiled(full, a_completion(), a_dispatch(handed_from="t-0009")))
    assert update.add == {"used": 0, "revision": 1}
    assert update.conditions == (
        AtLeast("used", 1),
        Equals("status", "ACTIVE"),
        Equals("slots", 3),
        AtMost("used", 3),
    )


def test_each_agent_has_its_own_operation() -> None:
    pool = a_pool(an_agent("one", slots=1), an_agent("two", slots=1))
    commit = compiled(pool, a_dispatch(1, "one"), a_dispatch(2, "two"))
    assert agent_update(commit, "one").add == agent_update(commit, "two").add == {"used": 1, "revision": 1}


def test_the_slot_of_an_agent_that_is_gone_is_not_counted() -> None:
    commit = compiled(a_pool(an_agent("two")), a_completion())
    assert only_updates(commit.operations, Table.SCHEDULER) == {}
    assert slot_changes([a_completion(), a_dispatch(), a_dispatch(2)]) == {"one": 1}


@pytest.mark.parametrize(
    ("wake", "conditions"),
    [(WakeView(), (Missing("generation"),)), (WakeView(generation=7, due_ms=NOW), (Equals("generation", 7),))],
)
def test_a_wake_up_is_recorded_once_for_each_generation(wake: WakeView, conditions: tuple[Any, ...]) -> None:
    commit = compiled(a_pool(wake=wake), a_dispatch(), wake_due_ms=NOW + 5)
    update = only_updates(commit.operations, Table.SCHEDULER)[keys.wake_key(POOL)]
    assert update.set == {"due_ms": NOW + 5, "generation": wake.generation + 1}
    assert update.conditions == conditions
    assert compiled(a_pool(wake=wake), a_dispatch()).operations[-1].key != keys.wake_key(POOL)


def a_lane(count: int, *, depth: int | None = None) -> LaneView:
    heads = tuple(an_entry(number) for number in range(1, count + 1))
    return LaneView(
        ref=keys.lane_of(heads[0]), depth=depth or count, heads=heads, complete=depth is None or depth == count
    )


def from_lane(lane: LaneView, count: int) -> list[Decision]:
    return [
        Dispatch(entry=entry, epoch=1, agent_id="one", lease_until_ms=NOW + 1, origin=FromLane())
        for entry in lane.heads[:count]
    ]


def test_a_lane_that_is_emptied_leaves_the_index_only_if_nothing_was_parked_beside_it() -> None:
    lane = a_lane(2)
    updates = only_updates(compiled(a_pool(lanes=(lane,)), *from_lane(lane, 2)).operations, Table.SCHEDULER)
    emptied = updates[keys.lane_key(POOL, lane.ref)]
    assert (emptied.add, emptied.remove, emptied.set) == ({"depth": -2}, ("turn_key",), {})
    assert emptied.conditions == (Equals("depth", 2),)
    shape = updates[keys.shape_key(POOL, lane.ref.shape)]
    assert (shape.add, shape.conditions) == ({"lanes": -1}, (AtLeast("lanes", 1),))


def test_a_lane_that_is_not_emptied_stays_in_the_index_under_its_next_head() -> None:
    lane = a_lane(3)
    updates = only_updates(compiled(a_pool(lanes=(lane,)), *from_lane(lane, 2)).operations, Table.SCHEDULER)
    kept = updates[keys.lane_key(POOL, lane.ref)]
    assert (kept.add, kept.remove) == ({"depth": -2}, ())
    assert kept.set == {"turn_key": keys.entry_order(lane.heads[2])}
    assert kept.conditions == (AtLeast("depth", 3),)
    assert keys.shape_key(POOL, lane.ref.shape) not in updates


def test_a_shape_counts_each_lane_that_opens_or_closes_once() -> None:
    closing = a_lane(1)
    opening = [a_task(50 + n, tenant_id=tenant) for n, tenant in enumerate("bcb")]
    parks: list[Decision] = [
        Park(entry=entry_of(task), reason=ParkReason.CAPACITY, origin=Arrival(task)) for task in opening
    ]
    commit = compiled(a_pool(lanes=(closing,)), *from_lane(closing, 1), *parks)
    shape = only_updates(commit.operations, Table.SCHEDULER)[keys.shape_key(POOL, closing.ref.shape)]
    assert shape.add == {"lanes": 1}  # two opened, one closed
    assert shape.set == {"capabilities": ["work"]}


def test_what_does_not_fit_is_left_for_the_next_transaction() -> None:
    tasks = [a_task(number, tenant_id=f"tenant-{number}") for number in range(60)]
    parks = [Park(entry=entry_of(task), reason=ParkReason.CAPACITY, origin=Arrival(task)) for task in tasks]
    commit = compiled(a_pool(), *parks, wake_due_ms=NOW)
    assert not commit.complete
    assert 20 <= len(commit.decisions) < 60
    assert len(commit.operations) <= OPERATIONS_MAX


def test_payloads_are_weighed_so_that_a_transaction_stays_under_four_megabytes() -> None:
    tasks = [a_task(number, payload={"text": "x" * 300_000}) for number in range(15)]
    commit = compiled(a_pool(an_agent(slots=15)), *[dispatch_of(task) for task in tasks])
    assert not commit.complete
    assert 1 < len(commit.decisions) * 300_000 < 3_600_000


def dispatch_of(task: Task) -> Dispatch:
    return Dispatch(entry=entry_of(task), epoch=1, agent_id="one", lease_until_ms=NOW + 1, origin=Arrival(task))


def test_an_end_is_fenced_by_the_runners_own_word_or_by_the_exact_lease_that_ran_out() -> None:
    [ended] = deletes(compiled(a_pool(), a_completion()))
    assert [type(one).__name__ for one in ended.conditions] == ["Equals"] * 3
    assert {one.name for one in ended.conditions if isinstance(one, Equals)} == {"epoch", "runner", "outcome_digest"}
    attempt = an_attempt(runner="call")
    expired = LeaseExpired(attempt, RetryState(entry=an_entry(epoch=1), retry=a_task().retry))
    retry = Retry(ended=expired, entry=an_entry(epoch=1), due_ms=NOW + 9, error=error())
    [reclaimed] = deletes(compiled(a_pool(), retry))
    assert reclaimed.conditions == (
        Equals("epoch", 1),
        Equals("lease_until_ms", attempt.lease_until_ms),
        Missing("outcome_digest"),
    )


def deletes(commit: Commit) -> list[Delete]:
    return [one for one in commit.operations if isinstance(one, Delete)]


def error() -> Any:
    return an_outcome(OutcomeKind.FAILED).error


def test_a_retry_is_delayed_in_the_transaction_that_ends_its_attempt() -> None:
    expired = LeaseExpired(an_attempt(runner="call"), RetryState(entry=an_entry(epoch=1), retry=a_task().retry))
    commit = compiled(a_pool(), Retry(ended=expired, entry=an_entry(epoch=1), due_ms=NOW + 9, error=error()))
    written: list[Write] = [one for one in commit.operations if one.key.pk == keys.delayed_pk(POOL)]
    assert [one.key for one in written] == [keys.delayed_key(POOL, NOW + 9, "t-0001")]
