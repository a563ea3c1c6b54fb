"""What a run comes to: misses and waits by tier, use of the slots, cost of deciding. Everything in it is simulated."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.fairness import ServiceGap, service_gap
from pushlane.simulator.run import Ran, Run
from pushlane.simulator.tasks import SimTask

# A task and whether it missed its deadline.
Fate = tuple[SimTask, bool]


class Misses(Struct, frozen=True, kw_only=True):
    """Percent of tasks that finished after their deadline; what was dropped, refused or expired counts as missed.

    `quiet` leaves the named noisy tenant out. `worst_tenant` is the highest percentage of any one tenant.
    """

    all: float
    quiet: float
    worst_tenant: float
    by_tier: Mapping[str, float]


class Waits(Struct, frozen=True, kw_only=True):
    """Seconds from ready (arrived, and all parents finished) to started, of the tasks that started."""

    p50: float
    p99: float
    longest: float


class Figures(Struct, frozen=True, kw_only=True):
    """One policy in one world. `wait_s` is by tier, and "all".

    `utilisation` is work done / slot time up to the last completion; `quiet_by_tier` are misses of quiet tenants.
    """

    tasks: int
    dropped: int
    miss_pct: Misses
    wait_s: Mapping[str, Waits]
    quiet_by_tier: Mapping[str, float]
    worst_tenant: str
    service_gap: ServiceGap
    utilisation: float
    tasks_per_second: float
    plans: int
    decisions: int
    microseconds_per_decision: float
    simulated: bool = True


def figures_of(run: Run, noisy: str | None = None, credit_s: float = 0.0) -> Figures:
    """Summarise a run of at least one task; `noisy` is left out of the quiet, `credit_s` widens the fairness bound."""
    fates = [(one.task, one.missed) for one in run.ran] + [(task, True) for task in run.dropped]
    tenants = _by(fates, lambda task: task.tenant)
    worst = max(tenants, key=lambda tenant: (tenants[tenant], tenant))
    quiet = [(task, missed) for task, missed in fates if task.tenant != noisy]
    span_ms = max((one.finished_ms for one in run.ran), default=0) or 1
    return Figures(
        tasks=len(fates),
        dropped=len(run.dropped),
        miss_pct=Misses(
            all=_percent(missed for _, missed in fates),
            quiet=_percent(missed for _, missed in quiet),
            worst_tenant=tenants[worst],
            by_tier=_tiers(fates),
        ),
        wait_s={"all": waits_of(run.ran), **_tier_waits(run.ran)},
        quiet_by_tier=_tiers(quiet),
        worst_tenant=worst,
        service_gap=service_gap(run, credit_s),
        utilisation=round(sum(one.task.runtime_ms for one in run.ran) / (span_ms * run.setting.slots), 4),
        tasks_per_second=round(len(run.ran) / (span_ms / 1_000), 3),
        plans=run.plans,
        decisions=run.decisions,
        microseconds_per_decision=round(run.decision_ns / 1_000 / max(1, run.decisions), 1),
    )


def waits_of(ran: Sequence[Ran]) -> Waits:
    """Quantiles by nearest rank; zeros when nothing ran."""
    waits = sorted(one.wait_s for one in ran) or [0.0]
    return Waits(p50=nearest_rank(waits, 0.5), p99=nearest_rank(waits, 0.99), longest=round(waits[-1], 3))


def nearest_rank(ordered: Sequence[float], quantile: float) -> float:
    """The value below or at which that share of the ordered values lies."""
    return round(ordered[max(0, math.ceil(quantile * len(ordered)) - 1)], 3)


def _tiers(fates: Sequence[Fate]) -> dict[str, float]:
    missed = _by(fates, lambda task: task.tier.value)
    return {tier.value: missed[tier.value] for tier in Tier if tier.value in missed}


def _tier_waits(ran: Sequence[Ran]) -> dict[str, Waits]:
    by_tier = {tier: [one for one in ran if one.task.tier is tier] for tier in Tier}
    return {tier.value: waits_of(of_tier) for tier, of_tier in by_tier.items() if of_tier}


def _by(fates: Sequence[Fate], key: Callable[[SimTask], str]) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for task, missed in fates:
        groups.setdefault(key(task), []).append(missed)
    return {name: _percent(group) for name, group in groups.items()}


def _percent(missed: Iterable[bool]) -> float:
    counted = list(missed)
    return round(100 * sum(counted) / len(counted), 2) if counted else 0.0
