"""The report on a terminal. Needs `rich`, so it is imported by the command line only."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from pushlane.model.task import Tier
from pushlane.simulator.figures import Figures
from pushlane.simulator.isolation import Felt
from pushlane.simulator.report import Document, InWorld

_TIERS: Final = tuple(tier.value for tier in Tier)
# Where there is no terminal to be as wide as.
_WIDTH: Final = 150


def console() -> Console:
    """Standard output, wide enough for the tables when it is a file or a pipe."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def show(document: Document, screen: Console) -> None:
    """Misses of every world, the lowest of each column bold; waits and running costs with the best estimates run."""
    for name, world in document.worlds.items():
        head = f"{name} ({world.slots} slots, seed {world.seed})"
        screen.print(_misses(f"{head}: percent missed, by estimate error sigma", world))
        sigma, at_sigma = next(iter(world.sigma.items()))
        screen.print(_waits(f"{head}, sigma {sigma}: seconds waited, p50 / p99 / longest", at_sigma.policies))
        screen.print(_running(f"{head}, sigma {sigma}: running", at_sigma.policies))


def show_isolation(runs: Sequence[Felt], screen: Console) -> None:
    """What the quiet tenants felt of a burst."""
    headings = ("run", "tier", "tasks", "p50", "p99", "longest", "its bound", "closest to its bound")
    table = _table("isolation: seconds that quiet tenants' tasks waited", headings)
    for run in runs:
        for tier, one in run.by_tier.items():
            waits = (one.wait_s.p50, one.wait_s.p99, one.wait_s.longest, one.bound_s)
            table.add_row(run.case, tier, str(one.tasks), *(f"{wait:.2f}" for wait in waits), f"{one.closest_pct:g} %")
    screen.print(table)


def _misses(title: str, world: InWorld) -> Table:
    table = _table(title, ("policy", "sigma", "all", "quiet", "worst tenant", *_TIERS, "dropped"))
    for sigma, at_sigma in world.sigma.items():
        rows = {name: _miss_row(figures) for name, figures in at_sigma.policies.items()}
        lowest = [min(column) for column in zip(*rows.values(), strict=True)]
        for name, row in rows.items():
            cells = [f"[bold]{x:.2f}[/bold]" if x == low else f"{x:.2f}" for x, low in zip(row, lowest, strict=True)]
            table.add_row(name, sigma, *cells, str(at_sigma.policies[name].dropped))
        table.add_section()
    return table


def _miss_row(figures: Figures) -> list[float]:
    misses = figures.miss_pct
    return [misses.all, misses.quiet, misses.worst_tenant, *(misses.by_tier.get(tier, 0.0) for tier in _TIERS)]


def _waits(title: str, policies: Mapping[str, Figures]) -> Table:
    table = _table(title, ("policy", *_TIERS))
    for name, figures in policies.items():
        waits = [figures.wait_s.get(tier) for tier in _TIERS]
        table.add_row(name, *(f"{w.p50:.1f} / {w.p99:.1f} / {w.longest:.0f}" if w else "" for w in waits))
    return table


def _running(title: str, policies: Mapping[str, Figures]) -> Table:
    gaps = tuple(f"gap {tier}" for tier in _TIERS)
    table = _table(title, ("policy", "slots used", "tasks/s", "plans", "us/decision", *gaps))
    for name, one in policies.items():
        cells = (f"{100 * one.utilisation:.1f} %", f"{one.tasks_per_second:.2f}", str(one.plans))
        table.add_row(name, *cells, f"{one.microseconds_per_decision:.0f}", *_gaps(one))
    table.caption = "gap: most seconds of slot time that a waiting tenant got more than another, of the fairness bound"
    return table


def _gaps(figures: Figures) -> Iterable[str]:
    gaps = [figures.service_gap.get(tier) for tier in _TIERS]
    return (f"{gap.gap_s:.0f} of {gap.bound_s:.0f}" if gap else "" for gap in gaps)


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=not place)
    return table
