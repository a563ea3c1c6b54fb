"""What a turn reads: as much with two thousand waiting tasks as with ten, and nothing that could not run."""

import msgspec
import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.task import Status, Task
from pushlane.ports import Put
from pushlane.scheduling.snapshot import PoolSnapshot, WakeView, entry_of, shape_of
from pushlane.state import keys
from pushlane.state.items import entry_attributes, new_attempt_attributes, new_task_attributes, outcome_attributes
from pushlane.state.loading import (
    DUE_MAX,
    LANES_MAX,
    load_attempt,
    load_due,
    load_lane_depths,
    load_pool,
    load_tasks,
)
from tests.unit.state.worlds import build, park
from tests.unit.values import NOW, POOL, CountedCalls, a_task, an_agent, an_attempt, an_entry, an_outcome


def many(count: int, *, tenants: int = 5, **changed: object) -> list[Task]:
    return [a_task(n, tenant_id=f"tenant-{n % tenants}", **changed) for n in range(count)]


def store_with(tasks: list[Task], *agents: Agent) -> tuple[InMemoryItemStore, CountedCalls]:
    store, calls = build(agents, [], [], [])
    park(store, [entry_of(task) for task in tasks])
    calls.calls.clear()
    return store, calls


def test_an_empty_pool_is_one_read() -> None:
    store, calls = store_with([])
    assert load_pool(store, POOL, {}) == PoolSnapshot(pool=POOL, agents=())
    assert calls.calls == ["query"]


def test_the_number_of_reads_does_not_grow_with_the_backlog() -> None:
    counted = []
    for count in (10, 2_000):
        store, calls = store_with(many(count), an_agent(slots=3))
        snapshot = load_pool(store, POOL, {})
        counted.append(list(calls.calls))
        assert all(len(lane.heads) <= 4 for lane in snapshot.lanes)
    assert counted[0] == counted[1] == ["query"] * (1 + 1 + 3)


def test_the_number_of_lanes_that_are_read_has_a_limit() -> None:
    store, calls = store_with(many(60, tenants=30), an_agent(slots=500))
    snapshot = load_pool(store, POOL, {})
    assert len(snapshot.lanes) == LANES_MAX
    assert len(calls.calls) == 1 + 1 + LANES_MAX


def test_the_lanes_with_the_oldest_heads_are_read_first_and_their_oldest_entries() -> None:
    store, _ = store_with(many(40, tenants=8), an_agent(slots=2))
    first, second = load_pool(store, POOL, {}).lanes
    assert (first.ref.tenant_id, second.ref.tenant_id) == ("tenant-0", "tenant-1")
    assert [entry.task_id for entry in first.heads] == ["t-0000", "t-0008", "t-0016"]
    assert (first.depth, first.complete) == (5, False)


@pytest.mark.parametrize(("count", "complete"), [(2, True), (3, False)])
def test_a_lane_is_complete_if_no_more_is_left_than_may_be_taken(count: int, complete: bool) -> None:
    store, _ = store_with(many(count, tenants=1), an_agent(slots=2))
    [lane] = load_pool(store, POOL, {}).lanes
    assert (lane.depth, lane.complete) == (count, complete)


@pytest.mark.parametrize(
    "agent",
    [
        an_agent(slots=2, used=2),
        an_agent(slots=1, used=3),
        an_agent(slots=2, status=AgentStatus.DRAINING),
        an_agent(slots=2, capabilities=frozenset({"other"})),
    ],
)
def test_work_that_could_not_run_is_counted_and_not_read(agent: Agent) -> None:
    store, calls = store_with(many(10), agent)
    store.write(Put(keys.agent_key(POOL, "one"), agent_attributes(agent)))
    calls.calls.clear()
    snapshot = load_pool(store, POOL, {})
    assert (snapshot.lanes, calls.calls) == ((), ["query"])
    assert [(shape.capabilities, shape.lanes) for shape in snapshot.shapes] == [(("work",), 5)]


def agent_attributes(agent: Agent) -> dict[str, str | int | bool | list[str]]:
    plain = msgspec.to_builtins(agent)
    return {**plain, "capabilities": sorted(agent.capabilities)}


def test_a_blocked_shape_hides_no_other() -> None:
    store, _ = store_with([], an_agent("cpu", slots=1, capabilities=frozenset({"cpu"})))
    park(store, [entry_of(task) for task in many(4, capabilities=("gpu",))])
    park(store, [entry_of(task) for task in many(4, capabilities=("cpu",))])
    snapshot = load_pool(store, POOL, {})
    assert {lane.ref.shape for lane in snapshot.lanes} == {shape_of(("cpu",))}
    assert len(snapshot.shapes) == 2


def test_a_slot_that_the_turns_own_inputs_free_counts_as_free() -> None:
    full = an_agent(slots=1, used=1)
    store, _ = store_with(many(3))
    store.write(Put(keys.agent_key(POOL, "one"), agent_attributes(full)))
    assert load_pool(store, POOL, {}).lanes == ()
    assert len(load_pool(store, POOL, {"one": 1}).lanes) == 1
    assert load_pool(store, POOL, {"another": 1}).lanes == ()


def test_the_recorded_wake_up_is_part_of_the_snapshot() -> None:
    store, _ = store_with([], an_agent())
    assert load_pool(store, POOL, {}).wake == WakeView()
    store.write(Put(keys.wake_key(POOL), {"generation": 4, "due_ms": 99}))
    assert load_pool(store, POOL, {}).wake == WakeView(generation=4, due_ms=99)


def test_depths_are_one_read_and_an_unknown_lane_is_empty() -> None:
    store, calls = store_with(many(7, tenants=2))
    known = [keys.lane_of(entry_of(task)) for task in many(2, tenants=2)]
    unknown = keys.lane_of(an_entry(tenant_id="nobody"))
    assert load_lane_depths(store, POOL, [*known, unknown]) == {known[0]: 4, known[1]: 3, unknown: 0}
    assert calls.calls == ["get"]
    assert load_lane_depths(store, POOL, []) == {}
    assert calls.calls == ["get"]


def test_tasks_and_attempts_are_read_by_their_ids() -> None:
    store, calls = store_with([])
    for task in many(3):
        store.write(Put(keys.task_key(task.task_id), new_task_attributes(task, Status.PARKED, 0)))
    store.write(Put(keys.attempt_key(POOL, "t-0001"), new_attempt_attributes(an_attempt(1))))
    calls.calls.clear()
    assert load_tasks(store, ["t-0001", "t-0001", "t-9999"]) == {"t-0001": many(2)[1]}
    assert load_tasks(store, []) == {}
    assert load_attempt(store, POOL, "t-0001") == an_attempt(1)
    assert load_attempt(store, POOL, "t-0002") is None
    assert calls.calls == ["get"] * 3


def due_store() -> InMemoryItemStore:
    return InMemoryItemStore(ManualClock(NOW), faults=CountedCalls())


def lease(store: InMemoryItemStore, number: int, until_ms: int, *, finished: bool = False) -> None:
    attributes = new_attempt_attributes(an_attempt(number, lease_until_ms=until_ms))
    more = outcome_attributes(an_outcome()) | {"runner": "call"} if finished else {}
    store.write(Put(keys.attempt_key(POOL, f"t-{number:04d}"), {**attributes, **more}))


def delay(store: InMemoryItemStore, number: int, due_ms: int) -> None:
    entry = an_entry(number, epoch=1)
    store.write(Put(keys.delayed_key(POOL, due_ms, entry.task_id), entry_attributes(entry)))


def test_nothing_is_due_in_an_empty_pool() -> None:
    due = load_due(due_store(), POOL, NOW)
    assert (due.attempts, due.retries, due.next_due_ms) == ((), (), None)


def test_what_has_expired_is_due_oldest_first_and_the_rest_says_when() -> None:
    store = due_store()
    for number, until_ms in enumerate([NOW + 5, NOW, NOW - 9, NOW + 1]):
        lease(store, number, until_ms, finished=number == 1)
    delay(store, 10, NOW - 1)
    delay(store, 11, NOW + 3)
    due = load_due(store, POOL, NOW)
    assert [attempt.task_id for attempt in due.attempts] == ["t-0002", "t-0001"]
    assert [attempt.outcome is not None for attempt in due.attempts] == [False, True]
    assert [(at, entry.task_id, entry.epoch) for at, entry in due.retries] == [(NOW - 1, "t-0010", 1)]
    assert due.next_due_ms == NOW + 1


@pytest.mark.parametrize("retries", [False, True])
def test_no_more_is_due_at_once_than_a_turn_takes_and_the_rest_is_due_next(retries: bool) -> None:
    store = due_store()
    for number in range(3 * DUE_MAX):
        if retries:
            delay(store, number, NOW - 100 + number)
        else:
            lease(store, number, NOW - 100 + number)
    due = load_due(store, POOL, NOW)
    first = [entry.task_id for _, entry in due.retries] if retries else [a.task_id for a in due.attempts]
    assert first == [f"t-{number:04d}" for number in range(DUE_MAX)]
    assert due.next_due_ms is not None
    assert NOW - 100 + DUE_MAX <= due.next_due_ms <= NOW


def test_looking_for_what_is_due_costs_five_reads_however_much_is_live() -> None:
    for count in (1, 200):
        calls = CountedCalls()
        store = InMemoryItemStore(ManualClock(NOW), faults=calls)
        for number in range(count):
            lease(store, number, NOW + number)
        calls.calls.clear()
        load_due(store, POOL, NOW)
        assert calls.calls == ["query"] * (keys.ATTEMPT_BUCKETS + 1)
