"""What a warm router remembers of a pool, so that a task for a pool with free slots costs no read (ADR 0005).

Safe because a commit leans on limits, not on the snapshot being fresh: a slot that is gone makes the transaction fail,
and the turn reads. It is used for one thing only, dispatching arrivals while nothing waits; whatever else a plan made
of it would decide is decided again from a fresh read. A recorded wake-up only ever gets company, so a remembered one
still comes.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.scheduling.decisions import Decision, Dispatch, Park, Plan
from pushlane.scheduling.snapshot import Arrival, Input, PoolSnapshot, WakeView
from pushlane.state.commit import slot_changes

LIFE_MS: Final = 1_000


class RememberedPools:
    """The last snapshot of each pool, with this router's own commits applied, for at most a second."""

    def __init__(self) -> None:
        self._kept: dict[str, PoolSnapshot] = {}

    def recall(self, pool: str, pending: Sequence[Input], now_ms: int) -> PoolSnapshot | None:
        """A snapshot to try first, if there is a young one and all inputs are arrivals."""
        kept = self._kept.get(pool)
        if kept is None or not 0 <= now_ms - kept.read_at_ms < LIFE_MS:
            return None
        return kept if pending and all(isinstance(one, Arrival) for one in pending) else None

    def keep(self, snapshot: PoolSnapshot, decisions: Sequence[Decision], wake_due_ms: int | None) -> None:
        """Remember a pool in which nothing waits, as it is once `decisions` are committed; forget any other."""
        parked = any(isinstance(one, Park) for one in decisions)
        if parked or any(shape.lanes for shape in snapshot.shapes):
            self.forget(snapshot.pool)
            return
        changes = slot_changes(decisions)
        agents = tuple(
            msgspec.structs.replace(agent, used=agent.used + changes.get(agent.agent_id, 0))
            for agent in snapshot.agents
        )
        wake = snapshot.wake
        if wake_due_ms is not None:
            wake = WakeView(generation=wake.generation + 1, due_ms=wake_due_ms)
        self._kept[snapshot.pool] = msgspec.structs.replace(snapshot, agents=agents, wake=wake, next_due_ms=None)

    def forget(self, pool: str) -> None:
        self._kept.pop(pool, None)


def only_dispatches_arrivals(planned: Plan) -> bool:
    """Whether a plan made of memory may be committed."""
    return all(isinstance(one, Dispatch) and isinstance(one.origin, Arrival) for one in planned.decisions)
