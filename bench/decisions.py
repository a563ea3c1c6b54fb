"""How long a decision takes, and how many tasks a second one router handles: CPU time of the real code in memory."""

import gc
from collections.abc import Mapping
from statistics import median
from time import process_time_ns
from typing import Any, Final

from msgspec import Struct

from bench.counts import TENANTS
from bench.pool_at_rest import Crowd
from bench.turns import CrowdedPool
from pushlane.agent import TaskContext, agent
from pushlane.testing import InMemoryDispatcher

CROWDS: Final = (Crowd(0, 1), Crowd(100, 5), Crowd(10_000, 100))
_BATCHES: Final = (1, 10)
_BATCH: Final = 10
_WARM_UPS: Final = 3


class Decision(Struct, frozen=True, kw_only=True):
    """Median CPU microseconds for one input of a turn: of the plan alone, and of the whole turn with its store."""

    plan_us: float
    turn_us: float


def decisions(turns: int) -> dict[str, Decision]:
    """By what waits and how many inputs a turn has."""
    found: dict[str, Decision] = {}
    for crowd in CROWDS:
        pool = CrowdedPool(crowd)
        for batch in _BATCHES:
            found[f"{crowd.parked} waiting, {batch} a turn"] = _decision(pool, batch, turns)
    return found


def _decision(pool: CrowdedPool, batch: int, turns: int) -> Decision:
    """Completions that hand slots on and arrivals in turn, so as many wait after it as before."""
    plan_us: list[float] = []
    turn_us: list[float] = []
    gc.collect()
    gc.freeze()
    try:
        for number in range(_WARM_UPS + turns):
            for inputs in (pool.completions(batch), pool.arrivals(batch)):
                measured = pool.run(inputs)
                if number >= _WARM_UPS:
                    plan_us.append(measured.plan_us / batch)
                    turn_us.append(measured.turn_us / batch)
    finally:
        gc.unfreeze()
    return Decision(plan_us=round(median(plan_us), 1), turn_us=round(median(turn_us), 1))


class _Timed(InMemoryDispatcher):
    """Adds up the CPU time of its router."""

    spent_ns = 0

    def _handle(self, event: Mapping[str, Any]) -> set[str]:
        began_ns = process_time_ns()
        failed = super()._handle(event)
        self.spent_ns += process_time_ns() - began_ns
        return failed


@agent(task_types=("nothing",))
def _nothing(_context: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def router_per_second(tasks: int) -> float:
    """Tasks that one router takes in and completes in a second of its CPU time, in batches of ten, with slots free. The
    store is in memory, so nothing waits for AWS: this is what the router itself has to do.
    """
    pushlane = _Timed(tenants=TENANTS)
    for number in range(_BATCH):  # as many runtimes, so that results too come in batches of ten
        pushlane.register(_nothing, agent_id=f"agent-{number}", slots=tasks)
    for number in range(tasks):
        pushlane.submit(tenant_id=TENANTS[number % len(TENANTS)], task_type="nothing", payload={"number": number})
    pushlane.run_until_idle()
    return round(tasks / (pushlane.spent_ns / 1e9), 1)
