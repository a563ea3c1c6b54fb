"""The installation at this moment: pools, lanes, agents, resources, and the tasks that have waited longest. Reads only.

A look costs a query for each pool, one for each kind of work that waits, and one or two for each lane that is looked
into; lanes beyond `LANES_MAX` are counted, and not looked into.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.client.policies import current_policy
from pushlane.client.resources import ResourceState, resources
from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.ports import Item, ItemStore, Table
from pushlane.scheduling.entry import RANKS, Entry, LaneRef
from pushlane.scheduling.snapshot import ShapeView
from pushlane.state import keys
from pushlane.state.items import agent_of, entry_of_item, lane_state_of, shape_of_item, wake_of
from pushlane.state.pools import registered_pools

LANES_MAX: Final = 60
_ITEMS_MAX: Final = 10_000
_HEADS: Final = 5
SLOWEST_MAX: Final = 10


class AgentLive(Struct, frozen=True, kw_only=True):
    """One agent. `silent_ms`: since its last heartbeat, and `heartbeat_ms`: the silence after which it is taken for
    dead; None for one that sends none.
    """

    pool: str
    agent_id: str
    status: AgentStatus
    endpoint: str
    capabilities: tuple[str, ...]
    slots: int
    used: int
    silent_ms: int | None = None
    heartbeat_ms: int | None = None


class LaneLive(Struct, frozen=True, kw_only=True):
    """The parked tasks of a tenant in a tier, of one kind of work. `oldest_wait_ms`: of the first few that were looked
    at, since their acceptance; None where the lane was only counted. `pressed`: over its mark, producers are told.
    """

    pool: str
    tier: Tier
    tenant_id: str
    capabilities: tuple[str, ...]
    resources: tuple[str, ...]
    waiting: int
    pressed: bool
    oldest_wait_ms: int | None = None
    oldest_task_id: str | None = None


class WaitingTask(Struct, frozen=True, kw_only=True):
    """A parked task. `late`: it can no longer make its deadline, as estimated."""

    task_id: str
    tenant_id: str
    task_type: str
    pool: str
    tier: Tier
    waited_ms: int
    attempts: int
    late: bool


class PoolLive(Struct, frozen=True, kw_only=True):
    """One pool. `slots` and `used`: of its agents that take work, and of all its agents. `wake_due_ms`: when its next
    wake-up is due, Unix milliseconds.
    """

    pool: str
    agents: int
    slots: int
    used: int
    waiting: int
    by_tier: dict[Tier, int]
    longest_wait_ms: int
    wake_due_ms: int | None = None


class Live(Struct, frozen=True, kw_only=True):
    """All of it; read one after the other, so no snapshot of one instant. `at_ms`: when the look began."""

    at_ms: int
    pools: tuple[PoolLive, ...]
    lanes: tuple[LaneLive, ...]
    agents: tuple[AgentLive, ...]
    resources: tuple[ResourceState, ...]
    slowest: tuple[WaitingTask, ...]

    @property
    def waiting(self) -> int:
        return sum(pool.waiting for pool in self.pools)

    @property
    def used(self) -> int:
        return sum(pool.used for pool in self.pools)

    @property
    def slots(self) -> int:
        return sum(pool.slots for pool in self.pools)


def live(store: ItemStore, now_ms: int, *, pool: str | None = None) -> Live:
    """Everything as it stands, of one pool or of all that there are, and those that the policy names."""
    policy = current_policy(store)
    named = [pool] if pool is not None else sorted({*registered_pools(store), *policy.pools})
    looks = [_PoolLook(store, one, policy, now_ms) for one in named]
    slowest = sorted((task for one in looks for task in one.tasks), key=lambda task: -task.waited_ms)
    return Live(
        at_ms=now_ms,
        pools=tuple(one.pool() for one in looks),
        lanes=tuple(lane for one in looks for lane in one.lanes),
        agents=tuple(agent for one in looks for agent in one.agents),
        resources=resources(store, policy, now_ms),
        slowest=tuple(slowest[:SLOWEST_MAX]),
    )


class _PoolLook:
    def __init__(self, store: ItemStore, pool: str, policy: Policy, now_ms: int) -> None:
        self._store = store
        self._pool = pool
        self._policy = policy
        self._now_ms = now_ms
        items = store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=_ITEMS_MAX)
        self.agents = [self._agent(agent_of(one)) for one in items if one.key.sk.startswith(keys.AGENT_PREFIX)]
        self._wakes = [wake_of(one).due_ms for one in items if one.key.sk == keys.WAKE]
        self.tasks: list[WaitingTask] = []
        self.lanes = self._lanes([shape_of_item(one) for one in items if one.key.sk.startswith(keys.SHAPE_PREFIX)])

    def pool(self) -> PoolLive:
        by_tier: dict[Tier, int] = {}
        for lane in self.lanes:
            by_tier[lane.tier] = by_tier.get(lane.tier, 0) + lane.waiting
        return PoolLive(
            pool=self._pool,
            agents=len(self.agents),
            slots=sum(one.slots for one in self.agents if one.status is AgentStatus.ACTIVE),
            used=sum(one.used for one in self.agents),
            waiting=sum(by_tier.values()),
            by_tier=by_tier,
            longest_wait_ms=max((lane.oldest_wait_ms or 0 for lane in self.lanes), default=0),
            wake_due_ms=self._wakes[0] if self._wakes else None,
        )

    def _agent(self, agent: Agent) -> AgentLive:
        beat = agent.heartbeat_at_ms if agent.heartbeat_ms is not None else None
        return AgentLive(
            pool=self._pool,
            agent_id=agent.agent_id,
            status=agent.status,
            endpoint=agent.endpoint.kind.value,
            capabilities=tuple(sorted(agent.capabilities)),
            slots=agent.slots,
            used=agent.used,
            silent_ms=None if beat is None else max(0, self._now_ms - beat),
            heartbeat_ms=agent.heartbeat_ms,
        )

    def _lanes(self, shapes: Sequence[ShapeView]) -> list[LaneLive]:
        found = [
            (shape, item)
            for shape in shapes
            if shape.lanes
            for item in self._store.query(Table.SCHEDULER, keys.lanes_pk(self._pool, shape.shape), limit=_ITEMS_MAX)
            if lane_state_of(item.attributes).depth > 0
        ]
        found.sort(key=lambda one: -lane_state_of(one[1].attributes).depth)
        lanes = [self._lane(shape, item, look=place < LANES_MAX) for place, (shape, item) in enumerate(found)]
        return sorted(lanes, key=lambda lane: (RANKS[lane.tier], -lane.waiting, lane.tenant_id))

    def _lane(self, shape: ShapeView, item: Item, *, look: bool) -> LaneLive:
        ref, state = keys.lane_ref(shape.shape, item.key), lane_state_of(item.attributes)
        heads = self._heads(ref, mixed=0 < state.undated < state.depth) if look else []
        self.tasks += [self._task(one) for one in heads]
        oldest = min(heads, key=lambda one: one.enqueued_at_ms, default=None)
        return LaneLive(
            pool=self._pool,
            tier=ref.tier,
            tenant_id=ref.tenant_id,
            capabilities=shape.capabilities,
            resources=shape.resources,
            waiting=state.depth,
            pressed=state.pressed,
            oldest_wait_ms=None if oldest is None else max(0, self._now_ms - oldest.enqueued_at_ms),
            oldest_task_id=None if oldest is None else oldest.task_id,
        )

    def _heads(self, ref: LaneRef, *, mixed: bool) -> list[Entry]:
        """The first of a lane; those without a deadline stand apart from those with one."""
        pk = keys.queue_pk(self._pool, ref)
        items = self._store.query(Table.SCHEDULER, pk, limit=_HEADS)
        if mixed:
            items += self._store.query(Table.SCHEDULER, pk, limit=_HEADS, start=keys.dated_from(0))
        return list({one.task_id: one for one in map(entry_of_item, items)}.values())

    def _task(self, entry: Entry) -> WaitingTask:
        return WaitingTask(
            task_id=entry.task_id,
            tenant_id=entry.tenant_id,
            task_type=entry.task_type,
            pool=self._pool,
            tier=entry.tier,
            waited_ms=max(0, self._now_ms - entry.enqueued_at_ms),
            attempts=entry.epoch,
            late=entry.late(self._now_ms),
        )
