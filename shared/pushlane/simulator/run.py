"""The virtual world: arrivals and completions in order of time, and one decision whenever something happens.

The world keeps its own books of slots, rates and caps, and stops the run when a scheduler exceeds one of them.
"""

import heapq
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.simulator.rates import Bucket
from pushlane.simulator.setting import Setting
from pushlane.simulator.tasks import SimTask

# Far more than a run needs: an arrival and a completion for each task, and wake-ups between.
_STEPS_PER_TASK_MAX: Final = 200


class Stuck(PushlaneError):
    """Tasks wait although nothing runs and no wake-up is due: a defect of the scheduler, not of the trace."""


class Exceeded(PushlaneError):
    """A scheduler started what did not fit: a defect of the scheduler."""


class Decided(Struct, frozen=True):
    """What a scheduler decides: tasks to start now, in order, and tasks that it gives up (refused, expired)."""

    start: Sequence[SimTask] = ()
    drop: Sequence[SimTask] = ()


class Scheduler(Protocol):
    """One policy in one world. It keeps what waits and counts what is free; the world tells it what happens."""

    def decide(self, arrivals: Sequence[SimTask], finished: Sequence[SimTask], now_ms: int) -> Decided:
        """Called at every arrival, completion and wake-up. `arrivals` have all their parents finished."""
        ...

    def next_wake_ms(self) -> int | None:
        """When to be called although nothing happens, such as when a rate has refilled; None for never."""
        ...


# Built anew for every run: the setting, and all tasks of the run for what a producer would have declared beforehand.
Policy = Callable[[Setting, Sequence[SimTask]], Scheduler]


class Ran(Struct, frozen=True, kw_only=True):
    """What became of one task."""

    task: SimTask
    started_ms: int
    finished_ms: int

    @property
    def wait_s(self) -> float:
        return (self.started_ms - self.task.ready_ms) / 1_000

    @property
    def missed(self) -> bool:
        return self.finished_ms > self.task.deadline_ms


class Run(Struct, frozen=True, kw_only=True):
    """A whole simulation. `decisions` counts starts, tasks put to wait, and drops; `plans` the calls that made them."""

    setting: Setting
    ran: tuple[Ran, ...]
    dropped: tuple[SimTask, ...]
    plans: int
    decisions: int
    decision_ns: int


def simulate(tasks: Sequence[SimTask], setting: Setting, policy: Policy) -> Run:
    """Run tasks (in order of arrival) under a policy; each runs exactly its `runtime_ms` once it is started.

    Raises `Stuck` or `Exceeded` when the policy is at fault.
    """
    return _Loop(tasks, setting, policy(setting, tasks)).run()


class _Loop:
    def __init__(self, tasks: Sequence[SimTask], setting: Setting, scheduler: Scheduler) -> None:
        self.tasks, self.setting, self.scheduler = tasks, setting, scheduler
        self.position = self.now_ms = 0
        self.running: list[tuple[int, int, SimTask]] = []
        self.workflows = _Workflows(tasks)
        self.books = _Books(setting)
        self.ran: list[Ran] = []
        self.dropped: list[SimTask] = []
        self.plans = self.decisions = self.decision_ns = 0

    def run(self) -> Run:
        while (now_ms := self._next_ms()) is not None:
            self.now_ms = now_ms
            finished = self._finished(now_ms)
            self._step([*self.workflows.unblocked(finished, now_ms), *self._arrivals(now_ms)], finished, now_ms)
            if self.plans > _STEPS_PER_TASK_MAX * (len(self.tasks) + 1):
                raise Stuck(f"{self.plans} decisions for {len(self.tasks)} tasks: the scheduler wakes without end")
        left = len(self.tasks) - len(self.ran) - len(self.dropped)
        if left:
            raise Stuck(f"{left} tasks wait for ever on {self.setting.slots} free slots")
        return Run(
            setting=self.setting,
            ran=tuple(self.ran),
            dropped=tuple(self.dropped),
            plans=self.plans,
            decisions=self.decisions,
            decision_ns=self.decision_ns,
        )

    def _next_ms(self) -> int | None:
        times = [self.running[0][0]] if self.running else []
        if self.position < len(self.tasks):
            times.append(self.tasks[self.position].arrival_ms)
        if self._waiting and (wake_ms := self.scheduler.next_wake_ms()) is not None:
            times.append(max(wake_ms, self.now_ms + 1))
        return min(times, default=None)

    @property
    def _waiting(self) -> bool:
        return len(self.ran) + len(self.dropped) < len(self.tasks)

    def _finished(self, now_ms: int) -> list[SimTask]:
        finished = []
        while self.running and self.running[0][0] <= now_ms:
            task = heapq.heappop(self.running)[2]
            self.books.finish(task, now_ms)
            finished.append(task)
        return finished

    def _arrivals(self, now_ms: int) -> list[SimTask]:
        begin = self.position
        while self.position < len(self.tasks) and self.tasks[self.position].arrival_ms <= now_ms:
            self.position += 1
        return self.workflows.ready(self.tasks[begin : self.position])

    def _step(self, arrivals: Sequence[SimTask], finished: Sequence[SimTask], now_ms: int) -> None:
        began_ns = perf_counter_ns()
        decided = self.scheduler.decide(arrivals, finished, now_ms)
        self.decision_ns += perf_counter_ns() - began_ns
        started = {task.number for task in decided.start}
        self.plans += 1
        self.decisions += len(started) + len(decided.drop) + sum(task.number not in started for task in arrivals)
        for task in decided.start:
            self._start(task, now_ms)
        self.dropped.extend(decided.drop)
        self.dropped.extend(self.workflows.dropped(decided.drop))

    def _start(self, task: SimTask, now_ms: int) -> None:
        self.books.start(task, now_ms)
        until_ms = now_ms + task.runtime_ms
        heapq.heappush(self.running, (until_ms, task.number, task))
        self.ran.append(Ran(task=task, started_ms=now_ms, finished_ms=until_ms))


class _Workflows:
    """Which tasks still wait for others to finish."""

    def __init__(self, tasks: Sequence[SimTask]) -> None:
        self._open = {task.task_id: set(task.depends_on) for task in tasks if task.depends_on}
        self._children: dict[str, list[SimTask]] = {}
        self._arrived: set[str] = set()
        self._lost: set[int] = set()
        for task in tasks:
            for parent in set(task.depends_on):
                self._children.setdefault(parent, []).append(task)

    def ready(self, arrived: Sequence[SimTask]) -> list[SimTask]:
        """Those of the newly arrived that wait for nothing."""
        self._arrived.update(task.task_id for task in arrived if task.depends_on)
        return [task for task in arrived if not self._open.get(task.task_id)]

    def unblocked(self, finished: Sequence[SimTask], now_ms: int) -> list[SimTask]:
        """Arrived tasks whose last parent has just finished; they are ready from now on."""
        ready = []
        for parent in finished:
            for child in self._children.get(parent.task_id, ()):
                self._open[child.task_id].discard(parent.task_id)
                if not self._open[child.task_id] and child.task_id in self._arrived:
                    ready.append(msgspec.structs.replace(child, ready_ms=now_ms))
        return ready

    def dropped(self, tasks: Sequence[SimTask]) -> list[SimTask]:
        """All tasks that can never run because one of `tasks` was given up."""
        lost: list[SimTask] = []
        frontier = list(tasks)
        while frontier:
            for child in self._children.pop(frontier.pop().task_id, ()):
                if child.number not in self._lost:
                    self._lost.add(child.number)
                    lost.append(child)
                    frontier.append(child)
        return lost


class _Books:
    """What is in use, kept apart from any scheduler."""

    def __init__(self, setting: Setting) -> None:
        self.free = {pool.name: pool.slots for pool in setting.pools}
        self.left = dict(setting.caps)
        self.buckets = {rate.name: Bucket(rate) for rate in setting.rates}
        self.open: set[int] = set()
        self.begun: set[int] = set()

    def start(self, task: SimTask, now_ms: int) -> None:
        if task.number in self.begun:
            raise Exceeded(f"{task.task_id} was started twice")
        self.begun.add(task.number)
        self.free[task.pool] -= 1
        if self.free[task.pool] < 0:
            raise Exceeded(f"{task.task_id} was started although pool {task.pool} had no free slot")
        if task.tenant in self.left:
            self.left[task.tenant] -= 1
            if self.left[task.tenant] < 0:
                raise Exceeded(f"{task.task_id} was started although tenant {task.tenant} was at its cap")
        for name, tokens in task.charges:
            if self.buckets[name].fits_at_ms(tokens, now_ms) > now_ms:
                raise Exceeded(f"{task.task_id} was started although its {tokens} tokens did not fit rate {name}")
            self.buckets[name].charge(tokens, now_ms)

    def finish(self, task: SimTask, now_ms: int) -> None:
        self.free[task.pool] += 1
        if task.tenant in self.left:
            self.left[task.tenant] += 1
        for name, tokens in task.charges:
            self.buckets[name].correct(task.tokens - tokens, now_ms)
