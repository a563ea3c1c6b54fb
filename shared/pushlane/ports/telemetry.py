"""Where spans go."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.span import Span, SpanLink
from pushlane.model.trace_context import is_sampled


class SpansNotExported(PushlaneError):
    """The exporter's target did not take some spans. They are lost: no task waits for its trace."""


class SpanExporter(Protocol):
    """Hands spans to where traces are looked at."""

    def export(self, spans: Sequence[Span]) -> None:
        """Export all; raises `SpansNotExported`."""
        ...


class Tracing(Struct, frozen=True, kw_only=True):
    """How a function traces: where to, and which share of the traces (0 to 1). `headers`: messages carry X-Ray's header
    too, so that the segments that AWS itself makes of a task's way belong to its trace.
    """

    exporter: SpanExporter
    ratio: float = 1.0
    headers: bool = False

    def wants(self, place: SpanLink) -> bool:
        """Whether spans of this trace are exported: not those that its producer left out, or that the share does."""
        return place.sampled and is_sampled(place.trace_id, self.ratio)
