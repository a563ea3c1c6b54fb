"""What a simulation says: deadline misses and waits, by tier. Everything in it is simulated."""

import math
from collections.abc import Sequence

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.run import Ran, Run


class Waits(Struct, frozen=True, kw_only=True):
    """Seconds from arrival to start."""

    p50: float
    p99: float
    longest: float


class TierReport(Struct, frozen=True, kw_only=True):
    tasks: int
    miss_pct: float
    wait_s: Waits


class Report(Struct, frozen=True, kw_only=True):
    """Percent of tasks that finished after their deadline, and waits; `by_tier` has the tiers that the trace has."""

    tasks: int
    slots: int
    miss_pct: float
    wait_s: Waits
    by_tier: dict[str, TierReport]
    plans: int
    decisions: int
    simulated: bool = True


def report_of(run: Run, slots: int) -> Report:
    """Summarise a run of at least one task."""
    by_tier = {tier: [one for one in run.ran if one.task.tier is tier] for tier in Tier}
    return Report(
        tasks=len(run.ran),
        slots=slots,
        miss_pct=_miss_pct(run.ran),
        wait_s=_waits(run.ran),
        by_tier={
            tier.value: TierReport(tasks=len(ran), miss_pct=_miss_pct(ran), wait_s=_waits(ran))
            for tier, ran in by_tier.items()
            if ran
        },
        plans=run.plans,
        decisions=run.decisions,
    )


def _miss_pct(ran: Sequence[Ran]) -> float:
    return round(100 * sum(one.missed for one in ran) / len(ran), 2)


def _waits(ran: Sequence[Ran]) -> Waits:
    waits = sorted(one.wait_s for one in ran)
    return Waits(p50=_nearest_rank(waits, 0.5), p99=_nearest_rank(waits, 0.99), longest=waits[-1])


def _nearest_rank(ordered: Sequence[float], quantile: float) -> float:
    return round(ordered[max(0, math.ceil(quantile * len(ordered)) - 1)], 3)
