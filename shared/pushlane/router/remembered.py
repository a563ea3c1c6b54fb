"""What a warm router remembers of a pool, so that a task for a pool with free slots costs no read (ADR 0005).

Safe because a commit leans on limits, not on the snapshot being fresh: a slot that is gone makes the transaction fail,
and the turn reads. It is used for one thing only, dispatching arrivals while nothing waits; whatever else a plan made
of it would decide is decided again from a fresh read. A recorded wake-up only ever gets company, so a remembered one
still comes.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.model.attempt import OutcomeKind, Reservation
from pushlane.model.endpoint import EndpointKind
from pushlane.model.policy import Policy
from pushlane.scheduling.claiming import Claim
from pushlane.scheduling.decisions import Decision, Dispatch, Park, Plan
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Finished,
    GivesBack,
    Input,
    LeaseExpired,
    PoolSnapshot,
    Ready,
    WakeView,
    Withdraw,
    held_by,
)
from pushlane.state.commit import slot_changes

LIFE_MS: Final = 1_000


class RememberedPools:
    """The last snapshot of each pool, with this router's own commits applied, for at most a second."""

    def __init__(self) -> None:
        self._kept: dict[str, PoolSnapshot] = {}

    def recall(self, pool: str, pending: Sequence[Input], policy: Policy, now_ms: int) -> PoolSnapshot | None:
        """A snapshot to try first, if there is a young one and all inputs are arrivals that only slots limit."""
        kept = self._kept.get(pool)
        if kept is None or not 0 <= now_ms - kept.read_at_ms < LIFE_MS:
            return None
        usable = kept.policy is policy and pending and all(isinstance(one, Arrival) for one in pending)
        return kept if usable and leans_on_slots(kept, pending) else None

    def keep(self, snapshot: PoolSnapshot, decisions: Sequence[Decision], wake_due_ms: int | None) -> None:
        """Remember a pool in which nothing waits, as it is once `decisions` are committed; forget any other. An agent
        whose connection may be gone the next moment is not remembered, so that what it could do is read.
        """
        parked = any(isinstance(one, Park) for one in decisions)
        if parked or any(shape.waiting for shape in snapshot.shapes):
            self.forget(snapshot.pool)
            return
        changes = slot_changes(decisions)
        agents = tuple(
            msgspec.structs.replace(agent, used=agent.used + changes.get((agent.pool, agent.agent_id), 0), claimed=0)
            for agent in snapshot.agents
            if agent.pool == snapshot.pool and agent.endpoint.kind is not EndpointKind.WEBSOCKET
        )
        wake = snapshot.wake
        if wake_due_ms is not None:
            wake = WakeView(generation=wake.generation + 1, due_ms=wake_due_ms)
        self._kept[snapshot.pool] = PoolSnapshot(
            pool=snapshot.pool,
            agents=agents,
            policy=snapshot.policy,
            shapes=snapshot.shapes,
            tiers=snapshot.tiers,
            wake=wake,
            read_at_ms=snapshot.read_at_ms,
        )

    def forget(self, pool: str) -> None:
        self._kept.pop(pool, None)


def leans_on_slots(snapshot: PoolSnapshot, pending: Sequence[Input]) -> bool:
    """Nothing waits in the pool, and nothing but agents' slots limits the inputs."""
    if any(shape.waiting for shape in snapshot.shapes):
        return False
    return all(_unlimited(one, snapshot.policy) for one in pending)


def _unlimited(one: Input, policy: Policy) -> bool:
    match one:
        case Finished(outcome=outcome) if outcome.throttled is not None:
            return False
        case Finished(outcome=outcome, reservation=held) if outcome.kind is OutcomeKind.FAILED:
            return _plain(held) and policy.tenant(held.tenant_id).retries_per_minute is None
        case LeaseExpired(attempt=attempt):
            return _plain(attempt.reservation) and policy.tenant(attempt.tenant_id).retries_per_minute is None
        case Arrival(entry=entry) | Ready(entry=entry):
            return not entry.resources and not policy.tenant(entry.tenant_id).limited
        case Finished() | GivesBack():
            return _plain(held_by(one))
        case Claim():
            return True  # where nothing waits there is nothing to claim
        case DeadlineDue() | Withdraw():
            return False


def _plain(held: Reservation) -> bool:
    return not held.holds and not held.counted


def only_dispatches_arrivals(planned: Plan) -> bool:
    """Whether a plan made of memory may be committed."""
    return all(isinstance(one, Dispatch) and isinstance(one.origin, Arrival) for one in planned.decisions)
