"""The tasks of a trace as a scheduler sees them: whole milliseconds, estimates instead of truths."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.setting import Setting, pool_of
from pushlane.simulator.trace import TraceTask, in_dependency_order

RANKS: Final = {tier: rank for rank, tier in enumerate(Tier)}


class SimTask(Struct, frozen=True, kw_only=True):
    """One task. A policy reads anything but `runtime_ms` and `tokens`: those are the truth that the world runs.

    `number` is its place in the trace (unique, a tie-breaker). `ready_ms` is its arrival or, with dependencies, when
    its last parent finished; waits count from there. `charges` are estimated tokens by rate. `downstream_ms` is the
    estimated runtime of the longest chain of tasks after it, `unblocks` how many tasks wait for it directly.
    """

    number: int
    task_id: str
    tenant: str
    tier: Tier
    rank: int
    task_type: str
    pool: str
    arrival_ms: int
    ready_ms: int
    deadline_ms: int
    estimate_ms: int
    tokens_estimate: int
    runtime_ms: int
    tokens: int
    charges: tuple[tuple[str, int], ...] = ()
    depends_on: tuple[str, ...] = ()
    downstream_ms: int = 0
    unblocks: int = 0

    @property
    def start_by_ms(self) -> int:
        """The last moment at which it makes its own deadline, as far as the estimate goes."""
        return self.deadline_ms - self.estimate_ms


def tasks_of(trace: Sequence[TraceTask], setting: Setting, sigma: float, seed: int) -> list[SimTask]:
    """The trace as a scheduler sees it. Estimates are runtime and tokens times lognormal(0, sigma), one draw a task.

    The draws depend on `seed` and the place in the trace alone: every policy sees the same errors, and another sigma
    only scales them.
    """
    rng = random.Random(seed)
    errors = [math.exp(sigma * rng.gauss(0.0, 1.0)) for _ in trace]
    estimates = {task.task_id: _ms(task.runtime_s * error) for task, error in zip(trace, errors, strict=True)}
    after, unblocks = _after(trace, estimates)
    numbered = enumerate(zip(trace, errors, strict=True))
    return [_task(number, task, error, setting, after, unblocks) for number, (task, error) in numbered]


def _task(
    number: int,
    task: TraceTask,
    error: float,
    setting: Setting,
    after: Mapping[str, int],
    unblocks: Mapping[str, int],
) -> SimTask:
    tokens = task.tokens_in + task.tokens_out
    estimated = round(tokens * error)
    draws = [rate.name for rate in setting.rates if not rate.task_types or task.task_type in rate.task_types]
    return SimTask(
        number=number,
        task_id=task.task_id,
        tenant=task.tenant,
        tier=task.tier,
        rank=RANKS[task.tier],
        task_type=task.task_type,
        pool=pool_of(setting, task.task_type),
        arrival_ms=_ms(task.arrival_s),
        ready_ms=_ms(task.arrival_s),
        deadline_ms=_ms(task.deadline_s),
        estimate_ms=_ms(task.runtime_s * error),
        tokens_estimate=estimated,
        runtime_ms=_ms(task.runtime_s),
        tokens=tokens,
        charges=tuple((name, estimated) for name in draws) if estimated else (),
        depends_on=task.depends_on,
        downstream_ms=after.get(task.task_id, 0),
        unblocks=unblocks.get(task.task_id, 0),
    )


def _after(trace: Sequence[TraceTask], estimates: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    after: dict[str, int] = {}
    unblocks: dict[str, int] = {}
    for task in reversed(in_dependency_order(trace)):
        behind = estimates[task.task_id] + after.get(task.task_id, 0)
        for parent in set(task.depends_on):
            after[parent] = max(after.get(parent, 0), behind)
            unblocks[parent] = unblocks.get(parent, 0) + 1
    return after, unblocks


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
