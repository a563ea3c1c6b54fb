"""`SpanExporter` in memory."""

import threading
from collections.abc import Sequence

from pushlane.model.span import Span


class InMemorySpans:
    """Keeps what was exported, in order. A span that is exported again replaces itself in `by_id`."""

    def __init__(self) -> None:
        self._exported: list[Span] = []
        self._lock = threading.Lock()

    @property
    def exported(self) -> tuple[Span, ...]:
        with self._lock:
            return tuple(self._exported)

    @property
    def by_id(self) -> dict[str, Span]:
        return {span.span_id: span for span in self.exported}

    def export(self, spans: Sequence[Span]) -> None:
        """See `SpanExporter.export`."""
        with self._lock:
            self._exported += spans
