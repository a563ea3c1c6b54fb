"""Changes of a workflow's row -> facts. Pure."""

import msgspec

from pushlane.model.events import Fact, FactData, FactMetadata, FactName
from pushlane.model.ids import digest
from pushlane.model.trace_context import workflow_trace
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import Attributes
from pushlane.state.workflows import WorkflowRow, row_of


def workflow_facts(old: Attributes | None, new: Attributes) -> list[Fact]:
    """What a committed change of the row amounts to; it can be several steps at once."""
    row, before = row_of(new), None if old is None else row_of(old)
    said: list[Fact] = []
    if before is None:
        said.append(_fact(FactName.WORKFLOW_ACCEPTED, row, row.accepted.accepted_at_ms))
    started = before is not None and before.started_at_ms is not None
    if row.started_at_ms is not None and not started:
        said.append(_fact(FactName.WORKFLOW_STARTED, row, row.started_at_ms))
    ended = before is not None and before.ended_at_ms is not None
    if row.ended_at_ms is not None and not ended:
        said.append(_fact(FactName.WORKFLOW_ENDED, row, row.ended_at_ms))
    return said


def _fact(name: FactName, row: WorkflowRow, occurred_at_ms: int) -> Fact:
    accepted, over = row.accepted, name is FactName.WORKFLOW_ENDED
    status = WorkflowStatus.ACTIVE if name is FactName.WORKFLOW_STARTED else row.status
    data = FactData(
        tenant_id=accepted.tenant_id,
        pool=accepted.pool,
        door=accepted.source.door.value,
        accepted_at_ms=accepted.accepted_at_ms,
        started_at_ms=row.started_at_ms,
        finished_at_ms=row.ended_at_ms,
        reason=row.reason if over else None,
        deadline_ms=accepted.deadline_ms,
        workflow_id=accepted.workflow_id,
        status=status.value if name is not FactName.WORKFLOW_ACCEPTED else WorkflowStatus.PENDING.value,
        counts=None if row.counts is None else msgspec.to_builtins(row.counts),
        labels=accepted.labels,
    )
    metadata = FactMetadata(
        name=name,
        fact_id=digest(name, accepted.workflow_id),
        occurred_at_ms=occurred_at_ms,
        correlation_id=accepted.correlation_id,
        traceparent=workflow_trace(accepted.workflow_id, accepted.traceparent).root.traceparent,
        depth=accepted.depth,
    )
    return Fact(metadata=metadata, data=data)
