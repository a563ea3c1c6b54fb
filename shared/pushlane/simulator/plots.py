"""Plots of a report: waits by tier, and service over time. Needs `matplotlib` (extra `simulate`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pushlane.model.task import Tier
from pushlane.simulator.curves import BIN_SECONDS, Curves

_DOTS_PER_INCH: Final = 110
# A wait of nothing has no place on a logarithmic axis.
_SHORTEST_SECONDS: Final = 0.01


def plot_waits(title: str, policies: Mapping[str, Curves], file: Path) -> None:
    """The share of tasks that had started by then (a CDF), one panel a tier, one line a policy."""
    tiers = [tier.value for tier in Tier if any(tier.value in curves.waits for curves in policies.values())]
    figure = Figure(figsize=(4 * len(tiers), 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: time waited")
    for place, tier in enumerate(tiers, start=1):
        axes = figure.add_subplot(1, len(tiers), place)
        for name, curves in policies.items():
            waits = curves.waits.get(tier, ())
            shares = [point / max(1, len(waits) - 1) for point in range(len(waits))]
            axes.plot([max(_SHORTEST_SECONDS, wait) for wait in waits], shares, label=name)
        axes.set(xscale="log", xlabel="seconds", title=tier)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("share of tasks")
    figure.axes[-1].legend(fontsize="small")
    figure.savefig(file, dpi=_DOTS_PER_INCH)


def plot_service(title: str, policies: Mapping[str, Curves], file: Path) -> None:
    """Slot-seconds given to each tenant over time, one panel a policy."""
    figure = Figure(figsize=(9, 2.6 * len(policies)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: service by tenant (slots, mean of {BIN_SECONDS} s)")
    for place, (name, curves) in enumerate(policies.items(), start=1):
        axes = figure.add_subplot(len(policies), 1, place)
        for tenant, bins in curves.service.items():
            axes.plot(_minutes(bins), [one / BIN_SECONDS for one in bins], label=tenant, linewidth=1)
        axes.set(title=name, xlabel="minutes", ylabel="slots")
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize="small", ncols=3)
    figure.savefig(file, dpi=_DOTS_PER_INCH)


def _minutes(bins: Sequence[float]) -> list[float]:
    return [place * BIN_SECONDS / 60 for place in range(len(bins))]
