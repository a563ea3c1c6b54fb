"""A period in figures: deadlines, fairness, cost, pickup, and how the pools were used. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.telemetry.report import Percentiles, PoolSample, Summary

PICKUP: Final = "pickup"
RUN: Final = "run"


class TenantReport(Struct, frozen=True, kw_only=True):
    """One tenant, or one tier of it. `missed_share`: of the tasks with a deadline that ended; None without any.
    `cost_share` and `weight_share`: of all tenants that had any cost; None for a tier. `waits`: by what it waited for.
    """

    tenant_id: str
    tier: str | None
    counts: Mapping[str, int]
    pickup: Percentiles
    run: Percentiles
    waits: Mapping[str, Percentiles]
    deadline_met: int
    deadline_missed: int
    missed_share: float | None
    slot_seconds: float
    tokens: int
    cost: float
    weight: float | None
    cost_share: float | None
    weight_share: float | None


class PoolReport(Struct, frozen=True, kw_only=True):
    """One pool, from the samples of the sweep. `idle_samples`: those in which something waited that could have run."""

    pool: str
    samples: int
    used_share: float
    waiting_mean: float
    waiting_max: int
    longest_wait_ms: int
    idle_samples: int


class Report(Struct, frozen=True, kw_only=True):
    """`from_ms` until before `to_ms`, Unix milliseconds. `fairness`: Jain's index of cost by weight, 1 is even; None
    with fewer than two tenants.
    """

    from_ms: int
    to_ms: int
    tenants: tuple[TenantReport, ...]
    pools: tuple[PoolReport, ...]
    counts: Mapping[str, int]
    deadline_met: int
    deadline_missed: int
    missed_share: float | None
    slot_seconds: float
    tokens: int
    cost: float
    fairness: float | None


def report_of(
    summaries: Sequence[Summary], samples: Mapping[str, Sequence[PoolSample]], from_ms: int, to_ms: int
) -> Report:
    """The report of what was measured."""
    tenants = _tenants(summaries)
    met, missed = sum(one.deadline_met for one in tenants), sum(one.deadline_missed for one in tenants)
    names = sorted({name for one in summaries for name in one.counts})
    return Report(
        from_ms=from_ms,
        to_ms=to_ms,
        tenants=tenants,
        pools=tuple(_pool(pool, found) for pool, found in sorted(samples.items()) if found),
        counts={name: sum(one.counts.get(name, 0) for one in summaries) for name in names},
        deadline_met=met,
        deadline_missed=missed,
        missed_share=_share(missed, met + missed),
        slot_seconds=round(sum(one.slot_seconds for one in summaries), 3),
        tokens=sum(one.tokens for one in summaries),
        cost=round(sum(one.cost for one in summaries), 3),
        fairness=fairness(summaries),
    )


def fairness(summaries: Sequence[Summary]) -> float | None:
    """Jain's index of what each tenant had by its weight (Jain, Chiu, Hawe, 1984): (sum x)^2 / (n sum x^2)."""
    by_tenant = _by_tenant(summaries)
    shares = [cost / weight for cost, weight in by_tenant.values() if weight and cost > 0]
    if len(shares) < 2:
        return None
    return round(sum(shares) ** 2 / (len(shares) * sum(one**2 for one in shares)), 4)


def _by_tenant(summaries: Sequence[Summary]) -> dict[str, tuple[float, float]]:
    """Cost and weight of each tenant, all its tiers together."""
    found: dict[str, tuple[float, float]] = {}
    for one in summaries:
        cost, _ = found.get(one.tenant_id, (0.0, 0.0))
        found[one.tenant_id] = (cost + one.cost, one.weight or 0.0)
    return found


def _tenants(summaries: Sequence[Summary]) -> tuple[TenantReport, ...]:
    costs = _by_tenant(summaries)
    all_cost = sum(cost for cost, _ in costs.values())
    all_weight = sum(weight for cost, weight in costs.values() if cost > 0)
    return tuple(_tenant(one, all_cost, all_weight) for one in summaries)


def _tenant(one: Summary, all_cost: float, all_weight: float) -> TenantReport:
    met, missed = one.counts.get("deadline_met", 0), one.counts.get("deadline_missed", 0)
    whole = one.tier is None
    weighed = whole and one.weight is not None and one.cost > 0
    return TenantReport(
        tenant_id=one.tenant_id,
        tier=one.tier,
        counts=dict(one.counts),
        pickup=one.latencies.get(PICKUP, Percentiles()),
        run=one.latencies.get(RUN, Percentiles()),
        waits={name: found for name, found in one.latencies.items() if name not in (PICKUP, RUN)},
        deadline_met=met,
        deadline_missed=missed,
        missed_share=_share(missed, met + missed),
        slot_seconds=round(one.slot_seconds, 3),
        tokens=one.tokens,
        cost=round(one.cost, 3),
        weight=one.weight,
        cost_share=_share(one.cost, all_cost) if whole else None,
        weight_share=_share(one.weight or 0.0, all_weight) if weighed else None,
    )


def _pool(pool: str, samples: Sequence[PoolSample]) -> PoolReport:
    slots = sum(one.slots for one in samples)
    return PoolReport(
        pool=pool,
        samples=len(samples),
        used_share=_share(sum(one.used for one in samples), slots) or 0.0,
        waiting_mean=round(sum(one.waiting for one in samples) / len(samples), 1),
        waiting_max=max(one.waiting for one in samples),
        longest_wait_ms=max(one.longest_wait_ms for one in samples),
        idle_samples=sum(one.waiting_with_idle_capacity > 0 for one in samples),
    )


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
