"""Read what a turn needs: a number of reads that does not grow with the backlog, the tenants or the tasks."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt
from pushlane.model.task import Task
from pushlane.ports import Item, ItemStore, Table
from pushlane.scheduling.snapshot import Entry, LaneRef, LaneView, PoolSnapshot, ShapeView, WakeView
from pushlane.state import keys
from pushlane.state.items import agent_of, attempt_of, entry_of_item, number, shape_of_item, task_of, wake_of

POOL_ITEMS_MAX: Final = 1_000
LANES_MAX: Final = 10
DUE_MAX: Final = 10


class Due(Struct, frozen=True, kw_only=True):
    """What has fallen due in a pool, and when the next thing does."""

    attempts: tuple[Attempt, ...]
    retries: tuple[tuple[int, Entry], ...]
    next_due_ms: int | None


def load_pool(store: ItemStore, pool: str, freeing: Mapping[str, int]) -> PoolSnapshot:
    """The pool as a turn sees it: one read, and 1 + lanes reads for each kind of work that waits and could run now.

    `freeing`: slots by agent that the turn's own inputs give back.
    """
    items = store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=POOL_ITEMS_MAX)
    agents = tuple(agent_of(i) for i in items if i.key.sk.startswith(keys.AGENT_PREFIX))
    shapes = tuple(shape_of_item(i) for i in items if i.key.sk.startswith(keys.SHAPE_PREFIX))
    wake = next((wake_of(i) for i in items if i.key.sk == keys.WAKE), WakeView())
    lanes = [
        lane
        for shape in shapes
        if shape.lanes > 0 and (free := _free_slots(agents, shape, freeing)) > 0
        for lane in _load_lanes(store, pool, shape.shape, min(free, LANES_MAX))
    ]
    return PoolSnapshot(pool=pool, agents=agents, shapes=shapes, lanes=tuple(lanes), wake=wake)


def _free_slots(agents: Sequence[Agent], shape: ShapeView, freeing: Mapping[str, int]) -> int:
    able = [agent for agent in agents if agent.accepting and agent.can_run(shape.capabilities)]
    return sum(max(0, agent.slots - agent.used + freeing.get(agent.agent_id, 0)) for agent in able)


def _load_lanes(store: ItemStore, pool: str, shape: str, take: int) -> list[LaneView]:
    items = store.query(Table.SCHEDULER, keys.lanes_pk(pool, shape), index=keys.BY_TURN, limit=take)
    return [_load_lane(store, pool, shape, item, take) for item in items]


def _load_lane(store: ItemStore, pool: str, shape: str, item: Item, take: int) -> LaneView:
    tier, _, tenant_id = item.key.sk.partition("#")
    ref = LaneRef(shape=shape, tier=tier, tenant_id=tenant_id)
    # One more than may be taken: the entry after the taken ones is the lane's new head.
    heads = store.query(Table.SCHEDULER, keys.queue_pk(pool, ref), limit=take + 1)
    return LaneView(
        ref=ref,
        depth=number(item.attributes, "depth"),
        heads=tuple(entry_of_item(head) for head in heads),
        complete=len(heads) <= take,
    )


def load_lane_depths(store: ItemStore, pool: str, lanes: Sequence[LaneRef]) -> dict[LaneRef, int]:
    """How many tasks wait in each of the lanes (absent ones: 0): needed only by a turn that parks."""
    if not lanes:
        return {}
    found = store.get([keys.lane_key(pool, lane) for lane in lanes])
    by_key = {key: number(item.attributes, "depth") for key, item in found.items()}
    return {lane: by_key.get(keys.lane_key(pool, lane), 0) for lane in lanes}


def load_tasks(store: ItemStore, task_ids: Sequence[str]) -> dict[str, Task]:
    """The tasks that exist among at most 100 ids."""
    if not task_ids:
        return {}
    found = store.get([keys.task_key(task_id) for task_id in dict.fromkeys(task_ids)])
    return {key.pk: task_of(item.attributes) for key, item in found.items()}


def load_attempt(store: ItemStore, pool: str, task_id: str) -> Attempt | None:
    key = keys.attempt_key(pool, task_id)
    found = store.get([key]).get(key)
    return attempt_of(found) if found else None


def load_due(store: ItemStore, pool: str, now_ms: int) -> Due:
    """Expired leases (started or not, finished or not) and due retries: the reads of a wake-up, five in all."""
    leased: list[Attempt] = []
    for bucket in range(keys.ATTEMPT_BUCKETS):
        pk = keys.attempt_pk(pool, bucket)
        items = store.query(Table.ATTEMPTS, pk, index=keys.BY_LEASE, limit=DUE_MAX + 1)
        leased += [attempt_of(item) for item in items]
    delayed = store.query(Table.SCHEDULER, keys.delayed_pk(pool), limit=DUE_MAX + 1)
    retries = [(int(item.key.sk.partition("#")[0]), entry_of_item(item)) for item in delayed]
    expired = sorted((a for a in leased if a.lease_until_ms <= now_ms), key=lambda a: a.lease_until_ms)[:DUE_MAX]
    due = [(at, entry) for at, entry in retries if at <= now_ms][:DUE_MAX]
    taken = {attempt.task_id for attempt in expired} | {entry.task_id for _, entry in due}
    later = [a.lease_until_ms for a in leased if a.task_id not in taken]
    later += [at for at, entry in retries if entry.task_id not in taken]
    return Due(attempts=tuple(expired), retries=tuple(due), next_due_ms=min(later, default=None))
