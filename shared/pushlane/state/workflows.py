"""A workflow's items. Its row says where it stands; how its nodes ended lies beside it, in parts.

A node's end is noted by setting an attribute of its own, so noting it twice changes nothing; and it is noted in small
items, because a write costs by the size of the item that it changes. Whoever notes an end looks at all of them after
that, consistently: so of several that end at once, the last one sees them all.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Source
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import (
    Absent,
    AnyOf,
    Attributes,
    Delete,
    Equals,
    ItemStore,
    Key,
    Present,
    Put,
    Scalar,
    Table,
    Update,
    Write,
)
from pushlane.scheduling.workflow import Counts, NodeEnd
from pushlane.state import keys
from pushlane.state.items import VERSION, number, optional_number, text, texts, to_json
from pushlane.state.transitions import RETENTION_SECONDS

# Duties among the delayed: bring a workflow forward (write its nodes, release its roots), end it at its deadline,
# cancel what is left of it.
FORWARD: Final = "workflow"
DEADLINE: Final = "workflow-deadline"
REST: Final = "workflow-rest"

MARKS_MAX: Final = 50
_LISTED_UNTIL_MS: Final = 9_999_999_999_999
# Marks are of use until the workflow ends; longer than any of them lasts, and not for ever.
_MARKS_SECONDS: Final = 400 * 24 * 3_600


class AcceptedWorkflow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What never changes of a workflow once it is accepted. `tolerated`: places of nodes it may succeed without."""

    workflow_id: str
    tenant_id: str
    nodes: int
    source: Source
    body_digest: str
    accepted_at_ms: int
    name: str | None = None
    pool: str = DEFAULT_POOL
    tolerated: tuple[int, ...] = ()
    deadline_ms: int | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    idempotency_key: str | None = None
    labels: dict[str, str] = {}
    correlation_id: str | None = None
    traceparent: str | None = None
    depth: int = 0


class WorkflowRow(Struct, frozen=True, kw_only=True):
    """A workflow as it stands. `written`: so many of its nodes are tasks by now; `counts` once it has ended."""

    accepted: AcceptedWorkflow
    status: WorkflowStatus
    written: int
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    reason: str | None = None
    counts: Counts | None = None


class Mark(Struct, frozen=True):
    """How a node ended, and when."""

    end: NodeEnd
    at_ms: int


def workflow_key(workflow_id: str) -> Key:
    return Key(Table.TASKS, workflow_id, keys.WORKFLOW)


def document_key(workflow_id: str) -> Key:
    """The workflow as it was submitted: read while its nodes are written."""
    return Key(Table.TASKS, workflow_id, "DOCUMENT")


def names_key(workflow_id: str) -> Key:
    """The names of its nodes, by place."""
    return Key(Table.TASKS, workflow_id, "NAMES")


def listed_key(accepted: AcceptedWorkflow) -> Key:
    """Its place among the tenant's workflows, the latest first."""
    return Key(Table.TASKS, listed_pk(accepted.tenant_id), listed_order(accepted.accepted_at_ms, accepted.workflow_id))


def listed_order(accepted_at_ms: int, workflow_id: str) -> str:
    """Where a workflow stands in its tenant's list."""
    return f"{_LISTED_UNTIL_MS - accepted_at_ms:013d}#{workflow_id}"


def listed_pk(tenant_id: str) -> str:
    return f"WORKFLOWS#{tenant_id}"


def ends_keys(workflow_id: str, nodes: int) -> list[Key]:
    """Where the ends of its nodes are noted."""
    return [Key(Table.TASKS, workflow_id, f"ENDS#{part:02d}") for part in _parts(nodes)]


def parents_keys(task_id: str, parents: int) -> list[Key]:
    """Where a child notes how its parents ended."""
    return [Key(Table.TASKS, task_id, f"PARENTS#{part:02d}") for part in _parts(parents)]


def _parts(marks: int) -> range:
    return range(-(-marks // MARKS_MAX))


def accept_operations(accepted: AcceptedWorkflow, document: str, names: Sequence[str], now_ms: int) -> list[Write]:
    """The transaction that accepts a workflow: what it is, and the duty to bring it forward."""
    row: dict[str, Scalar] = {
        "v": VERSION,
        "status": WorkflowStatus.PENDING.value,
        "written": 0,
        "tenant_id": accepted.tenant_id,
        "body_digest": accepted.body_digest,
        "workflow": to_json(accepted),
    }
    operations: list[Write] = [
        Put(workflow_key(accepted.workflow_id), row, (Absent(),)),
        Put(document_key(accepted.workflow_id), {"v": VERSION, "document": document}),
        Put(names_key(accepted.workflow_id), {"v": VERSION, "names": list(names)}),
        Put(listed_key(accepted), {"v": VERSION, "workflow_id": accepted.workflow_id}),
        Put(keys.duty_key(accepted.pool, now_ms, accepted.workflow_id, FORWARD), {"v": VERSION}),
    ]
    if (deadline := _deadline_key(accepted)) is not None:
        operations.append(Put(deadline, {"v": VERSION}))
    return operations


def _deadline_key(accepted: AcceptedWorkflow) -> Key | None:
    if accepted.deadline_ms is None or accepted.deadline_kind is not DeadlineKind.HARD:
        return None
    return keys.duty_key(accepted.pool, accepted.deadline_ms, accepted.workflow_id, DEADLINE)


def written_operation(row: WorkflowRow, written: int, now_ms: int) -> Update:
    """So many of the nodes are tasks now; with the last of them the workflow starts."""
    said: dict[str, Scalar] = {"written": written}
    if written == row.accepted.nodes:
        said |= {"status": WorkflowStatus.ACTIVE.value, "started_at_ms": now_ms}
    as_read = (Equals("status", WorkflowStatus.PENDING.value), Equals("written", row.written))
    return Update(workflow_key(row.accepted.workflow_id), set=said, conditions=as_read)


def end_operations(row: WorkflowRow, status: WorkflowStatus, counts: Counts, reason: str, now_ms: int) -> list[Write]:
    """The transaction that ends a workflow, once. It is kept as long as its tasks are; what is left to do for one that
    did not end by itself is a duty.
    """
    accepted, expires = row.accepted, {"expires_at_s": now_ms // 1_000 + RETENTION_SECONDS}
    by_itself = status in (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED)
    before = (WorkflowStatus.ACTIVE,) if by_itself else (WorkflowStatus.PENDING, WorkflowStatus.ACTIVE)
    said: dict[str, Scalar] = {"status": status.value, "ended_at_ms": now_ms, "counts": to_json(counts), **expires}
    if reason:
        said["reason"] = reason
    lasting = [document_key(accepted.workflow_id), names_key(accepted.workflow_id), listed_key(accepted)]
    duty = keys.duty_key(accepted.pool, now_ms, accepted.workflow_id, REST)
    deadline = _deadline_key(accepted)
    return [
        Update(
            workflow_key(accepted.workflow_id),
            set=said,
            conditions=(AnyOf(tuple(Equals("status", one.value) for one in before)),),
        ),
        *(Update(key, set=expires, conditions=(Present(),)) for key in lasting),
        *([] if by_itself else [Put(duty, {"v": VERSION})]),
        *([Delete(deadline)] if deadline is not None else []),
    ]


def row_of(attributes: Attributes) -> WorkflowRow:
    counts = attributes.get("counts")
    return WorkflowRow(
        accepted=msgspec.json.decode(text(attributes, "workflow"), type=AcceptedWorkflow),
        status=WorkflowStatus(text(attributes, "status")),
        written=number(attributes, "written"),
        started_at_ms=optional_number(attributes, "started_at_ms"),
        ended_at_ms=optional_number(attributes, "ended_at_ms"),
        reason=text(attributes, "reason") if "reason" in attributes else None,
        counts=None if counts is None else msgspec.json.decode(text(attributes, "counts"), type=Counts),
    )


def load_row(store: ItemStore, workflow_id: str) -> WorkflowRow | None:
    key = workflow_key(workflow_id)
    found = store.get([key]).get(key)
    return None if found is None else row_of(found.attributes)


def load_names(store: ItemStore, workflow_id: str) -> tuple[str, ...]:
    """The names of the workflow's nodes, by place."""
    key = names_key(workflow_id)
    found = store.get([key]).get(key)
    return () if found is None else tuple(texts(found.attributes, "names"))


def note_end(store: ItemStore, where: Sequence[Key], place: int, mark: Mark, now_ms: int, of: int) -> bool:
    """Note under its place how a node ended; says whether that was the last of its part, so that it is worth a look
    at all of them.
    """
    key = where[place // MARKS_MAX]
    said: dict[str, Scalar] = {
        f"n{place}": f"{mark.end}@{mark.at_ms}",
        "expires_at_s": now_ms // 1_000 + _MARKS_SECONDS,
    }
    noted = marks_of(store.write(Update(key, set=said)))
    first = place - place % MARKS_MAX
    return len(noted) == min(MARKS_MAX, of - first)


def load_marks(store: ItemStore, where: Sequence[Key]) -> dict[int, Mark]:
    """Every end that was noted there, by place."""
    found = store.get(where) if where else {}
    return {place: mark for item in found.values() for place, mark in marks_of(item.attributes).items()}


def marks_of(attributes: Attributes) -> dict[int, Mark]:
    """The ends noted in one item, by place."""
    return {int(name[1:]): _mark(text(attributes, name)) for name in attributes if name[1:].isdigit()}


def _mark(said: str) -> Mark:
    end, _, at_ms = said.partition("@")
    return Mark(NodeEnd(end), int(at_ms))


def ends_of(marks: Mapping[int, Mark]) -> dict[int, NodeEnd]:
    return {place: mark.end for place, mark in marks.items()}
