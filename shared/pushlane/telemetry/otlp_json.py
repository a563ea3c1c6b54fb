"""Spans in the JSON form of the OpenTelemetry protocol (OTLP 1.x): what files hold. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pushlane.model.span import Attribute, Span, SpanKind, SpanLink, SpanStatus

SCOPE: Final = "pushlane"
# The prefix keeps our names apart from OpenTelemetry's own, which are taken as they are.
_PREFIX: Final = "pushlane."
_OF_OPENTELEMETRY: Final = frozenset({"error.type"})
_MS: Final = 1_000_000
_KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}
_STATUSES: Final = {SpanStatus.UNSET: 0, SpanStatus.OK: 1, SpanStatus.ERROR: 2}
_SAMPLED: Final = 1


def document(spans: Sequence[Span], resource: Mapping[str, Attribute]) -> dict[str, Any]:
    """One `TracesData` document. Spans that still go on are left out: the protocol has none."""
    over = [_span(span) for span in spans if span.end_ms is not None]
    scoped = {"scope": {"name": SCOPE}, "spans": over}
    return {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]}


def exported_name(name: str) -> str:
    """An attribute's name as it is seen outside."""
    return name if name in _OF_OPENTELEMETRY else _PREFIX + name


def _span(span: Span) -> dict[str, Any]:
    said: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": _KINDS[span.kind],
        # 64-bit integers are strings in the protocol's JSON.
        "startTimeUnixNano": str(span.start_ms * _MS),
        "endTimeUnixNano": str((span.end_ms or span.start_ms) * _MS),
        "attributes": _attributes({exported_name(name): value for name, value in span.attributes.items()}),
        "status": {"code": _STATUSES[span.status]},
        "flags": _SAMPLED,
    }
    if span.parent_id is not None:
        said["parentSpanId"] = span.parent_id
    if span.links:
        said["links"] = [_link(link) for link in span.links]
    return said


def _link(link: SpanLink) -> dict[str, Any]:
    return {"traceId": link.trace_id, "spanId": link.span_id, "flags": int(link.sampled)}


def _attributes(named: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in named.items()]


def _value(value: Attribute) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
