"""From a producer's workflow to a checked `SubmitWorkflow` event; what is too large for it goes to the claims."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client import claims
from pushlane.client.errors import InvalidSubmission
from pushlane.client.workflow_builder import Workflow
from pushlane.model.claim_check import CLAIMED_BYTES_MAX, INLINE_BYTES_MAX
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import intake_slot
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.model.workflow import keyed_workflow_id, node_task_id
from pushlane.model.workflow_document import (
    SUBMIT_WORKFLOW,
    TASKS_PATH,
    ClaimedNodes,
    Node,
    NodeSet,
    SubmitWorkflow,
    WorkflowData,
    check_nodes,
)
from pushlane.model.workflow_graph import graph_of
from pushlane.ports import BlobStore

_PATH_MARK: Final = " - at `"
Described = Workflow | WorkflowData | Mapping[str, Any]


class PreparedWorkflow(Struct, frozen=True, kw_only=True):
    """A valid event, ready to be sent: its id and those of its tasks are known before any door has seen it."""

    event: SubmitWorkflow
    workflow_id: str
    idempotency_key: str
    task_ids: dict[str, str]

    def encoded(self) -> str:
        return msgspec.json.encode(self.event).decode()


def prepare_workflow(
    described: Described, *, blobs: BlobStore, new_key: Callable[[], str], correlation_id: str | None = None
) -> PreparedWorkflow:
    """Check the workflow as the router will, then store payloads, and the set of nodes itself, that are too large for
    an event. Raises `InvalidSubmission` that names the field.
    """
    event = _event(described, new_key, correlation_id)
    data, nodes = event.data, event.data.tasks
    key = data.idempotency_key or ""
    workflow_id = keyed_workflow_id(data.tenant_id, key)
    if isinstance(nodes, ClaimedNodes):
        return PreparedWorkflow(event=event, workflow_id=workflow_id, idempotency_key=key, task_ids={})
    encoded = [_encoded_payload(place, node) for place, node in enumerate(nodes)]
    slim = tuple(_slim(node, payload) for node, payload in zip(nodes, encoded, strict=True))
    _check(data, slim)
    kept = tuple(_claimed(node, payload, blobs, data.tenant_id) for node, payload in zip(nodes, encoded, strict=True))
    stored = msgspec.structs.replace(data, tasks=_set_of(kept, blobs, data.tenant_id))
    return PreparedWorkflow(
        event=msgspec.structs.replace(event, data=stored),
        workflow_id=workflow_id,
        idempotency_key=key,
        task_ids={node.name: node_task_id(workflow_id, node.name) for node in nodes},
    )


def _event(described: Described, new_key: Callable[[], str], correlation_id: str | None) -> SubmitWorkflow:
    plain = _plain(described)
    plain["idempotency_key"] = plain.get("idempotency_key") or new_key()
    metadata: dict[str, Any] = {"name": SUBMIT_WORKFLOW, "version": 1, "correlation_id": correlation_id}
    try:
        event = msgspec.convert({"metadata": metadata, "data": plain}, SubmitWorkflow)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(_PATH_MARK)
        raise InvalidSubmission(path.rstrip("`") or "$.data", reason) from error
    slotted = msgspec.structs.replace(event.metadata, intake=intake_slot(event.data.tenant_id))
    return msgspec.structs.replace(event, metadata=slotted)


def _plain(described: Described) -> dict[str, Any]:
    said = described.as_data() if isinstance(described, Workflow) else described
    try:
        plain: dict[str, Any] = msgspec.to_builtins(said)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSubmission("$.data", f"not JSON: {error}") from error
    return plain


def _check(data: WorkflowData, nodes: tuple[Node, ...]) -> None:
    try:
        graph_of(nodes)
        check_nodes(data, nodes)
    except InvalidEvent as error:
        raise InvalidSubmission(error.field, error.reason) from error


def _encoded_payload(place: int, node: Node) -> bytes:
    path = f"{TASKS_PATH}[{place}].payload"
    if nests_too_deep(node.payload):  # before it is encoded, which recurses
        raise InvalidSubmission(path, f"nests deeper than {NESTING_MAX} levels")
    encoded = msgspec.json.encode(node.payload, order="sorted")
    if len(encoded) > CLAIMED_BYTES_MAX:
        raise InvalidSubmission(path, f"{len(encoded)} bytes encoded; at most {CLAIMED_BYTES_MAX}")
    return encoded


def _slim(node: Node, encoded: bytes) -> Node:
    """The node as it is checked before anything is stored: a large payload will be a claim check by then."""
    return node if len(encoded) <= INLINE_BYTES_MAX else msgspec.structs.replace(node, payload={})


def _claimed(node: Node, encoded: bytes, blobs: BlobStore, tenant_id: str) -> Node:
    if len(encoded) <= INLINE_BYTES_MAX:
        return node
    return msgspec.structs.replace(node, payload=claims.store(blobs, tenant_id, encoded))


def _set_of(nodes: tuple[Node, ...], blobs: BlobStore, tenant_id: str) -> tuple[Node, ...] | ClaimedNodes:
    encoded = msgspec.json.encode(NodeSet(tasks=nodes), order="sorted")
    if len(encoded) <= INLINE_BYTES_MAX:
        return nodes
    if len(encoded) > CLAIMED_BYTES_MAX:
        reason = f"{len(encoded)} bytes encoded; at most {CLAIMED_BYTES_MAX}: store payloads and send their names"
        raise InvalidSubmission(TASKS_PATH, reason)
    return msgspec.convert(claims.store(blobs, tenant_id, encoded), ClaimedNodes)
