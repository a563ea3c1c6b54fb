"""Pools to plan on: agents, lanes that wait, and what the decisions say in short."""

from collections.abc import Sequence
from typing import Any

from pushlane.model.agent import Agent
from pushlane.model.task import DeadlineKind, Tier
from pushlane.scheduling.decisions import Decision, Dispatch, Park
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import LaneView, PoolSnapshot, ShapeView
from tests.unit.values import NOW, POOL, a_lane, an_entry

# The estimate is 30 s: with it the first has 60 s of laxity, the second is late already.
FEASIBLE: dict[str, Any] = {"deadline_ms": NOW + 90_000}
LATE: dict[str, Any] = {"deadline_ms": NOW + 10_000}
HARD_LATE: dict[str, Any] = {**LATE, "deadline_kind": DeadlineKind.HARD}


def a_pool(*agents: Agent, lanes: Sequence[LaneView] = (), **more: Any) -> PoolSnapshot:
    """Lanes are counted in their shapes, as a store has them."""
    shapes: dict[str, ShapeView] = {}
    for lane in lanes:
        entry = (*lane.on_time, *lane.late)[0]
        counts = dict(shapes[entry.shape].lanes) if entry.shape in shapes else {}
        counts[entry.tier] = counts.get(entry.tier, 0) + 1
        names = tuple(name for name, _ in entry.resources)
        shapes[entry.shape] = ShapeView(
            shape=entry.shape, capabilities=entry.capabilities, resources=names, lanes=counts
        )
    return PoolSnapshot(pool=POOL, agents=agents, lanes=tuple(lanes), shapes=tuple(shapes.values()), **more)


def a_line(tenant_id: str, *numbers: int, tier: Tier = Tier.NORMAL, more: int = 0, **changed: Any) -> LaneView:
    """A tenant's lane of entries on time."""
    return a_lane(*[an_entry(n, tenant_id=tenant_id, tier=tier, **changed) for n in numbers], more=more)


def a_late_line(tenant_id: str, *numbers: int, tier: Tier = Tier.NORMAL, **changed: Any) -> LaneView:
    """A tenant's lane of entries that can no longer make their deadline."""
    late = [an_entry(n, tenant_id=tenant_id, tier=tier, **(LATE | changed)) for n in numbers]
    return a_lane(late=tuple(late))


def dispatched(snapshot: PoolSnapshot, inputs: Sequence[Any] = (), now_ms: int = NOW) -> list[int]:
    """The numbers of the tasks that run now, in order."""
    return [number_of(d.entry) for d in dispatches(snapshot, inputs, now_ms)]


def dispatches(snapshot: PoolSnapshot, inputs: Sequence[Any] = (), now_ms: int = NOW) -> list[Dispatch]:
    return [d for d in plan(snapshot, inputs, now_ms).decisions if isinstance(d, Dispatch)]


def number_of(entry: Entry) -> int:
    return int(entry.task_id.removeprefix("t-"))


def parked(decisions: Sequence[Decision]) -> dict[int, str]:
    """Why each task that was parked waits."""
    return {number_of(d.entry): str(d.block) for d in decisions if isinstance(d, Park)}
