"""The orders of the baselines, each with what is known of the system it stands for."""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Final

from pushlane.simulator.tasks import RANKS, SimTask

Key = Callable[[SimTask], tuple[int, ...]]


def by_arrival(task: SimTask) -> tuple[int, ...]:
    """FIFO."""
    return (task.ready_ms,)


def by_tier(task: SimTask) -> tuple[int, ...]:
    """Strict priority, FIFO inside."""
    return (task.rank, task.ready_ms)


def by_deadline(task: SimTask) -> tuple[int, ...]:
    """Earliest deadline first."""
    return (task.deadline_ms,)


def by_tier_and_deadline(task: SimTask) -> tuple[int, ...]:
    """Strict priority, earliest deadline first inside."""
    return (task.rank, task.deadline_ms)


class Sorted:
    """The lowest key first."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._heap: list[tuple[tuple[int, ...], int, SimTask]] = []

    def push(self, task: SimTask) -> None:
        heapq.heappush(self._heap, (self._key(task), task.number, task))

    def head(self, now_ms: int) -> SimTask | None:
        return self._heap[0][2] if self._heap else None

    def pop(self) -> None:
        heapq.heappop(self._heap)

    def ended(self, task: SimTask, now_ms: int) -> None:
        """Nothing depends on it."""


def by_tier_and_laxity(task: SimTask) -> tuple[int, ...]:
    """Strict priority, least laxity first inside: they all lose laxity alike, so `start_by` is a static key."""
    return (task.rank, task.start_by_ms)


class LateLast:
    """A key, but what can no longer make its deadline goes behind everything that still can, whatever its tier."""

    def __init__(self, key: Key) -> None:
        self._on_time, self._late = Sorted(key), Sorted(key)
        self._last: Sorted = self._on_time

    def push(self, task: SimTask) -> None:
        self._on_time.push(task)

    def head(self, now_ms: int) -> SimTask | None:
        while (task := self._on_time.head(now_ms)) is not None and task.start_by_ms < now_ms:
            self._on_time.pop()
            self._late.push(task)
        self._last = self._on_time if task is not None else self._late
        return self._last.head(now_ms)

    def pop(self) -> None:
        self._last.pop()

    def ended(self, task: SimTask, now_ms: int) -> None:
        """Nothing depends on it."""


class RoundRobin:
    """Tenants of the highest tier in turn, a task each, FIFO inside: like Temporal's priority and fairness keys."""

    def __init__(self) -> None:
        self._turns: tuple[deque[str], ...] = tuple(deque() for _ in RANKS)
        self._queues: dict[tuple[int, str], deque[SimTask]] = {}
        self._rank = 0

    def push(self, task: SimTask) -> None:
        queue = self._queues.setdefault((task.rank, task.tenant), deque())
        if not queue:
            self._turns[task.rank].append(task.tenant)
        queue.append(task)

    def head(self, now_ms: int) -> SimTask | None:
        for rank, turns in enumerate(self._turns):
            if turns:
                self._rank = rank
                return self._queues[rank, turns[0]][0]
        return None

    def pop(self) -> None:
        turns = self._turns[self._rank]
        tenant = turns.popleft()
        queue = self._queues[self._rank, tenant]
        queue.popleft()
        if queue:
            turns.append(tenant)

    def ended(self, task: SimTask, now_ms: int) -> None:
        """Nothing depends on it."""


# How Amazon documents its fair queues: noisy is who has more than a tenth of what is in flight and at least 30 messages
# of it, or more than a tenth of recent processing time. What "recent" means is not documented; a minute is taken here.
_NOISY_SHARE: Final = 0.1
_NOISY_IN_FLIGHT: Final = 30
_RECENT_MS: Final = 60_000


class NoisyNeighbour:
    """A fair SQS queue a tier, read in order of the tiers: oldest first, messages of noisy tenants after all others."""

    def __init__(self) -> None:
        self._waiting: tuple[dict[str, deque[SimTask]], ...] = tuple({} for _ in RANKS)
        self._in_flight: dict[str, int] = {}
        self._recent: deque[tuple[int, str, int]] = deque()
        self._processed: dict[str, int] = {}
        self._last: SimTask | None = None

    def push(self, task: SimTask) -> None:
        self._waiting[task.rank].setdefault(task.tenant, deque()).append(task)

    def head(self, now_ms: int) -> SimTask | None:
        while self._recent and self._recent[0][0] <= now_ms - _RECENT_MS:
            _, tenant, spent_ms = self._recent.popleft()
            self._processed[tenant] -= spent_ms
        tier = next((queues for queues in self._waiting if queues), None)
        if tier is None:
            return None
        in_flight, processed = sum(self._in_flight.values()), sum(self._processed.values())
        oldest = min((self._noisy(t, in_flight, processed), q[0].ready_ms, q[0].number, t) for t, q in tier.items())
        self._last = tier[oldest[3]][0]
        return self._last

    def pop(self) -> None:
        task = self._last
        assert task is not None  # `head` was called before, that is the contract
        queues = self._waiting[task.rank]
        queues[task.tenant].popleft()
        if not queues[task.tenant]:
            del queues[task.tenant]
        self._in_flight[task.tenant] = self._in_flight.get(task.tenant, 0) + 1

    def ended(self, task: SimTask, now_ms: int) -> None:
        self._in_flight[task.tenant] -= 1
        self._recent.append((now_ms, task.tenant, task.runtime_ms))
        self._processed[task.tenant] = self._processed.get(task.tenant, 0) + task.runtime_ms

    def _noisy(self, tenant: str, in_flight: int, processed: int) -> bool:
        own = self._in_flight.get(tenant, 0)
        crowds = own >= _NOISY_IN_FLIGHT and own > _NOISY_SHARE * in_flight
        return crowds or self._processed.get(tenant, 0) > _NOISY_SHARE * processed
