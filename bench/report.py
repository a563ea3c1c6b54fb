"""The report: what was measured, the ratios first, and which targets are met. As JSON and as a page to read."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from pushlane.local.percentiles import Percentiles

LOW: Final = "low"
PUSHLANE: Final = "pushlane"
POLL: Final = "poll_1s"
FLOOR: Final = "floor"
COMMITTING: Final = "committing_floor"
_NOT_MEASURED: Final = "-"
_LEGEND: Final = """Times on an emulator of AWS: only ratios between figures of one run mean something. Units, calls and
dollars are counted, or computed from counts. How to read it: docs/bench.md.
"""


class Report(Struct, kw_only=True):
    """Filled section by section; what is empty was not measured. `more`: what the named keys have no place for."""

    ratios: dict[str, dict[str, float]] = field(default_factory=dict)
    pickup_ms: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    calls_per_task: dict[str, float] = field(default_factory=dict)
    write_units_per_task: dict[str, float] = field(default_factory=dict)
    usd_per_million: dict[str, float] = field(default_factory=dict)
    import_ms: dict[str, float] = field(default_factory=dict)
    decision_us: dict[str, float] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    targets: list["Target"] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        self.more[name] = value


class Target(Struct, frozen=True, kw_only=True):
    """What was aimed at and what was found (None: not measured). `beside`: a figure that says how much there was to be
    had, or in which case it was found.
    """

    name: str
    at_least: float | None = None
    at_most: float | None = None
    found: float | None = None
    beside: str = ""

    @property
    def met(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= (self.at_least or 0) and (self.at_most is None or self.found <= self.at_most)


def pickup_ratios(low: Mapping[str, Percentiles]) -> dict[str, dict[str, float]]:
    """At low load; of those systems that were measured."""
    pairs = ((POLL, PUSHLANE), (POLL, FLOOR), (PUSHLANE, FLOOR), (POLL, COMMITTING), (PUSHLANE, COMMITTING))
    return {f"{one}_over_{other}": _over(low[one], low[other]) for one, other in pairs if one in low and other in low}


def _over(one: Percentiles, other: Percentiles) -> dict[str, float]:
    return {
        "p50": round(one.p50 / max(other.p50, 1.0), 2),
        "p99": round(one.p99 / max(other.p99, 1.0), 2),
    }


def told(percentiles: Percentiles) -> dict[str, float]:
    return {"p50": percentiles.p50, "p95": percentiles.p95, "p99": percentiles.p99}


def targets(report: Report) -> list[Target]:
    """The targets with what was found for each."""

    def ratio(name: str, of: str) -> float | None:
        return report.ratios.get(name, {}).get(of)

    def most(of: str) -> str:
        return f"the floor's own: {ratio('poll_1s_over_floor', of) or _NOT_MEASURED}"

    def least(of: str) -> str:
        return f"over the committing floor: {ratio('pushlane_over_committing_floor', of) or _NOT_MEASURED}"

    def fleet() -> str:
        return f"the polling fleet's: {ratio('burst_over_control', POLL) or _NOT_MEASURED}"

    with_log = f"with the event log: {report.write_units_per_task.get('pushlane_event_log', _NOT_MEASURED)}"
    usd_with_log = f"with the event log: {report.usd_per_million.get('pushlane_event_log', _NOT_MEASURED)}"
    over_poll, over_floor = "poll_1s_over_pushlane", "pushlane_over_floor"
    return [
        Target(name="p50 of 1 s polling over Pushlane", at_least=4, found=ratio(over_poll, "p50"), beside=most("p50")),
        Target(name="p99 of 1 s polling over Pushlane", at_least=8, found=ratio(over_poll, "p99"), beside=most("p99")),
        Target(name="p50 of Pushlane over the floor", at_most=2.0, found=ratio(over_floor, "p50"), beside=least("p50")),
        Target(name="p99 of Pushlane over the floor", at_most=2.5, found=ratio(over_floor, "p99"), beside=least("p99")),
        Target(
            name="quiet tenants' p99, burst over control",
            at_most=1.2,
            found=ratio("burst_over_control", PUSHLANE),
            beside=fleet(),
        ),
        Target(name="write units a task", at_most=28, found=report.write_units_per_task.get(PUSHLANE), beside=with_log),
        Target(name="dollars a million", at_most=30, found=report.usd_per_million.get(PUSHLANE), beside=usd_with_log),
    ]


def page(report: Report) -> str:
    """To be read by people."""
    parts = [
        "# Pushlane, measured\n",
        _LEGEND,
        digest(report),
        *(_more(name, value) for name, value in report.more.items()),
    ]
    return "\n".join(parts)


def digest(report: Report) -> str:
    """What the named keys say; the ratios come first but for what was not measured at all."""
    of_tasks = [
        (name, _said(report.calls_per_task, name), _said(report.write_units_per_task, name), f"{usd:.2f}")
        for name, usd in report.usd_per_million.items()
    ]
    parts = [
        _failures(report.failed),
        "## Targets\n",
        _table(("target", "wanted", "found", "", "beside"), [_target_row(one) for one in report.targets]),
        "## Ratios\n",
        _table(("ratio", "", ""), [(name, *map(_pair, of.items())) for name, of in report.ratios.items()]),
        _pickup(report),
        "## A task\n",
        _table(("system", "AWS calls", "write units", "dollars a million"), of_tasks),
        "## Functions: CPU milliseconds to import\n",
        _table(("function", "ms"), list(report.import_ms.items())),
        "## CPU microseconds to plan one input of a turn\n",
        _table(("waiting, inputs a turn", "us"), list(report.decision_us.items())),
    ]
    return "\n".join(part for part in parts if part)


def _failures(failed: Mapping[str, str]) -> str:
    if not failed:
        return ""
    lines = [f"- {name}: {why}" for name, why in failed.items()]
    return "\n".join(["## NOT MEASURED\n", *lines, ""])


def _target_row(one: Target) -> tuple[str, ...]:
    wanted = f">= {one.at_least:g}" if one.at_least is not None else f"<= {one.at_most:g}"
    met = {True: "met", False: "NOT MET", None: "not measured"}[one.met]
    return (one.name, wanted, _NOT_MEASURED if one.found is None else f"{one.found:g}", met, one.beside)


def _pickup(report: Report) -> str:
    parts = ["## Pickup, ms\n"]
    for load, systems in report.pickup_ms.items():
        rows = [(name, *(f"{value:.0f}" for value in of.values())) for name, of in systems.items()]
        parts.append(_table((f"load: {load}", "p50", "p95", "p99"), rows))
    return "\n".join(parts)


def _more(name: str, value: Any) -> str:
    title = f"## {name.replace('_', ' ').capitalize()}\n"
    if not isinstance(value, Mapping):
        return f"{title}\n{_figure(value)}\n"
    return "\n".join((title, _table(("", ""), [(key, _figure(of)) for key, of in value.items()])))


def _pair(pair: tuple[str, Any]) -> str:
    name, value = pair
    return f"{name}: {_figure(value)}"


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(_pair, value.items()))
    return f"{value:,g}" if isinstance(value, int | float) else str(value)


def _said(of: Mapping[str, float], name: str) -> str:
    return f"{of[name]:.1f}" if name in of else _NOT_MEASURED


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "not measured\n"
    lines = [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([*lines, ""])
