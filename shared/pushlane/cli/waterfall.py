"""A task's spans as a waterfall: a line each, under their parents, as long as they took."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pushlane.cli.durations import told_ms
from pushlane.model.span import Span, SpanStatus

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

BAR_MIN: Final = 16
# Beside the bar: names, begin, duration and what stands between.
_BESIDE: Final = 62
_NAME_MAX: Final = 36
_STYLES: Final = {SpanStatus.ERROR: "red", SpanStatus.OK: "green", SpanStatus.UNSET: "blue"}
_WAITS: Final = ("parked", "queue", "blocked", "retrying", "suspended", "waiting", "stream", "dead-lettered")
_SHOWN: Final = ("agent_id", "error.type", "reason", "step")


def in_order(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Each span with its depth, parents before their children, and those of one parent as they began."""
    known = {one.span_id for one in spans}
    below: dict[str | None, list[Span]] = {}
    for one in spans:
        below.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)
    found: list[tuple[int, Span]] = []
    pending = [(0, one) for one in _sorted(below.get(None, []))]
    while pending:
        depth, one = pending.pop(0)
        found.append((depth, one))
        pending[:0] = [(depth + 1, child) for child in _sorted(below.pop(one.span_id, []))]
    return found


def bar(start_ms: int, end_ms: int, from_ms: int, until_ms: int, width: int) -> tuple[int, int]:
    """Where a bar begins and how many cells it has, at least one, within `width`.

    >>> bar(50, 100, 0, 100, 20), bar(100, 100, 0, 100, 20)
    ((10, 10), (19, 1))
    """
    span_ms = max(1, until_ms - from_ms)
    first = min(width - 1, round((start_ms - from_ms) * width / span_ms))
    cells = max(1, round((end_ms - start_ms) * width / span_ms))
    return first, min(cells, width - first)


def waterfall(spans: Sequence[Span], now_ms: int, columns: int) -> "Table":
    """The drawing, for a terminal of so many columns. What has not ended goes on until `now_ms`, and says so."""
    from rich.table import Table
    from rich.text import Text

    width = max(BAR_MIN, columns - _BESIDE)
    from_ms = min(one.start_ms for one in spans)
    until_ms = max(_end(one, now_ms) for one in spans)
    drawn = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "right", "left"):
        drawn.add_column(justify=justify, no_wrap=True)
    for depth, one in in_order(spans):
        name = f"{'  ' * depth}{one.name}"[:_NAME_MAX]
        took = told_ms(_end(one, now_ms) - one.start_ms) + ("" if one.end_ms is not None else " ...")
        drawn.add_row(
            Text(name),
            _bar(one, now_ms, from_ms, until_ms, width),
            Text(f"+{told_ms(one.start_ms - from_ms)}", style="dim"),
            Text(took),
            Text(_said(one.attributes), style="dim"),
        )
    return drawn


def _bar(span: Span, now_ms: int, from_ms: int, until_ms: int, width: int) -> "Text":
    from rich.text import Text

    first, cells = bar(span.start_ms, _end(span, now_ms), from_ms, until_ms, width)
    style = "yellow" if span.name.startswith(_WAITS) else _STYLES[span.status]
    return Text(" " * first + ("-" if style == "yellow" else "=") * cells + " " * (width - first - cells), style=style)


def _said(attributes: Mapping[str, object]) -> str:
    return ", ".join(str(attributes[name]) for name in _SHOWN if attributes.get(name))


def _end(span: Span, now_ms: int) -> int:
    return max(span.start_ms, now_ms if span.end_ms is None else span.end_ms)


def _sorted(spans: Sequence[Span]) -> list[Span]:
    return sorted(spans, key=lambda one: (one.start_ms, one.end_ms is None, one.end_ms or 0, one.name))
