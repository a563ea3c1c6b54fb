"""Workflows: submit, look at, list, cancel."""

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.api.access import owned_workflow, tenant_of
from pushlane.api.bodies import WorkflowBody
from pushlane.api.cursors import CURSOR_CHARACTERS_MAX, cursor_of, no_cursor, place_of
from pushlane.api.operations import PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.submitting import KEY_HEADER, WorkflowSubmitted, submit_workflow
from pushlane.api.tasks import SUBMIT_BYTES_MAX, CancelQuery
from pushlane.client.workflow_records import NodeRecord, WorkflowRecord, nodes_of, workflow_record, workflows_of
from pushlane.router.workflow_end import cancel_workflow
from pushlane.state.workflows import listed_order

LISTED_MAX: Final = 50
_TAG: Final = "workflows"
_PLACE: Final = re.compile(r"\d{13}#[A-Za-z0-9._-]{1,64}\0\Z")


class WorkflowPage(Struct, frozen=True, kw_only=True):
    """Part of a tenant's workflows, the newest first. `next_cursor`: hand it back as `cursor`; null at the end."""

    workflows: tuple[WorkflowRecord, ...]
    next_cursor: str | None


class WorkflowsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which page."""

    limit: Annotated[int, Meta(ge=1, le=LISTED_MAX)] = 20
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARACTERS_MAX)] | None = None


class WorkflowNodes(Struct, frozen=True, kw_only=True):
    """The nodes of a workflow, in the order of its document."""

    workflow_id: str
    nodes: tuple[NodeRecord, ...]


def show(ports: ApiPorts, request: Request) -> Response:
    return Response(body=workflow_record(ports.store, owned_workflow(ports, request)))


def nodes(ports: ApiPorts, request: Request) -> Response:
    record = workflow_record(ports.store, owned_workflow(ports, request))
    return Response(body=WorkflowNodes(workflow_id=record.workflow_id, nodes=nodes_of(ports.store, record)))


def listed(ports: ApiPorts, request: Request) -> Response:
    tenant_id, asked = tenant_of(request), request.query
    start = "" if asked.cursor is None else place_of(asked.cursor, str)
    if asked.cursor is not None and not _PLACE.match(start):
        raise no_cursor()
    found = workflows_of(ports.store, tenant_id, limit=asked.limit, start=start)
    more = len(found) == asked.limit
    after = listed_order(found[-1].accepted_at_ms, found[-1].workflow_id) + "\0" if more else None
    return Response(body=WorkflowPage(workflows=found, next_cursor=None if after is None else cursor_of(after)))


def stop(ports: ApiPorts, request: Request) -> Response:
    row = owned_workflow(ports, request)
    accepted, reason = row.accepted, request.query.reason or "on request"
    ended_before = row.status.terminal
    cancel_workflow(ports.turn, ports.pusher, accepted.tenant_id, accepted.workflow_id, reason)
    record = workflow_record(ports.store, owned_workflow(ports, request))
    return Response(status=200 if ended_before else 202, body=record)


OPERATIONS: Final = (
    Operation(
        operation_id="submitWorkflow",
        method="POST",
        path="/v1/workflows",
        roles=PRODUCERS,
        summary="Submit a set of tasks with dependencies.",
        description="202: accepted; 200: the same workflow (idempotency key and body) was accepted before.",
        run=submit_workflow,
        body=WorkflowBody,
        responses={202: WorkflowSubmitted, 200: WorkflowSubmitted},
        problems=frozenset({409, 429}),
        headers=KEY_HEADER,
        body_bytes_max=SUBMIT_BYTES_MAX,
        tag=_TAG,
    ),
    Operation(
        operation_id="listWorkflows",
        method="GET",
        path="/v1/workflows",
        roles=PRODUCERS,
        summary="List the tenant's workflows, the newest first.",
        run=listed,
        query=WorkflowsQuery,
        responses={200: WorkflowPage},
        tag=_TAG,
    ),
    Operation(
        operation_id="getWorkflow",
        method="GET",
        path="/v1/workflows/{workflow_id}",
        roles=PRODUCERS,
        summary="Look at a workflow: its status, and how many of its nodes have ended how.",
        run=show,
        responses={200: WorkflowRecord},
        owns=Owned.WORKFLOW,
        tag=_TAG,
    ),
    Operation(
        operation_id="listWorkflowNodes",
        method="GET",
        path="/v1/workflows/{workflow_id}/nodes",
        roles=PRODUCERS,
        summary="The workflow's nodes, each with its task and where that stands.",
        run=nodes,
        responses={200: WorkflowNodes},
        owns=Owned.WORKFLOW,
        tag=_TAG,
    ),
    Operation(
        operation_id="cancelWorkflow",
        method="DELETE",
        path="/v1/workflows/{workflow_id}",
        roles=PRODUCERS,
        summary="Cancel a workflow and everything in it that has not ended; one that has ended stays as it is.",
        run=stop,
        query=CancelQuery,
        responses={200: WorkflowRecord, 202: WorkflowRecord},
        owns=Owned.WORKFLOW,
        tag=_TAG,
    ),
)
