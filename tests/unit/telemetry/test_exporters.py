"""Where spans go: a file, a collector over OTLP/HTTP, X-Ray."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from pushlane.aws.xray import DOCUMENTS_MAX, XRayExporter, segment_of
from pushlane.model.span import Span, SpanKind, SpanLink, SpanStatus
from pushlane.ports import SpansNotExported
from pushlane.telemetry.file_export import FileExporter

RESOURCE = {"service.name": "pushlane"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = SpanLink("ab" * 16, "cd" * 8)


def a_span(**changed: Any) -> Span:
    span = Span(
        trace_id=TRACE,
        span_id="00f067aa0ba902b7",
        parent_id="1122334455667788",
        name="queue dispatch",
        start_ms=1_700_000_000_123,
        end_ms=1_700_000_000_456,
        kind=SpanKind.CONSUMER,
        attributes={"tenant_id": "atlas", "epoch": 2, "error.type": "ValueError", "late": True, "share": 0.5},
        links=(OTHER,),
        status=SpanStatus.ERROR,
    )
    return msgspec.structs.replace(span, **changed)


def test_a_file_holds_a_line_of_otlp_json_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    for _ in range(2):
        FileExporter(path, RESOURCE).export([a_span(), a_span(end_ms=None)])
    first, second = path.read_text().splitlines()
    assert first == second
    (resource,) = json.loads(first)["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "pushlane"}}]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["spanId"], span["parentSpanId"]) == (TRACE, a_span().span_id, a_span().parent_id)
    assert (span["startTimeUnixNano"], span["endTimeUnixNano"]) == ("1700000000123000000", "1700000000456000000")
    assert (span["kind"], span["status"]) == (5, {"code": 2})
    assert span["links"] == [{"traceId": OTHER.trace_id, "spanId": OTHER.span_id, "flags": 1}]
    values = {one["key"]: one["value"] for one in span["attributes"]}
    assert values["pushlane.tenant_id"] == {"stringValue": "atlas"}
    assert values["pushlane.epoch"] == {"intValue": "2"}
    assert values["pushlane.late"] == {"boolValue": True}
    assert values["pushlane.share"] == {"doubleValue": 0.5}
    assert values["error.type"] == {"stringValue": "ValueError"}


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpansNotExported, match="absent"):
        FileExporter(tmp_path / "absent" / "spans.jsonl", RESOURCE).export([a_span()])


class Collector(HTTPServer):
    """Keeps what is posted to it, and answers with `status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Tests are quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_collector_gets_the_same_over_http(collector: Collector) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from pushlane.telemetry.otlp import OtlpExporter

    OtlpExporter(collector.url, {"service.name": "pushlane"}).export([a_span(), a_span(end_ms=None)])
    request = ExportTraceServiceRequest.FromString(collector.bodies[0])
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == TRACE
    assert (span.span_id.hex(), span.parent_span_id.hex()) == (a_span().span_id, a_span().parent_id)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1700000000123000000, 1700000000456000000)
    assert [one.trace_id.hex() for one in span.links] == [OTHER.trace_id]
    assert {one.key: one.value.string_value for one in span.attributes}["pushlane.tenant_id"] == "atlas"
    assert (span.kind, span.status.code) == (5, 2)


def test_a_collector_that_refuses_is_named(collector: Collector) -> None:
    from pushlane.telemetry.otlp import OtlpExporter

    collector.status = 400
    with pytest.raises(SpansNotExported, match="collector is reachable"):
        OtlpExporter(collector.url, {"service.name": "pushlane"}).export([a_span()])


class XRay:
    """The service, as far as it is used. `untaken`: what it answers that it did not take."""

    def __init__(self, untaken: int = 0, error: Exception | None = None) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self._untaken, self._error = untaken, error

    def put_trace_segments(self, *, TraceSegmentDocuments: list[str]) -> Any:  # noqa: N803 - the SDK's own name
        if self._error is not None:
            raise self._error
        self.calls.append([json.loads(one) for one in TraceSegmentDocuments])
        return {"UnprocessedTraceSegments": [{}] * self._untaken}


def test_x_ray_gets_segments_in_its_own_form_as_many_as_a_call_takes() -> None:
    service = XRay()
    spans = [a_span(span_id=f"{number:016x}") for number in range(1, DOCUMENTS_MAX + 2)]
    XRayExporter(lambda: service).export([*spans, a_span(end_ms=None)])
    assert [len(one) for one in service.calls] == [DOCUMENTS_MAX, 1]
    segment = service.calls[0][0]
    assert segment == {
        "trace_id": f"1-{TRACE[:8]}-{TRACE[8:]}",
        "id": f"{1:016x}",
        "parent_id": a_span().parent_id,
        "type": "subsegment",
        "name": "queue dispatch",
        "start_time": 1_700_000_000.123,
        "end_time": 1_700_000_000.456,
        "annotations": {"tenant_id": "atlas", "epoch": 2, "error_type": "ValueError", "late": True, "share": 0.5},
        "fault": True,
        "links": [{"trace_id": f"1-{'ab' * 4}-{'ab' * 12}", "id": OTHER.span_id, "attributes": {}}],
    }


def test_a_whole_task_is_a_segment_whoever_it_came_from() -> None:
    root = segment_of(a_span(kind=SpanKind.SERVER, name="task a*b!"))
    assert "type" not in root
    assert root["parent_id"] == a_span().parent_id
    assert root["name"] == "task a_b_"


def test_what_x_ray_does_not_take_is_said() -> None:
    with pytest.raises(SpansNotExported, match="2 of 1 segments"):
        XRayExporter(lambda: XRay(untaken=2)).export([a_span()])
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutTraceSegments")
    with pytest.raises(SpansNotExported, match="xray:PutTraceSegments"):
        XRayExporter(lambda: XRay(error=refused)).export([a_span()])
