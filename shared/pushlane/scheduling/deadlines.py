"""Deadlines: urgency by laxity, and named functions for what lateness costs."""

from collections.abc import Callable, Mapping
from typing import Final

from pushlane.model.task import Penalty
from pushlane.scheduling.entry import Entry

# At this laxity a task is half as urgent as one that has to start now.
HALF_URGENT_MS: Final = 60_000


def _step(late_ms: int, runtime_ms: int) -> float:
    return 1.0 if late_ms > 0 else 0.0


def _linear(late_ms: int, runtime_ms: int) -> float:
    return max(0, late_ms) / max(1, runtime_ms)


def _quadratic(late_ms: int, runtime_ms: int) -> float:
    return _linear(late_ms, runtime_ms) ** 2


# What finishing `late_ms` after the deadline costs, in units of one miss (step), or of the task's own runtime.
PENALTIES: Final[Mapping[Penalty, Callable[[int, int], float]]] = {
    Penalty.STEP: _step,
    Penalty.LINEAR: _linear,
    Penalty.QUADRATIC: _quadratic,
}


def penalty(entry: Entry, finished_at_ms: int) -> float:
    """What it costs that the task finishes at that time; 0 without a deadline or before it."""
    if not entry.dated:
        return 0.0
    return PENALTIES[entry.penalty](finished_at_ms - entry.start_by_ms - entry.runtime_ms, entry.runtime_ms)


def urgency(entry: Entry, now_ms: int) -> float:
    """0 (any time will do) to 1 (now or never). Late already: by what one more runtime of lateness would add."""
    laxity_ms = entry.start_by_ms - now_ms
    if laxity_ms >= 0 or not entry.dated:
        return HALF_URGENT_MS / (HALF_URGENT_MS + max(0, laxity_ms))
    late_ms, runtime_ms = -laxity_ms, max(1, entry.runtime_ms)
    loss = PENALTIES[entry.penalty]
    added = loss(late_ms + runtime_ms, runtime_ms) - loss(late_ms, runtime_ms)
    return added / (1.0 + added) if added > 0 else 0.0
