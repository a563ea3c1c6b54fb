"""What a turn reads: as much with two thousand waiting tasks as with ten, and nothing that could not run."""

import msgspec
import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import OutcomeKind
from pushlane.model.policy import Policy, Rate, SlotsOf, TaskTypePolicy, TenantPolicy
from pushlane.model.task import DeadlineKind, Status, Task, Tier
from pushlane.ports import Put
from pushlane.scheduling.entry import entry_of, lane_of, shape_of
from pushlane.scheduling.snapshot import (
    AccountView,
    LaneState,
    PoolSnapshot,
    ResourceView,
    RetryState,
    TenantView,
    WakeView,
)
from pushlane.state import keys
from pushlane.state.items import (
    entry_attributes,
    new_attempt_attributes,
    new_task_attributes,
    outcome_attributes,
    task_of,
)
from pushlane.state.loading import (
    DUE_MAX,
    PoolItems,
    load_attempt,
    load_due,
    load_limits,
    load_pool,
    load_retry_states,
    load_task_items,
)
from tests.unit.state.worlds import POLICY, build, look, park
from tests.unit.values import (
    NOW,
    POOL,
    CountedCalls,
    a_finish,
    a_task,
    agent_item,
    an_agent,
    an_arrival,
    an_attempt,
    an_entry,
    an_outcome,
)


def many(count: int, *, tenants: int = 5, **changed: object) -> list[Task]:
    return [a_task(n, tenant_id=f"tenant-{n % tenants}", **changed) for n in range(count)]


def store_with(tasks: list[Task], *agents: Agent) -> tuple[InMemoryItemStore, CountedCalls]:
    store, calls = build(agents, [], [], [])
    park(store, [entry_of(task, POLICY) for task in tasks])
    calls.calls.clear()
    return store, calls


def test_an_empty_pool_is_one_read() -> None:
    store, calls = store_with([])
    empty = PoolSnapshot(pool=POOL, agents=(), policy=POLICY)
    assert load_pool(store, POOL, POLICY) == PoolItems(snapshot=empty)
    assert calls.calls == ["query"]


def test_the_number_of_reads_does_not_grow_with_the_backlog() -> None:
    counted = []
    for count in (10, 2_000):
        store, calls = store_with(many(count), an_agent(slots=3))
        snapshot = look(store)
        counted.append(list(calls.calls))
        assert all(len(lane.on_time) <= 4 for lane in snapshot.lanes)
    assert counted[0] == counted[1]
    assert len(counted[0]) <= 9


def test_the_number_of_lanes_that_are_read_has_a_limit() -> None:
    counted = []
    for tenants in (30, 60):
        store, calls = store_with(many(2 * tenants, tenants=tenants), an_agent(slots=500))
        assert 10 <= len(look(store).lanes) <= 20
        counted.append(len(calls.calls))
    assert counted[0] == counted[1] <= 20


def test_the_lanes_with_the_lowest_virtual_times_are_read_first_and_their_least_lax_entries() -> None:
    store, _ = store_with([], an_agent(slots=2))
    tags = {f"tenant-{n}": 1_000_000 * (8 - n) for n in range(8)}
    park(store, [entry_of(task, POLICY) for task in many(40, tenants=8)], tags)
    lanes = {lane.ref.tenant_id: lane for lane in look(store).lanes}
    assert {"tenant-7", "tenant-6"} <= lanes.keys()
    assert "tenant-0" not in lanes
    first = lanes["tenant-7"]
    assert [entry.task_id for entry in first.on_time] == ["t-0007", "t-0015", "t-0023"]
    assert (first.state.depth, first.on_time_complete) == (5, False)


def test_a_higher_tier_is_read_before_a_lower_one_with_a_lower_virtual_time() -> None:
    store, _ = store_with([], an_agent(slots=1))
    park(store, [entry_of(task, POLICY) for task in many(2, tenants=1, tier=Tier.HIGH)], {"tenant-0": 9_000_000})
    park(store, [entry_of(task, POLICY) for task in many(60, tenants=30, tier=Tier.LOW)])
    assert look(store).lanes[0].ref.tier is Tier.HIGH


@pytest.mark.parametrize(("count", "complete"), [(2, True), (3, False)])
def test_a_lane_is_complete_if_no_more_is_left_than_may_be_taken(count: int, complete: bool) -> None:
    store, _ = store_with(many(count, tenants=1), an_agent(slots=2))
    [lane] = look(store).lanes
    assert (lane.state.depth, lane.on_time_complete) == (count, complete)


def test_late_work_is_read_apart_while_slots_are_left() -> None:
    late, soon = many(3, tenants=1, deadline_ms=NOW + 1_000), many(2, tenants=1)
    store, _ = store_with(
        [*late, *[msgspec.structs.replace(t, task_id=f"s-{t.task_id}") for t in soon]], an_agent(slots=4)
    )
    [lane] = look(store).lanes
    assert [entry.task_id for entry in lane.on_time] == ["s-t-0000", "s-t-0001"]
    assert [entry.task_id for entry in lane.late] == ["t-0000", "t-0001", "t-0002"]


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
    store, _ = store_with(many(10))
    store.write(agent_item(agent))
    snapshot = look(store)
    assert snapshot.lanes == ()
    assert [(shape.capabilities, shape.lanes) for shape in snapshot.shapes] == [(("work",), {Tier.NORMAL: 5})]


def test_a_blocked_shape_hides_no_other() -> None:
    store, _ = store_with([], an_agent("cpu", slots=1, capabilities=frozenset({"cpu"})))
    park(store, [entry_of(task, POLICY) for task in many(4, capabilities=("gpu",))])
    park(store, [entry_of(task, POLICY) for task in many(4, capabilities=("cpu",))])
    snapshot = look(store)
    assert {lane.ref.shape for lane in snapshot.lanes} == {shape_of(("cpu",))}
    assert len(snapshot.shapes) == 2


def test_a_slot_that_the_turns_own_inputs_free_counts_as_free() -> None:
    store, _ = store_with(many(3))
    store.write(agent_item(an_agent(slots=1, used=1)))
    assert look(store).lanes == ()
    assert look(store, [a_finish(9)]).lanes != ()
    assert look(store, [a_finish(9, agent_id="another")]).lanes == ()


def test_the_recorded_wake_up_the_clocks_and_who_waits_are_part_of_the_pool() -> None:
    store, _ = store_with([], an_agent())
    assert load_pool(store, POOL, POLICY).snapshot.wake == WakeView()
    store.write(Put(keys.wake_key(POOL), {"generation": 4, "due_ms": 99}))
    store.write(Put(keys.tier_key(POOL, Tier.LOW), {"served_ms": 7}))
    store.write(Put(keys.waits_key(keys.pool_pk(POOL), "other"), {"v": 1}))
    items = load_pool(store, POOL, POLICY)
    assert items.snapshot.wake == WakeView(generation=4, due_ms=99)
    assert {tier: view.served_ms for tier, view in items.snapshot.tiers.items()} == {Tier.LOW: 7}
    assert items.waiting_pools == ("other",)


def loaded(store: InMemoryItemStore, policy: Policy = POLICY) -> PoolSnapshot:
    return load_pool(store, POOL, policy).snapshot


def test_lanes_that_arrivals_would_wait_in_are_one_read_and_an_unknown_lane_is_empty() -> None:
    store, calls = store_with(many(7, tenants=2))
    pool = loaded(store)
    calls.calls.clear()
    arrivals = [an_arrival(50, tenant_id="tenant-0"), an_arrival(51, tenant_id="nobody")]
    states = load_limits(store, pool, arrivals).lane_states
    assert calls.calls == ["get"]
    assert {ref.tenant_id: state.depth for ref, state in states.items()} == {"tenant-0": 4, "nobody": 0}
    assert states[lane_of(arrivals[1].entry)] == LaneState()
    assert load_limits(store, pool, []) == pool
    assert calls.calls == ["get"]


def test_a_yielded_attempts_lane_is_read_like_an_arrivals() -> None:
    store, _ = store_with(many(3, tenants=1))
    entry = an_entry(9, tenant_id="tenant-0", epoch=1)
    state = RetryState(entry=entry, retry=a_task().retry)
    yielded = a_finish(9, an_outcome(OutcomeKind.YIELDED), state, tenant_id="tenant-0")
    assert load_limits(store, loaded(store), [yielded]).lane_states[lane_of(entry)].depth == 3


LIMITED = Policy(
    tenants={"b": TenantPolicy(in_flight_max=2)},
    resources={"llm": Rate(per_minute=60, shards=2), "browsers": SlotsOf(slots=3)},
    task_types={"work": TaskTypePolicy(resources=("browsers", "llm"))},
)


def test_limits_that_inputs_lean_on_are_read_and_nothing_beside() -> None:
    store, calls = store_with([])
    store.write(Put(keys.account_key(POOL, Tier.NORMAL, "b"), {"virtual_ms": 5}))
    store.write(Put(keys.tenant_limits_key("b"), {"in_flight": 1}))
    store.write(Put(keys.tenant_limits_key("atlas"), {"in_flight": 1}))
    store.write(Put(keys.resource_key("llm", 1), {"tat_us": 8}))
    pool = loaded(store, LIMITED)
    calls.calls.clear()
    snapshot = load_limits(store, pool, [an_arrival(1, LIMITED, tenant_id="b"), an_arrival(2)])
    assert calls.calls == ["get"]
    assert snapshot.accounts == {(Tier.NORMAL, "b"): AccountView(virtual_ms=5), (Tier.NORMAL, "atlas"): AccountView()}
    assert snapshot.tenants == {"b": TenantView(in_flight=1)}
    assert set(snapshot.resources) == {
        ResourceView(name="browsers"),
        ResourceView(name="llm"),
        ResourceView(name="llm", shard=1, tat_us=8),
    }


def test_what_is_known_already_is_not_read_again() -> None:
    store, calls = store_with([])
    arrival = an_arrival(1, LIMITED, tenant_id="b")
    snapshot = load_limits(store, loaded(store, LIMITED), [arrival])
    calls.calls.clear()
    assert load_limits(store, snapshot, [], [lane_of(arrival.entry)]) == snapshot
    assert calls.calls == []


def test_tasks_and_attempts_are_read_by_their_ids() -> None:
    store, calls = store_with([])
    for task in many(3):
        store.write(Put(keys.task_key(task.task_id), new_task_attributes(task, Status.PARKED, 0)))
    store.write(Put(keys.attempt_key(POOL, "t-0001"), new_attempt_attributes(an_attempt(1))))
    calls.calls.clear()
    found = load_task_items(store, ["t-0001", "t-0001", "t-9999"])
    assert {task_id: task_of(stored) for task_id, stored in found.items()} == {"t-0001": many(2)[1]}
    assert load_task_items(store, []) == {}
    assert load_attempt(store, POOL, "t-0001") == an_attempt(1)
    assert load_attempt(store, POOL, "t-0002") is None
    assert calls.calls == ["get"] * 3


def test_what_a_retry_needs_is_read_with_the_attempts_that_cost_it_nothing() -> None:
    store, _ = store_with([])
    task = a_task(1)
    store.write(Put(keys.task_key("t-0001"), {**new_task_attributes(task, Status.DISPATCHED, 3), "uncounted": 2}))
    states = load_retry_states(store, [("t-0001", 3), ("t-0404", 1)], POLICY)
    assert states == {("t-0001", 3): RetryState(entry=entry_of(task, POLICY, 3, 2), retry=task.retry)}


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
    assert (due.attempts, due.ready, due.deadlines, due.next_due_ms) == ((), (), (), None)


def test_what_has_expired_is_due_oldest_first_and_the_rest_says_when() -> None:
    store = due_store()
    for number, until_ms in enumerate([NOW + 5, NOW, NOW - 9, NOW + 1]):
        lease(store, number, until_ms, finished=number == 1)
    delay(store, 10, NOW - 1)
    delay(store, 11, NOW + 3)
    due = load_due(store, POOL, NOW)
    assert [attempt.task_id for attempt in due.attempts] == ["t-0002", "t-0001"]
    assert [attempt.outcome is not None for attempt in due.attempts] == [False, True]
    assert [(one.due_ms, one.entry.task_id, one.entry.epoch) for one in due.ready] == [(NOW - 1, "t-0010", 1)]
    assert due.next_due_ms == NOW + 1


def test_a_hard_deadline_that_cannot_be_made_is_due_beside_the_retries() -> None:
    store = due_store()
    for number, deadline_ms in enumerate([NOW + 29_998, NOW + 29_999, NOW + 40_000]):
        entry = an_entry(number, deadline_ms=deadline_ms, deadline_kind=DeadlineKind.HARD)
        store.write(Put(keys.expiry_key(POOL, entry), entry_attributes(entry)))
    delay(store, 10, NOW - 1)
    due = load_due(store, POOL, NOW)
    assert [one.entry.task_id for one in due.deadlines] == ["t-0000", "t-0001"]
    assert [one.entry.task_id for one in due.ready] == ["t-0010"]
    assert due.next_due_ms == NOW + 10_001


@pytest.mark.parametrize("retries", [False, True])
def test_no_more_is_due_at_once_than_a_turn_takes_and_the_rest_is_due_next(retries: bool) -> None:
    store = due_store()
    for number in range(3 * DUE_MAX):
        if retries:
            delay(store, number, NOW - 100 + number)
        else:
            lease(store, number, NOW - 100 + number)
    due = load_due(store, POOL, NOW)
    first = [one.entry.task_id for one in due.ready] if retries else [a.task_id for a in due.attempts]
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
