"""The exact score of a head: six signals, each from 0 to 1, weighted by the policy.

It decides between the first tasks of lanes whose turn it is; it never breaks a tier's order or a tenant's share.
"""

from typing import Final

from pushlane.model.policy import ScoreWeights
from pushlane.scheduling.deadlines import urgency
from pushlane.scheduling.entry import RANKS, Entry

_TIERS: Final = len(RANKS)
_HALF_WAIT_MS: Final = 60_000
_HALF_COST_MS: Final = 10_000


def score(entry: Entry, affinity: float, weights: ScoreWeights, now_ms: int, *, urgent: float | None = None) -> float:
    """Higher goes first. `affinity`: how exactly an agent that is free fits the task, from 0 to 1."""
    wait_ms = max(0, now_ms - entry.enqueued_at_ms)
    return (
        weights.base_priority * (1 - RANKS[entry.tier] / _TIERS)
        + weights.urgency * (urgency(entry, now_ms) if urgent is None else urgent)
        + weights.wait * (wait_ms / (_HALF_WAIT_MS + wait_ms))
        + weights.affinity * affinity
        + weights.unblocks * (entry.unblocks / (1 + entry.unblocks))
        + weights.efficiency * (_HALF_COST_MS / (_HALF_COST_MS + entry.cost_ms))
    )
