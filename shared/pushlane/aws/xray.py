"""`SpanExporter` on X-Ray: spans as segment documents, by the AWS SDK alone."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from pushlane.aws.failures import SEND_ERRORS, error_code
from pushlane.model.span import Span, SpanKind, SpanLink, SpanStatus
from pushlane.ports import SpansNotExported

# Documents a call takes, and bytes of one document.
DOCUMENTS_MAX: Final = 50
DOCUMENT_BYTES_MAX: Final = 64_000
_LINKS_MAX: Final = 100
_NAME_CHARACTERS_MAX: Final = 200
_NOT_IN_NAMES: Final = re.compile(r"[^\w\s.:/%&#=+\-@]")


class PutsSegments(Protocol):
    """What is used of the AWS SDK's client."""

    def put_trace_segments(self, *, TraceSegmentDocuments: list[str]) -> Any:  # noqa: N803 - the SDK's own name
        ...


class XRayExporter:
    """Puts segments: a task's own span is a segment, what lies in it subsegments of their own. `client` is made at the
    first export.
    """

    def __init__(self, client: Callable[[], PutsSegments]) -> None:
        self._client = client

    def export(self, spans: Sequence[Span]) -> None:
        """See `SpanExporter.export`."""
        documents = [msgspec.json.encode(segment_of(span)).decode() for span in spans if span.end_ms is not None]
        untaken = sum(self._put(batch) for batch in _batches(documents))
        if untaken:
            raise SpansNotExported(f"X-Ray did not take {untaken} of {len(documents)} segments")

    def _put(self, documents: list[str]) -> int:
        """How many were not taken."""
        try:
            answer = self._client().put_trace_segments(TraceSegmentDocuments=documents)
        except SEND_ERRORS as error:
            raise SpansNotExported(f"X-Ray: {error_code(error)}; the role needs xray:PutTraceSegments") from error
        return len(answer.get("UnprocessedTraceSegments", []))


def segment_of(span: Span) -> dict[str, Any]:
    """The segment document of a span that is over."""
    said: dict[str, Any] = {
        "trace_id": _trace_id(span.trace_id),
        "id": span.span_id,
        "name": _NOT_IN_NAMES.sub("_", span.name)[:_NAME_CHARACTERS_MAX],
        "start_time": span.start_ms / 1_000,
        "end_time": (span.end_ms or span.start_ms) / 1_000,
        # Annotations are what X-Ray finds traces by; their names have no dots.
        "annotations": {name.replace(".", "_"): value for name, value in span.attributes.items()},
    }
    if span.parent_id is not None:
        said["parent_id"] = span.parent_id
    if span.parent_id is not None and span.kind is not SpanKind.SERVER:
        said["type"] = "subsegment"
    if span.status is SpanStatus.ERROR:
        said["fault"] = True
    if span.links:
        said["links"] = [_link(link) for link in span.links[:_LINKS_MAX]]
    return said


def _link(link: SpanLink) -> dict[str, Any]:
    return {"trace_id": _trace_id(link.trace_id), "id": link.span_id, "attributes": {}}


def _trace_id(trace_id: str) -> str:
    return f"1-{trace_id[:8]}-{trace_id[8:]}"


def _batches(documents: list[str]) -> Iterator[list[str]]:
    """Documents in as few calls as take them; one that is too large goes nowhere, and links alone make it so."""
    fitting = [one for one in documents if len(one.encode()) <= DOCUMENT_BYTES_MAX]
    for start in range(0, len(fitting), DOCUMENTS_MAX):
        yield fitting[start : start + DOCUMENTS_MAX]
