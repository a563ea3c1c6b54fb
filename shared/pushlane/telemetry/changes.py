"""Committed changes, as the table streams bring them -> the spans that are over with them. Pure."""

from collections.abc import Iterable

import msgspec

from pushlane.model.span import Span, SpanKind, SpanStatus
from pushlane.model.trace_context import workflow_trace
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import Attributes, Change, Table, Tracing
from pushlane.state.items import status_of, task_of
from pushlane.state.keys import TASK, WORKFLOW
from pushlane.state.workflows import WorkflowRow, row_of
from pushlane.telemetry.trace import TaskSpans, standing_of


def spans_of(changes: Iterable[Change], tracing: Tracing) -> list[Span]:
    """The spans of those traces that are wanted, the same for a batch that comes again. A change that cannot be read
    has none.
    """
    return [span for change in changes for span in _readable(change, tracing)]


def _readable(change: Change, tracing: Tracing) -> list[Span]:
    try:
        return _spans_of(change, tracing)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return []  # the lifecycle has put it aside by now, and told why


def _spans_of(change: Change, tracing: Tracing) -> list[Span]:
    if change.new is None or change.key.table is not Table.TASKS:
        return []
    if change.key.sk == WORKFLOW:
        return _workflow_spans(change.old, change.new, tracing)
    return _task_spans(change.old, change.new, tracing) if change.key.sk == TASK else []


def _task_spans(old: Attributes | None, new: Attributes, tracing: Tracing) -> list[Span]:
    if old is not None and status_of(old) is status_of(new) and old["epoch"] == new["epoch"]:
        return []
    spans = TaskSpans(task_of(new))
    if not tracing.wants(spans.trace.root.link):
        return []
    return spans.between(None if old is None else standing_of(old), standing_of(new))


def _workflow_spans(old: Attributes | None, new: Attributes, tracing: Tracing) -> list[Span]:
    row = row_of(new)
    if row.ended_at_ms is None or (old is not None and row_of(old).ended_at_ms is not None):
        return []
    span = _workflow_span(row, row.ended_at_ms)
    place = workflow_trace(row.accepted.workflow_id, row.accepted.traceparent).root.link
    return [span] if tracing.wants(place) else []


def _workflow_span(row: WorkflowRow, ended_at_ms: int) -> Span:
    """The whole workflow: parent of its nodes' spans."""
    accepted = row.accepted
    trace = workflow_trace(accepted.workflow_id, accepted.traceparent)
    succeeded = row.status is WorkflowStatus.SUCCEEDED
    failed = row.status in (WorkflowStatus.FAILED, WorkflowStatus.EXPIRED)
    return Span(
        trace_id=trace.trace_id,
        span_id=trace.root.span_id,
        parent_id=trace.parent_id,
        name="workflow",
        start_ms=accepted.accepted_at_ms,
        end_ms=max(accepted.accepted_at_ms, ended_at_ms),
        kind=SpanKind.SERVER,
        attributes={
            "tenant_id": accepted.tenant_id,
            "workflow_id": accepted.workflow_id,
            "pool": accepted.pool,
            "nodes": accepted.nodes,
            "status": row.status.value,
        },
        status=SpanStatus.OK if succeeded else SpanStatus.ERROR if failed else SpanStatus.UNSET,
    )
