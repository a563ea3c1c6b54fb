"""W3C trace context (and X-Ray's header for it), and the ids of a task's spans.

A task's trace is the one that its producer named; otherwise it has one of its own, by its id. Span ids are digests too,
so every function knows the ids of spans that another one exports, and a redelivery exports the same span.
"""

import re
from typing import Final

from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.span import SpanLink
from pushlane.model.task import Task

_W3C: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_XRAY_ROOT: Final = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_SAMPLED: Final = 0x01
# As OpenTelemetry's sampler by ratio: the last 56 bits of a trace id decide, so all who look at a trace agree.
_DECIDING_DIGITS: Final = 14
_DECIDING_RANGE: Final = 1 << 56


class TraceContext(Struct, frozen=True):
    """A place in a trace: the span that what comes next belongs under."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def traceparent(self) -> str:
        """The W3C header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @property
    def xray_header(self) -> str:
        """X-Ray's header of the same place, as SQS carries it (`AWSTraceHeader`)."""
        root = f"1-{self.trace_id[:8]}-{self.trace_id[8:]}"
        return f"Root={root};Parent={self.span_id};Sampled={int(self.sampled)}"

    @property
    def link(self) -> SpanLink:
        return SpanLink(self.trace_id, self.span_id, self.sampled)


def read_traceparent(said: str | None) -> TraceContext | None:
    """The context in a W3C `traceparent`; None for what is none, as the standard asks: then a new trace begins."""
    found = None if said is None else _W3C.fullmatch(said)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not (int(trace_id, 16) and int(span_id, 16)):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def trace_id_in(traceparent: str | None) -> str | None:
    """The trace id of a W3C `traceparent`, for a line of a log."""
    found = read_traceparent(traceparent)
    return None if found is None else found.trace_id


def read_xray_header(said: str | None) -> TraceContext | None:
    """The context in X-Ray's header; None for what names no parent."""
    parts = dict(part.strip().partition("=")[::2] for part in (said or "").split(";"))
    root = _XRAY_ROOT.fullmatch(parts.get("Root", ""))
    parent = parts.get("Parent", "")
    if root is None or not _SPAN_ID.fullmatch(parent):
        return None
    return TraceContext(root[1] + root[2], parent, parts.get("Sampled") == "1")


def is_sampled(trace_id: str, ratio: float) -> bool:
    """Whether a trace is among the share `ratio` (0 to 1) that is exported."""
    return int(trace_id[-_DECIDING_DIGITS:], 16) < ratio * _DECIDING_RANGE


def span_id_of(trace_id: str, *what: str) -> str:
    """The id of the span that is about `what`."""
    return digest("span", trace_id, *what)[:_SPAN_DIGITS]


class TaskTrace(Struct, frozen=True, kw_only=True):
    """Where a task, or a workflow, stands in its trace. `parent_id`: of the span outside that it came from."""

    trace_id: str
    subject_id: str
    parent_id: str | None
    sampled: bool

    @property
    def root(self) -> TraceContext:
        """Its own span, from submission to end: parent of all the others."""
        return TraceContext(self.trace_id, span_id_of(self.trace_id, self.subject_id), self.sampled)

    def run(self, epoch: int) -> TraceContext:
        """The span in which an attempt runs: parent of what its author does in it."""
        return TraceContext(self.trace_id, self.id_of("run", str(epoch)), self.sampled)

    def id_of(self, *what: str) -> str:
        """The id of one of its spans."""
        return span_id_of(self.trace_id, self.subject_id, *what)


def workflow_trace(workflow_id: str, traceparent: str | None) -> TaskTrace:
    """A workflow's trace, which is that of all its nodes."""
    given = read_traceparent(traceparent)
    if given is None:
        trace_id = digest("trace", workflow_id)[:_TRACE_DIGITS]
        return TaskTrace(trace_id=trace_id, subject_id=workflow_id, parent_id=None, sampled=True)
    return TaskTrace(trace_id=given.trace_id, subject_id=workflow_id, parent_id=given.span_id, sampled=given.sampled)


def task_trace(task: Task) -> TaskTrace:
    """A task's trace; a workflow's node stands under its workflow."""
    if task.workflow is None:
        return workflow_trace(task.task_id, task.traceparent)
    whole = workflow_trace(task.workflow.workflow_id, task.traceparent)
    return TaskTrace(
        trace_id=whole.trace_id, subject_id=task.task_id, parent_id=whole.root.span_id, sampled=whole.sampled
    )
