"""A `SubmitWorkflow` record -> a checked workflow; its document -> the tasks of its nodes."""

import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.claim_check import FIELD, INLINE_BYTES_MAX
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import digest
from pushlane.model.policy import Policy
from pushlane.model.task import DeadlineKind, Source, Task
from pushlane.model.workflow import WorkflowPlace, keyed_workflow_id, node_task_id, unkeyed_workflow_id
from pushlane.model.workflow_document import (
    TASKS_PATH,
    ClaimedNodes,
    Node,
    NodeSet,
    SubmitWorkflow,
    WorkflowData,
    check_claim,
    check_nodes,
    submission_of,
)
from pushlane.model.workflow_graph import Graph, graph_of
from pushlane.ports import BlobStore
from pushlane.router.intake import Record, Vouch, decoded
from pushlane.router.refusal import never_admitted
from pushlane.scheduling.workflow import deadlines, places, tolerated_of
from pushlane.state.workflows import AcceptedWorkflow

_decoder = msgspec.json.Decoder(SubmitWorkflow)
_set_decoder = msgspec.json.Decoder(NodeSet)
_CLAIM_PATH: Final = f"{TASKS_PATH}.{FIELD}"


class CheckedWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow that can be accepted: its nodes at hand, even if the document names a claim check."""

    accepted: AcceptedWorkflow
    data: WorkflowData
    nodes: tuple[Node, ...]
    graph: Graph

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.nodes)


def checked_workflow(
    record: Record,
    now_ms: int,
    *,
    blobs: BlobStore,
    policy: Policy,
    vouch: Vouch,
) -> CheckedWorkflow:
    """The workflow that the record asks for; raises `InvalidEvent` naming the field."""
    submit = decoded(record.body, _decoder)
    vouch(record, submit)
    return checked_submission(submit, record.source, now_ms, blobs=blobs, policy=policy)


def checked_submission(
    submit: SubmitWorkflow, source: Source, now_ms: int, *, blobs: BlobStore, policy: Policy
) -> CheckedWorkflow:
    """The workflow of a tenant that may ask for it; raises `InvalidEvent` naming the field."""
    data = submit.data
    nodes = nodes_of(data, blobs)
    _check_size(data)
    graph = graph_of(nodes)
    check_nodes(data, nodes)
    accepted = _accepted(submit, source, nodes, graph, now_ms)
    workflow = CheckedWorkflow(accepted=accepted, data=data, nodes=nodes, graph=graph)
    _check_policy(workflow, policy)
    return workflow


def read_document(accepted: AcceptedWorkflow, document: str, blobs: BlobStore) -> CheckedWorkflow:
    """An accepted workflow's document again; raises `InvalidEvent` where its claim check is gone."""
    data = msgspec.json.decode(document, type=WorkflowData)
    nodes = nodes_of(data, blobs)
    return CheckedWorkflow(accepted=accepted, data=data, nodes=nodes, graph=graph_of(nodes))


def nodes_of(data: WorkflowData, blobs: BlobStore) -> tuple[Node, ...]:
    """The nodes, fetched if they are claimed; raises `InvalidEvent` if they are not there as they were claimed."""
    if not isinstance(data.tasks, ClaimedNodes):
        return data.tasks
    claim = data.tasks.claim
    check_claim(_CLAIM_PATH, claim, data.tenant_id)
    try:
        encoded = blobs.get(claim.key)
    except KeyError as error:
        raise InvalidEvent(f"{_CLAIM_PATH}.key", "nothing lies there: store the nodes first", "no_claim") from error
    if len(encoded) != claim.bytes or hashlib.sha256(encoded).hexdigest() != claim.sha256:
        raise InvalidEvent(f"{_CLAIM_PATH}.sha256", "what lies there is something else", "no_claim")
    try:
        return decoded(encoded, _set_decoder).tasks
    except InvalidEvent as error:
        raise InvalidEvent(error.field.replace("$", "$.data", 1), error.reason, error.code) from error


def _check_size(data: WorkflowData) -> None:
    size = 0 if isinstance(data.tasks, ClaimedNodes) else len(msgspec.json.encode(data.tasks))
    if size > INLINE_BYTES_MAX:
        reason = f"{size} bytes of JSON, {INLINE_BYTES_MAX} fit inline: store the set and send a claim check"
        raise InvalidEvent(TASKS_PATH, f"{reason} (the client does)", "oversize")


def _accepted(
    submit: SubmitWorkflow, source: Source, nodes: tuple[Node, ...], graph: Graph, now_ms: int
) -> AcceptedWorkflow:
    data, meta = submit.data, submit.metadata
    workflow_id = (
        keyed_workflow_id(data.tenant_id, data.idempotency_key)
        if data.idempotency_key is not None
        else unkeyed_workflow_id(data.tenant_id, source.door, source.source_id)
    )
    return AcceptedWorkflow(
        workflow_id=workflow_id,
        tenant_id=data.tenant_id,
        nodes=len(nodes),
        source=source,
        body_digest=_body_digest(data, nodes),
        accepted_at_ms=now_ms,
        name=data.name,
        pool=data.pool,
        tolerated=tolerated_of(nodes, graph),
        deadline_ms=data.deadline_ms,
        deadline_kind=data.deadline_kind,
        idempotency_key=data.idempotency_key,
        labels=data.labels,
        correlation_id=meta.correlation_id,
        traceparent=meta.traceparent,
        depth=meta.depth,
    )


def _body_digest(data: WorkflowData, nodes: tuple[Node, ...]) -> str:
    """Fingerprint of what is asked for, the same whether the nodes came inline or claimed."""
    bare = msgspec.structs.replace(data, tasks=(), idempotency_key=None)
    spelled = [msgspec.structs.replace(node, depends_on=node.edges) for node in nodes]
    return digest(*(msgspec.json.encode(one, order="sorted").decode() for one in (bare, *spelled)))


def _check_policy(workflow: CheckedWorkflow, policy: Policy) -> None:
    for place, task in enumerate(tasks_of(workflow)):
        if (error := never_admitted(task, policy)) is not None:
            field = error.field.replace("$.data", f"{TASKS_PATH}[{place}]", 1)
            raise InvalidEvent(field, error.reason, error.code)


def tasks_of(workflow: CheckedWorkflow) -> list[Task]:
    """The nodes as tasks. All count as accepted when their workflow was: so what was started goes first."""
    due = deadlines(workflow.nodes, workflow.graph, workflow.data.deadline_ms)
    stands = places(workflow.accepted.workflow_id, workflow.nodes, workflow.graph)
    return [_task(workflow, node, due[place], stands[place]) for place, node in enumerate(workflow.nodes)]


def _task(workflow: CheckedWorkflow, node: Node, due_ms: int | None, place: WorkflowPlace) -> Task:
    accepted, said = workflow.accepted, submission_of(node, workflow.data)
    # A deadline that follows from those behind it only orders; an estimate must not end a task.
    own = said.deadline_ms is not None and (said.deadline_kind is DeadlineKind.HARD or said.deadline_ms == due_ms)
    return Task(
        task_id=node_task_id(accepted.workflow_id, node.name),
        tenant_id=accepted.tenant_id,
        task_type=said.task_type,
        capabilities=tuple(sorted(set(said.capabilities or (said.task_type,)))),
        payload=said.payload,
        source=accepted.source,
        body_digest=digest(accepted.body_digest, node.name),
        accepted_at_ms=accepted.accepted_at_ms,
        pool=said.pool,
        tier=said.tier,
        deadline_ms=said.deadline_ms if own else due_ms,
        deadline_kind=said.deadline_kind if own else DeadlineKind.SOFT,
        penalty=said.penalty if own else workflow.data.penalty,
        resources=said.resources,
        estimate=said.estimate,
        retry=said.retry,
        labels=said.labels,
        correlation_id=accepted.correlation_id,
        traceparent=accepted.traceparent,
        depth=accepted.depth,
        workflow=place,
    )
