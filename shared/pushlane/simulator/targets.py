"""What Pushlane promises of the published worlds, held against a report, and where a baseline does better."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from pushlane.model.task import Tier
from pushlane.simulator.figures import Figures
from pushlane.simulator.policies import PUSHLANE
from pushlane.simulator.report import Document

# Percent missed with exact estimates, at most: (world, figure) -> target.
MISS_PCT_MAX: Final[Mapping[tuple[str, str], float]] = {
    ("noisy-0.92", "quiet"): 3.0,
    ("noisy-0.92", "all"): 23.0,
    ("conv-1.1", "all"): 5.5,
    ("conv-1.5", "all"): 28.0,
}
URGENT_MISS_PCT_MAX: Final = 0.1
URGENT: Final = (Tier.CRITICAL.value, Tier.HIGH.value)
QUIET_GAIN_MIN: Final = 3.0
LATE_LAST: Final = "late-last"
# These know deadlines and nothing of tenants: Pushlane pays them a price in all misses for its fairness.
_UNFAIR: Final = frozenset({LATE_LAST, "late-last-laxity"})
_OVERLOADED: Final = ("noisy-0.92", "conv-1.1", "conv-1.5", "tight-tpm", "workflows")
# Smaller differences are not worth a word.
_NOTICEABLE: Final = 0.05


class Verdict(Struct, frozen=True, kw_only=True):
    """A target and whether it is met; None when what it needs was not run."""

    text: str
    met: bool | None


def verdicts(document: Document) -> list[Verdict]:
    """All targets, in the order in which they are stated."""
    return [*_misses(document), *_urgent(document), *_nothing_dropped(document), *_quiet(document), *_ahead(document)]


def prices(document: Document) -> list[str]:
    """What fairness costs in misses of all tasks, against the same without fairness, by world."""
    said = []
    for world, sigma, own in _own(document):
        other = document.figures(world, sigma, LATE_LAST)
        if other is not None:
            points = own.miss_pct.all - other.miss_pct.all
            said.append(
                f"price of fairness, {world}, sigma {sigma}: {points:+.2f} points of all-task misses against "
                f"{LATE_LAST} ({own.miss_pct.all:g} % to {other.miss_pct.all:g} %); quiet tenants "
                f"{own.miss_pct.quiet:g} % to {other.miss_pct.quiet:g} %"
            )
    return said


def baseline_wins(document: Document) -> list[str]:
    """Every figure of misses in which a baseline is ahead of Pushlane."""
    said = []
    for world, sigma, own in _own(document):
        others = {p: f for p, f in document.worlds[world].sigma[sigma].policies.items() if p != PUSHLANE}
        for name, value in _figures(own).items():
            ahead = {p: _figures(f)[name] for p, f in others.items() if _figures(f)[name] < value - _NOTICEABLE}
            if ahead:
                named = ", ".join(f"{p} {x:g} %" for p, x in sorted(ahead.items(), key=lambda item: item[1]))
                said.append(f"a baseline wins: {world}, sigma {sigma}, misses {name}: {named}; pushlane {value:g} %")
    return said


def _own(document: Document) -> Iterator[tuple[str, str, Figures]]:
    for world, in_world in document.worlds.items():
        for sigma, at_sigma in in_world.sigma.items():
            if PUSHLANE in at_sigma.policies:
                yield world, sigma, at_sigma.policies[PUSHLANE]


def _figures(figures: Figures) -> dict[str, float]:
    misses = figures.miss_pct
    return {"all": misses.all, "quiet": misses.quiet, "worst tenant": misses.worst_tenant, **misses.by_tier}


def _misses(document: Document) -> Iterator[Verdict]:
    for (world, name), most in MISS_PCT_MAX.items():
        own = document.figures(world, "0", PUSHLANE)
        value = _figures(own)[name] if own else None
        met = None if value is None else value <= most
        yield Verdict(text=f"{world}: {name} misses at most {most:g} % ({_said(value)})", met=met)


def _urgent(document: Document) -> Iterator[Verdict]:
    for world, sigma, own in _own(document):
        worst = max((own.miss_pct.by_tier.get(tier, 0.0) for tier in URGENT), default=0.0)
        text = f"{world}, sigma {sigma}: critical and high misses at most {URGENT_MISS_PCT_MAX:g} % ({_said(worst)})"
        yield Verdict(text=text, met=worst <= URGENT_MISS_PCT_MAX)


def _nothing_dropped(document: Document) -> Iterator[Verdict]:
    dropped = [own.dropped for _, _, own in _own(document)]
    yield Verdict(text=f"nothing dropped ({sum(dropped)} dropped)", met=not any(dropped) if dropped else None)


def _quiet(document: Document) -> Iterator[Verdict]:
    own, other = (document.figures("noisy-0.92", "0", policy) for policy in (PUSHLANE, LATE_LAST))
    text = f"noisy-0.92: quiet tenants miss at least {QUIET_GAIN_MIN:g} times fewer than under {LATE_LAST}"
    if own is None or other is None:
        yield Verdict(text=f"{text} (not run)", met=None)
        return
    gain = other.miss_pct.quiet / own.miss_pct.quiet if own.miss_pct.quiet else float("inf")
    said = f"{gain:.2f} times: {own.miss_pct.quiet:g} % to {other.miss_pct.quiet:g} %"
    yield Verdict(text=f"{text} ({said})", met=gain >= QUIET_GAIN_MIN)


def _ahead(document: Document) -> Iterator[Verdict]:
    for world, sigma, own in _own(document):
        policies = document.worlds[world].sigma[sigma].policies
        others = {p: f.miss_pct.all for p, f in policies.items() if p != PUSHLANE and p not in _UNFAIR}
        if world in _OVERLOADED and others:
            best = min(others, key=lambda policy: others[policy])
            text = f"{world}, sigma {sigma}: fewer misses of all tasks than every baseline but late-last"
            said = f"{own.miss_pct.all:g} %, the best of them {best} {others[best]:g} %"
            yield Verdict(text=f"{text} ({said})", met=own.miss_pct.all < others[best])


def _said(value: float | None) -> str:
    return "not run" if value is None else f"{value:g} %"
