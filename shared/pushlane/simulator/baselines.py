"""The schedulers that Pushlane is compared with. Each is an order of the waiting tasks; the head goes when it fits.

A head whose tokens do not fit yet holds back what is behind it in its pool, as in any queue.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from pushlane.simulator.rates import Bucket
from pushlane.simulator.run import Decided, Policy, Scheduler
from pushlane.simulator.setting import InvalidSetting, Setting
from pushlane.simulator.tasks import SimTask


class Order(Protocol):
    """The order in which tasks leave a queue."""

    def push(self, task: SimTask) -> None: ...

    def head(self, now_ms: int) -> SimTask | None:
        """The next task, which stays; None when nothing waits."""
        ...

    def pop(self) -> None:
        """Take out the task that `head` returned last: it starts."""
        ...

    def ended(self, task: SimTask, now_ms: int) -> None:
        """A started task has finished."""
        ...


def baseline(order: Callable[[], Order]) -> Policy:
    """A policy with one queue a pool, each in its own order."""

    def build(setting: Setting, tasks: Sequence[SimTask]) -> Scheduler:
        if setting.caps:
            raise InvalidSetting("the baselines know no caps on tenants; simulate this world with pushlane alone")
        return Queues(setting, order)

    return build


class Queues:
    """A `Scheduler`: a queue in the given order before the slots of each pool, and the shared rates."""

    def __init__(self, setting: Setting, order: Callable[[], Order]) -> None:
        self._free = {pool.name: pool.slots for pool in setting.pools}
        self._orders = {pool.name: order() for pool in setting.pools}
        self._buckets = {rate.name: Bucket(rate) for rate in setting.rates}
        self._wake_ms: int | None = None

    def decide(self, arrivals: Sequence[SimTask], finished: Sequence[SimTask], now_ms: int) -> Decided:
        for task in finished:
            self._free[task.pool] += 1
            self._orders[task.pool].ended(task, now_ms)
            for name, tokens in task.charges:
                self._buckets[name].correct(task.tokens - tokens, now_ms)
        for task in arrivals:
            self._orders[task.pool].push(task)
        self._wake_ms = None
        return Decided([task for pool in self._orders for task in self._take(pool, now_ms)])

    def next_wake_ms(self) -> int | None:
        return self._wake_ms

    def _take(self, pool: str, now_ms: int) -> list[SimTask]:
        taken: list[SimTask] = []
        order = self._orders[pool]
        while self._free[pool] > 0 and (task := order.head(now_ms)) is not None:
            fits_ms = max((self._buckets[name].fits_at_ms(n, now_ms) for name, n in task.charges), default=now_ms)
            if fits_ms > now_ms:
                self._wake_ms = fits_ms if self._wake_ms is None else min(self._wake_ms, fits_ms)
                break
            order.pop()
            self._free[pool] -= 1
            for name, tokens in task.charges:
                self._buckets[name].charge(tokens, now_ms)
            taken.append(task)
        return taken
