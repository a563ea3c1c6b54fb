"""A pool in a store: agents, waiting tasks, delayed tasks and live attempts, stored as the turns before left them."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, Outcome, OutcomeKind
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Task, Tier
from pushlane.ports import Item, ItemStore, Key, Put, Scalar, Table, Update
from pushlane.scheduling.entry import Entry, LaneRef, entry_of, lane_of
from pushlane.scheduling.snapshot import (
    Finished,
    Input,
    LeaseExpired,
    PoolSnapshot,
    Ready,
    RetryState,
)
from pushlane.state import keys
from pushlane.state.heads import load_heads
from pushlane.state.items import (
    agent_of,
    attempt_of,
    entry_attributes,
    entry_of_item,
    lanes_attribute,
    new_attempt_attributes,
    new_task_attributes,
    outcome_attributes,
    shape_of_item,
)
from pushlane.state.loading import load_limits, load_pool
from tests.unit.values import NOW, POOL, CountedCalls, agent_item

POLICY = Policy()


class Live(Struct, frozen=True):
    """A live attempt and how it ends: with the outcome, or (None) by running out its lease."""

    task: Task
    attempt: Attempt
    outcome: Outcome | None


def look(store: ItemStore, pending: Sequence[Input] = (), policy: Policy = POLICY, now_ms: int = NOW) -> PoolSnapshot:
    """The snapshot of a turn that has to look at everything that competes."""
    return load_heads(store, load_limits(store, load_pool(store, POOL, policy).snapshot, pending), pending, now_ms)


def build(
    agents: Sequence[Agent],
    parked: Sequence[Task],
    delayed: Sequence[Task],
    live: Sequence[Live],
    policy: Policy = POLICY,
) -> tuple[InMemoryItemStore, CountedCalls]:
    """The store of such a pool. Used slots are what `live` holds, whatever `agents` say."""
    calls = CountedCalls()
    store = InMemoryItemStore(ManualClock(NOW), faults=calls)
    used = Counter(one.attempt.agent_id for one in live)
    for agent in agents:
        store.write(agent_item(agent))
        store.write(Update(keys.agent_key(POOL, agent.agent_id), set={"used": used[agent.agent_id]}))
    for task in parked:
        store.write(Put(keys.task_key(task.task_id), new_task_attributes(task, Status.PARKED, 0)))
    park(store, [entry_of(task, policy) for task in parked])
    for task in delayed:
        store.write(Put(keys.task_key(task.task_id), new_task_attributes(task, Status.RETRYING, 1)))
        store.write(Put(keys.delayed_key(POOL, NOW - 1, task.task_id), entry_attributes(entry_of(task, policy, 1))))
    for one in live:
        _keep(store, one)
    calls.calls.clear()
    return store, calls


def park(store: InMemoryItemStore, entries: Sequence[Entry], tags: Mapping[str, int] | None = None) -> None:
    """Put entries into lanes that were empty, with the lanes' keys and the shapes' counters. `tags`: tenants' virtual
    times.
    """
    lanes: dict[LaneRef, list[Entry]] = {}
    for entry in entries:
        store.write(Put(keys.entry_key(POOL, entry), entry_attributes(entry)))
        lanes.setdefault(lane_of(entry), []).append(entry)
    for ref, waiting in lanes.items():
        tag = (tags or {}).get(ref.tenant_id, 0)
        store.write(Put(keys.lane_key(POOL, ref), _lane_attributes(ref, waiting, tag)))
        store.write(Update(keys.account_key(POOL, ref.tier, ref.tenant_id), set={"virtual_ms": tag}))
        known: dict[str, Scalar] = {
            "capabilities": list(waiting[0].capabilities),
            "resources": [name for name, _ in waiting[0].resources],
        }
        store.write(Update(keys.shape_key(POOL, ref.shape), set=known, add={lanes_attribute(ref.tier): 1}))


def _lane_attributes(ref: LaneRef, waiting: Sequence[Entry], tag: int) -> dict[str, Scalar]:
    behind = [entry for entry in waiting if POLICY.tier(ref.tier).feasible_first and entry.late(NOW)]
    on_time = [entry.start_by_ms for entry in waiting if entry not in behind]
    attributes: dict[str, Scalar] = {
        "depth": len(waiting),
        "undated": sum(not entry.dated for entry in waiting),
        "listed": ("turn" if on_time else "") + ("late" if behind else ""),
    }
    if on_time:
        attributes["turn_key"] = keys.index_key(ref.tier, tag)
        attributes["urgent_key"] = keys.index_key(ref.tier, min(on_time))
    if behind:
        attributes["late_key"] = keys.index_key(ref.tier, 0)
    return attributes


def _keep(store: InMemoryItemStore, one: Live) -> None:
    key = keys.attempt_key(POOL, one.task.task_id)
    attributes = new_attempt_attributes(one.attempt)
    if one.attempt.runner is not None:
        attributes["runner"] = one.attempt.runner
    if one.outcome is not None:
        attributes |= outcome_attributes(one.outcome)
    store.write(Put(key, attributes))
    held = one.attempt.reservation
    for hold in held.holds:
        store.write(Update(keys.resource_key(hold.resource, hold.shard), add={"used": hold.amount}))
    store.write(Update(keys.tenant_limits_key(held.tenant_id), add={"in_flight": 1}))
    store.write(
        Put(keys.task_key(one.task.task_id), new_task_attributes(one.task, Status.DISPATCHED, one.attempt.epoch))
    )


def inputs_of(delayed: Sequence[Task], live: Sequence[Live], policy: Policy = POLICY) -> list[Input]:
    """What has happened to the delayed and to the live."""
    due: list[Input] = [Ready(entry_of(task, policy, 1), due_ms=NOW - 1) for task in delayed]
    return due + [_ended(one, policy) for one in live]


def _ended(one: Live, policy: Policy) -> Input:
    attempt = one.attempt
    state = RetryState(entry=entry_of(one.task, policy, attempt.epoch), retry=one.task.retry)
    if one.outcome is None or attempt.runner is None:
        return LeaseExpired(attempt, state)
    succeeded = one.outcome.kind is OutcomeKind.SUCCEEDED
    return Finished(
        attempt.task_id,
        attempt.epoch,
        attempt.runner,
        attempt.reservation,
        one.outcome,
        None if succeeded else state,
    )


def check_counters(store: InMemoryItemStore, limited: Sequence[str] = (), slots: Sequence[str] = ()) -> None:
    """Every counter is what it counts: used slots the live attempts, depths the entries, lanes those not empty; of
    `limited` tenants the attempts in flight, of `slots` the amounts held.
    """
    items = store.items(Table.SCHEDULER)
    agents = [agent_of(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]
    live = [attempt_of(item) for item in store.items(Table.ATTEMPTS)]
    used = Counter(attempt.agent_id for attempt in live)
    assert {agent.agent_id: agent.used for agent in agents} == {a.agent_id: used[a.agent_id] for a in agents}
    flying = Counter(attempt.tenant_id for attempt in live)
    holds = Counter[str]()
    for hold in (hold for attempt in live for hold in attempt.reservation.holds):
        holds[hold.resource] += hold.amount
    for tenant_id in limited:
        assert _counted(store, keys.tenant_limits_key(tenant_id), "in_flight") == flying[tenant_id]
    for name in slots:
        assert _counted(store, keys.resource_key(name, 0), "used") == holds[name]
    check_lanes(items)


def _counted(store: InMemoryItemStore, key: Key, name: str) -> int:
    item = store.get([key]).get(key)
    return int(str(item.attributes.get(name, 0))) if item else 0


def check_lanes(items: Sequence[Item]) -> None:
    """Depths, counts of open lanes by shape and tier, and above all: what holds entries is listed somewhere."""
    queues: dict[str, list[Entry]] = {}
    for item in items:
        if item.key.pk.startswith("Q#"):
            queues.setdefault(item.key.pk.removeprefix("Q#"), []).append(entry_of_item(item))
    lanes = {_queue_of(item): item.attributes for item in items if item.key.pk.startswith("LANES#")}
    assert queues.keys() <= lanes.keys()
    open_lanes: dict[str, Counter[Tier]] = {}
    for queue, a in lanes.items():
        waiting = queues.get(queue, [])
        assert (a["depth"], a.get("undated", 0)) == (len(waiting), sum(not entry.dated for entry in waiting))
        listed = ("turn" if "turn_key" in a else "") + ("late" if "late_key" in a else "")
        assert listed == a.get("listed", "")
        assert bool(listed) == bool(waiting), f"{queue}: {len(waiting)} wait, listed {listed!r}"
        assert ("turn_key" in a) == ("urgent_key" in a)
        if waiting:
            open_lanes.setdefault(waiting[0].shape, Counter())[waiting[0].tier] += 1
    shapes = [shape_of_item(item) for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]
    assert {shape.shape: shape.lanes for shape in shapes if shape.lanes} == open_lanes


def _queue_of(lane: Item) -> str:
    return f"{lane.key.pk.removeprefix('LANES#')}#{lane.key.sk}"


def with_runner(attempt: Attempt, runner: str | None) -> Attempt:
    return msgspec.structs.replace(attempt, runner=runner)
