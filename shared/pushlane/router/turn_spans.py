"""A span for each turn: one for the whole batch, linked to the tasks that came in and to the attempts that went out."""

from collections.abc import Sequence

from pushlane.model.ids import digest
from pushlane.model.span import Attribute, Span, SpanKind, SpanLink
from pushlane.model.trace_context import TraceContext, read_traceparent, span_id_of, task_trace
from pushlane.ports import Clock, Tracing
from pushlane.router.resolution import input_key
from pushlane.scheduling.snapshot import Arrival, Finished, Input

# What one span names; a turn on a crowded pool may push more.
LINKS_MAX = 128


class TurnSpans:
    """Notes turns while a batch is handled, and hands them on when it is done: nothing waits for it before that. One
    environment handles one batch at a time.
    """

    def __init__(self, tracing: Tracing, clock: Clock) -> None:
        self.tracing = tracing
        self._clock = clock
        self._pushed: list[SpanLink] = []
        self._spans: list[Span] = []
        self._started_ms = 0

    def begin(self) -> None:
        self._pushed.clear()
        self._started_ms = self._clock.now_ms()

    def pushed(self, attempt: TraceContext) -> None:
        """An attempt of this turn went out."""
        self._pushed.append(attempt.link)

    def end(self, pool: str, inputs: Sequence[Input], replans: int = 0) -> None:
        """The turn is over; one that has to do with no task whose trace is wanted leaves no span."""
        links = dict.fromkeys([*_came_in(inputs), *self._pushed])
        wanted = tuple(link for link in links if self.tracing.wants(link))[:LINKS_MAX]
        if not wanted:
            return
        trace_id = digest("turn", pool, str(self._started_ms), *map(input_key, inputs))
        attributes: dict[str, Attribute] = {"pool": pool, "inputs": len(inputs), "pushed": len(self._pushed)}
        self._spans.append(
            Span(
                trace_id=trace_id,
                span_id=span_id_of(trace_id, "turn"),
                name=f"turn {pool}",
                start_ms=self._started_ms,
                end_ms=max(self._started_ms, self._clock.now_ms()),
                kind=SpanKind.CONSUMER,
                attributes={**attributes, "replans": replans},
                links=wanted,
            )
        )

    def flush(self) -> None:
        """Export what was noted."""
        spans, self._spans = self._spans, []
        if spans:
            self.tracing.exporter.export(spans)


def _came_in(inputs: Sequence[Input]) -> list[SpanLink]:
    """The tasks that arrived, and the attempts that have ended."""
    links: list[SpanLink] = []
    for one in inputs:
        match one:
            case Arrival(task=task):
                links.append(task_trace(task).root.link)
            case Finished(traceparent=said) if (attempt := read_traceparent(said)) is not None:
                links.append(attempt.link)
            case _:
                pass
    return links
