"""A pool in a store: agents, waiting tasks, delayed tasks and live attempts, stored as the turns before left them."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, Outcome, OutcomeKind
from pushlane.model.task import Status, Task
from pushlane.ports import Put, Scalar, Table, Update
from pushlane.scheduling.snapshot import Entry, Finished, Input, LeaseExpired, RetryDue, RetryState, entry_of
from pushlane.state import keys
from pushlane.state.items import (
    agent_of,
    entry_attributes,
    new_attempt_attributes,
    new_task_attributes,
    outcome_attributes,
    shape_of_item,
)
from tests.unit.values import NOW, POOL, CountedCalls, agent_item


class Live(Struct, frozen=True):
    """A live attempt and how it ends: with the outcome, or (None) by running out its lease."""

    task: Task
    attempt: Attempt
    outcome: Outcome | None


def build(
    agents: Sequence[Agent], parked: Sequence[Task], delayed: Sequence[Task], live: Sequence[Live]
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
    park(store, [entry_of(task) for task in parked])
    for task in delayed:
        store.write(Put(keys.task_key(task.task_id), new_task_attributes(task, Status.RETRYING, 1)))
        store.write(Put(keys.delayed_key(POOL, NOW - 1, task.task_id), entry_attributes(entry_of(task, 1))))
    for one in live:
        _keep(store, one)
    calls.calls.clear()
    return store, calls


def park(store: InMemoryItemStore, entries: Sequence[Entry]) -> None:
    """Put entries into their lanes, with the lanes' and the shapes' counters."""
    lanes: dict[str, set[str]] = {}
    for entry in sorted(entries, key=keys.entry_order):
        lane = keys.lane_of(entry)
        store.write(Put(keys.entry_key(POOL, entry), entry_attributes(entry)))
        depth = store.write(Update(keys.lane_key(POOL, lane), add={"depth": 1}))["depth"]
        if depth == 1:
            store.write(Update(keys.lane_key(POOL, lane), set={"turn_key": keys.entry_order(entry)}))
        lanes.setdefault(lane.shape, set()).add(f"{lane.tier}#{lane.tenant_id}")
        known: dict[str, Scalar] = {"capabilities": list(entry.capabilities), "lanes": len(lanes[lane.shape])}
        store.write(Update(keys.shape_key(POOL, lane.shape), set=known))


def _keep(store: InMemoryItemStore, one: Live) -> None:
    key = keys.attempt_key(POOL, one.task.task_id)
    attributes = new_attempt_attributes(one.attempt)
    if one.attempt.runner is not None:
        attributes["runner"] = one.attempt.runner
    if one.outcome is not None:
        attributes |= outcome_attributes(one.outcome)
    store.write(Put(key, attributes))
    store.write(
        Put(keys.task_key(one.task.task_id), new_task_attributes(one.task, Status.DISPATCHED, one.attempt.epoch))
    )


def inputs_of(delayed: Sequence[Task], live: Sequence[Live]) -> list[Input]:
    """What has happened to the delayed and to the live."""
    due: list[Input] = [RetryDue(entry_of(task, 1), NOW - 1) for task in delayed]
    return due + [_ended(one) for one in live]


def _ended(one: Live) -> Input:
    attempt, state = one.attempt, RetryState(entry=entry_of(one.task, one.attempt.epoch), retry=one.task.retry)
    if one.outcome is None or attempt.runner is None:
        return LeaseExpired(attempt, state)
    failed = one.outcome.kind is OutcomeKind.FAILED
    return Finished(
        attempt.task_id, attempt.epoch, attempt.agent_id, attempt.runner, one.outcome, state if failed else None
    )


def check_counters(store: InMemoryItemStore) -> None:
    """Every counter is what it counts: used slots the live attempts, depths the entries, lanes those not empty."""
    items = store.items(Table.SCHEDULER)
    agents = [agent_of(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX)]
    live = Counter(item.attributes["agent_id"] for item in store.items(Table.ATTEMPTS))
    assert {agent.agent_id: agent.used for agent in agents} == {a.agent_id: live[a.agent_id] for a in agents}
    queues = Counter(item.key.pk.removeprefix("Q#") for item in items if item.key.pk.startswith("Q#"))
    open_lanes: Counter[str] = Counter()
    for item in items:
        if item.key.pk.startswith("LANES#"):
            queue = f"{item.key.pk.removeprefix('LANES#')}#{item.key.sk}"
            assert item.attributes["depth"] == queues[queue]
            assert ("turn_key" in item.attributes) == (queues[queue] > 0)
            open_lanes[item.key.pk.rpartition("#")[2]] += queues[queue] > 0
    assert queues.keys() <= {f"{i.key.pk.removeprefix('LANES#')}#{i.key.sk}" for i in items}
    shapes = [shape_of_item(item) for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]
    assert {shape.shape: shape.lanes for shape in shapes} == {s.shape: open_lanes[s.shape] for s in shapes}
