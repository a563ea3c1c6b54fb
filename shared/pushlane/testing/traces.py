"""What a test asks of exported spans."""

from collections.abc import Iterable

from pushlane.model.span import Span


def holes(spans: Iterable[Span], root: Span) -> list[tuple[int, int]]:
    """The stretches of the root span that no child of it covers, as (from, until) in Unix milliseconds. A span that is
    not over covers nothing.
    """
    end_ms = root.start_ms if root.end_ms is None else root.end_ms
    children = [span for span in spans if span.parent_id == root.span_id and span.trace_id == root.trace_id]
    covered_ms, found = root.start_ms, list[tuple[int, int]]()
    for span in sorted(children, key=lambda span: span.start_ms):
        if span.start_ms > covered_ms:
            found.append((covered_ms, min(span.start_ms, end_ms)))
        covered_ms = max(covered_ms, span.start_ms if span.end_ms is None else span.end_ms)
        if covered_ms >= end_ms:
            return found
    return [*found, (covered_ms, end_ms)] if covered_ms < end_ms else found


def tree(spans: Iterable[Span], root: Span) -> list[str]:
    """The names of the root's children, in the order of time: its hops."""
    children = [span for span in spans if span.parent_id == root.span_id and span.trace_id == root.trace_id]
    return [span.name for span in sorted(children, key=lambda span: (span.start_ms, span.end_ms or span.start_ms))]
