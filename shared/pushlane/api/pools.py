"""Pools at a glance: a constant number of reads for each."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from pushlane.model.agent import AgentStatus
from pushlane.model.endpoint import EndpointKind
from pushlane.model.task import Tier
from pushlane.ports import Item, ItemStore, Table
from pushlane.state import keys
from pushlane.state.items import agent_of, number, shape_of_item

# Of one partition; a pool is meant for far fewer agents and kinds of work.
ITEMS_MAX: Final = 10_000
POOLS_MAX: Final = 1_000


class AgentView(Struct, frozen=True, kw_only=True):
    """One agent: how many of its slots are used."""

    agent_id: str
    status: AgentStatus
    endpoint: EndpointKind
    capabilities: tuple[str, ...]
    slots: int
    used: int


class PoolView(Struct, frozen=True, kw_only=True):
    """One pool. `waiting`: its parked tasks, by tier."""

    pool: str
    agents: tuple[AgentView, ...]
    waiting: dict[Tier, int]


def pool_views(store: ItemStore) -> tuple[PoolView, ...]:
    """Every pool that has, or had, an agent; read one after the other, so no snapshot of one instant."""
    named = store.query(Table.SCHEDULER, keys.POOLS, limit=POOLS_MAX)
    return tuple(_pool(store, item.key.sk) for item in named)


def _pool(store: ItemStore, pool: str) -> PoolView:
    items = store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=ITEMS_MAX)
    agents = tuple(_agent(item) for item in items if item.key.sk.startswith(keys.AGENT_PREFIX))
    return PoolView(pool=pool, agents=agents, waiting=dict(_waiting(store, pool, items)))


def _agent(item: Item) -> AgentView:
    agent = agent_of(item)
    return AgentView(
        agent_id=agent.agent_id,
        status=agent.status,
        endpoint=agent.endpoint.kind,
        capabilities=tuple(agent.capabilities),
        slots=agent.slots,
        used=agent.used,
    )


def _waiting(store: ItemStore, pool: str, items: Iterable[Item]) -> Counter[Tier]:
    waiting: Counter[Tier] = Counter()
    shapes = [shape_of_item(item) for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]
    for shape in (shape for shape in shapes if any(shape.lanes.values())):
        for lane in store.query(Table.SCHEDULER, keys.lanes_pk(pool, shape.shape), limit=ITEMS_MAX):
            if (depth := number(lane.attributes, "depth")) > 0:
                waiting[Tier(lane.key.sk.partition("#")[0])] += depth
    return waiting
