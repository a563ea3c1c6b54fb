"""Spans over OTLP/HTTP, by the OpenTelemetry SDK. Imported where it is configured and nowhere else: the SDK costs a
cold start a quarter of a second. Needs the extra `otlp`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from pushlane.model import span as model
from pushlane.ports import SpansNotExported
from pushlane.telemetry.otlp_json import SCOPE, exported_name

TIMEOUT_SECONDS: Final = 3
_MS: Final = 1_000_000
_KINDS: Final = {kind: SpanKind[kind.name] for kind in model.SpanKind}
_STATUSES: Final = {status: Status(StatusCode[status.name]) for status in model.SpanStatus}


class OtlpExporter:
    """Posts to a collector's traces endpoint, as `http://collector:4318/v1/traces`."""

    def __init__(self, url: str, resource: Mapping[str, model.Attribute]) -> None:
        self._url = url
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=TIMEOUT_SECONDS)
        self._resource = Resource.create(dict(resource))

    def export(self, spans: Sequence[model.Span]) -> None:
        """See `SpanExporter.export`."""
        over = [readable_span(span, self._resource) for span in spans if span.end_ms is not None]
        if over and self._exporter.export(over) is not SpanExportResult.SUCCESS:
            raise SpansNotExported(f"{self._url} did not take {len(over)} spans; see that the collector is reachable")


def readable_span(span: model.Span, resource: Resource) -> ReadableSpan:
    """The span as the SDK's exporters take it."""
    parent = None if span.parent_id is None else _context(span.trace_id, span.parent_id)
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes={exported_name(name): value for name, value in span.attributes.items()},
        links=[Link(_context(one.trace_id, one.span_id, sampled=one.sampled)) for one in span.links],
        kind=_KINDS[span.kind],
        status=_STATUSES[span.status],
        start_time=span.start_ms * _MS,
        end_time=None if span.end_ms is None else span.end_ms * _MS,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


def _context(trace_id: str, span_id: str, *, sampled: bool = True) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
