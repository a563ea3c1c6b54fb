"""How much is measured: the whole bench, and a quick one for work on the bench itself."""

from typing import Final

from msgspec import Struct

from bench.loads import Load
from bench.neighbours import Plan

STEADY_PER_SECOND: Final = 8.0


class Scale(Struct, frozen=True, kw_only=True):
    """Orders of each system under each load; `aside`: of the systems that only say what else there could be."""

    low: Load
    aside: Load
    steady: Load
    burst: Load
    neighbours: Plan
    api_samples: int
    idle_seconds: float
    counted_tasks: int
    decided_turns: int
    routed_tasks: int
    imports: int


FULL: Final = Scale(
    low=Load(name="low", count=400, rounds=8, per_second=4.0),
    aside=Load(name="low", count=120, rounds=2, per_second=4.0),
    steady=Load(name="steady", count=120, rounds=3, per_second=STEADY_PER_SECOND, evenly=False),
    burst=Load(name="burst", count=100, rounds=2, per_second=None),
    neighbours=Plan(extra=90, window_seconds=40, rounds=2),
    api_samples=100,
    idle_seconds=15,
    counted_tasks=200,
    decided_turns=20,
    routed_tasks=500,
    imports=3,
)
QUICK: Final = Scale(
    low=Load(name="low", count=24, rounds=2, per_second=4.0),
    aside=Load(name="low", count=12, rounds=1, per_second=4.0),
    steady=Load(name="steady", count=15, rounds=1, per_second=STEADY_PER_SECOND, evenly=False),
    burst=Load(name="burst", count=20, rounds=1, per_second=None),
    neighbours=Plan(extra=20, window_seconds=8, rounds=1),
    api_samples=8,
    idle_seconds=4,
    counted_tasks=20,
    decided_turns=3,
    routed_tasks=50,
    imports=1,
)
