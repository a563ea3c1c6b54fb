"""A report as tables: in a terminal, or as Markdown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from pushlane.cli.durations import told_ms

if TYPE_CHECKING:
    from pushlane.cli.reporting import Report, TenantReport
    from pushlane.telemetry.report import Percentiles

_NONE: Final = "-"
_ENDS: Final = {
    "started": "started",
    "succeeded": "done",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
    "dead_lettered": "dead",
    "retried": "retried",
}


class Page(Struct, frozen=True, kw_only=True):
    """One table of the report."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pages(report: "Report") -> list[Page]:
    """The report's tables; those that have nothing to say are left out."""
    made = [_work(report), _deadlines(report), _pickup(report), _waits(report), _cost(report), _pools(report)]
    return [page for page in made if page.rows]


def summary_line(report: "Report") -> str:
    """All of it in one line."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.counts.items()) or "no tasks"
    return f"{_time(report.from_ms)} to {_time(report.to_ms)}: {counts}"


def fairness_line(report: "Report") -> str:
    """What the index of fairness says."""
    if report.fairness is None:
        return "fairness: fewer than two tenants had any cost"
    return f"fairness: {report.fairness:.3f} (Jain's index of cost by weight; 1 is even, 1/tenants is one-sided)"


def markdown(report: "Report") -> str:
    """The report as a Markdown document."""
    parts = ["# Pushlane report", summary_line(report), fairness_line(report)]
    for page in pages(report):
        rows = [page.headings, tuple("---" for _ in page.headings), *page.rows]
        parts += [f"## {page.title}", "\n".join(f"| {' | '.join(row)} |" for row in rows)]
    return "\n\n".join(parts) + "\n"


def _work(report: "Report") -> Page:
    rows = [(*_whose(one), *(str(one.counts.get(name, 0)) for name in _ENDS)) for one in report.tenants]
    return Page(title="Work", headings=("tenant", "tier", *_ENDS.values()), rows=tuple(rows))


def _deadlines(report: "Report") -> Page:
    rows = [
        (*_whose(one), str(one.deadline_met), str(one.deadline_missed), _percent(one.missed_share))
        for one in report.tenants
        if one.missed_share is not None
    ]
    return Page(title="Deadlines", headings=("tenant", "tier", "met", "missed", "missed of all"), rows=tuple(rows))


def _pickup(report: "Report") -> Page:
    rows = [
        (*_whose(one), str(one.pickup.count), *_figures(one.pickup), *_figures(one.run)[:2])
        for one in report.tenants
        if one.pickup.count
    ]
    headings = ("tenant", "tier", "picked up", "p50", "p95", "p99", "longest", "run p50", "run p95")
    return Page(title="Pickup: from acceptance to the first start", headings=headings, rows=tuple(rows))


def _waits(report: "Report") -> Page:
    rows = [
        (*_whose(one), name, str(found.count), *_figures(found))
        for one in report.tenants
        for name, found in sorted(one.waits.items())
        if found.count
    ]
    headings = ("tenant", "tier", "part", "tasks", "p50", "p95", "p99", "longest")
    return Page(title="What pickup is made of", headings=headings, rows=tuple(rows))


def _cost(report: "Report") -> Page:
    rows = [
        (
            *_whose(one),
            f"{one.slot_seconds:,.1f}",
            f"{one.tokens:,}",
            f"{one.cost:,.1f}",
            _NONE if one.weight is None else f"{one.weight:g}",
            _percent(one.cost_share),
            _percent(one.weight_share),
        )
        for one in report.tenants
        if one.cost or one.tokens
    ]
    headings = ("tenant", "tier", "slot seconds", "tokens", "cost (s)", "weight", "share of cost", "share of weight")
    return Page(title="Cost and fairness", headings=headings, rows=tuple(rows))


def _pools(report: "Report") -> Page:
    rows = [
        (
            one.pool,
            str(one.samples),
            _percent(one.used_share),
            f"{one.waiting_mean:g}",
            str(one.waiting_max),
            told_ms(one.longest_wait_ms),
            str(one.idle_samples),
        )
        for one in report.pools
    ]
    headings = ("pool", "samples", "slots used", "waiting, mean", "most", "longest wait", "idle beside waits")
    return Page(title="Pools", headings=headings, rows=tuple(rows))


def _whose(one: "TenantReport") -> tuple[str, str]:
    return one.tenant_id, one.tier or "all"


def _figures(found: "Percentiles") -> Sequence[str]:
    if not found.count:
        return (_NONE,) * 4
    return tuple(told_ms(one) for one in (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms))


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{share:.1%}"


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M} UTC"
