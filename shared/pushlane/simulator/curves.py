"""What the plots show of a run, small enough to be handed between processes."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.run import Ran, Run

POINTS: Final = 200
BIN_SECONDS: Final = 30
_TENANTS_MAX: Final = 6


class Curves(Struct, frozen=True, kw_only=True):
    """`waits`: by tier, waits in seconds at evenly spaced quantiles, 0 to 1.

    `service`: by tenant, slot-seconds started in each bin of `BIN_SECONDS` (the noisy one and those with most tasks).
    """

    waits: Mapping[str, tuple[float, ...]]
    service: Mapping[str, tuple[float, ...]]


def curves_of(run: Run, noisy: str | None = None) -> Curves:
    """The curves of a run of at least one task."""
    waits = {tier.value: sorted(one.wait_s for one in run.ran if one.task.tier is tier) for tier in Tier}
    counts: dict[str, int] = {}
    for one in run.ran:
        counts[one.task.tenant] = counts.get(one.task.tenant, 0) + 1
    shown = sorted(counts, key=lambda tenant: (tenant != noisy, -counts[tenant], tenant))[:_TENANTS_MAX]
    return Curves(
        waits={tier: _quantiles(ordered) for tier, ordered in waits.items() if ordered},
        service={tenant: _service([one for one in run.ran if one.task.tenant == tenant]) for tenant in shown},
    )


def _quantiles(ordered: Sequence[float]) -> tuple[float, ...]:
    return tuple(ordered[round(place / POINTS * (len(ordered) - 1))] for place in range(POINTS + 1))


def _service(ran: Sequence[Ran]) -> tuple[float, ...]:
    bins = [0.0] * (max(one.started_ms for one in ran) // (BIN_SECONDS * 1_000) + 1)
    for one in ran:
        bins[one.started_ms // (BIN_SECONDS * 1_000)] += one.task.runtime_ms / 1_000
    return tuple(bins)
