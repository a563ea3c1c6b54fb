"""Agents that a pool's overflow pool lends: those that the lender has no use for now."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from pushlane.ports import ItemStore
from pushlane.scheduling.decisions import Dispatch
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Input, PoolSnapshot, Ready
from pushlane.state.heads import load_heads
from pushlane.state.loading import free_slots, freed_slots, load_pool, waiting_shapes


def load_borrowed(store: ItemStore, snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
    """The snapshot with the overflow pool's agents, where the own have not slots enough and that pool has no need."""
    overflow = snapshot.policy.pool(snapshot.pool).overflow_pool
    if overflow is None or not _short(snapshot, inputs):
        return snapshot
    lender = load_pool(store, overflow, snapshot.policy).snapshot
    if _in_need(store, _once_freed(lender, inputs), now_ms):
        return snapshot
    return msgspec.structs.replace(snapshot, agents=snapshot.agents + lender.agents)


def _short(snapshot: PoolSnapshot, inputs: Sequence[Input]) -> bool:
    """More waits and arrives, as far as is known, than the pool's own agents have slots for."""
    wanted = Counter(shape.capabilities for shape in snapshot.shapes if shape.waiting)
    wanted.update(one.entry.capabilities for one in inputs if isinstance(one, Arrival | Ready))
    freed = freed_slots(inputs)
    return any(free_slots(snapshot, capabilities, freed) < count for capabilities, count in wanted.items())


def _once_freed(lender: PoolSnapshot, inputs: Sequence[Input]) -> PoolSnapshot:
    """The lender with the slots that the inputs will give back to it."""
    freed = freed_slots(inputs)
    agents = tuple(
        msgspec.structs.replace(agent, used=max(0, agent.used - freed.get((agent.pool, agent.agent_id), 0)))
        for agent in lender.agents
    )
    return msgspec.structs.replace(lender, agents=agents)


def _in_need(store: ItemStore, lender: PoolSnapshot, now_ms: int) -> bool:
    """Something waits in the lender that could run on a free slot of its own: its own work goes first.

    What waits there for something else (another kind of agent, a limit of its tenant, a resource) keeps no slot idle.
    """
    if not waiting_shapes(lender, {}):
        return False
    planned = plan(load_heads(store, lender, (), now_ms), (), now_ms)
    return any(isinstance(one, Dispatch) for one in planned.decisions)
