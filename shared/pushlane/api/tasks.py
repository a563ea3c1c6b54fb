"""Tasks: submit, look at, list, cancel, ask why, fetch the result, signal."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.api.access import owned_task, tenant_of
from pushlane.api.bodies import SUBMIT
from pushlane.api.listing import TaskFilter, page_of
from pushlane.api.operations import PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, conflict, of_event, unavailable, unknown
from pushlane.api.submitting import KEY_HEADER, BatchView, WorkflowSubmitted, header_key, submit
from pushlane.api.task_views import SubmittedView, TaskView, task_view
from pushlane.client.errors import TaskUnknown
from pushlane.client.why import Why, why
from pushlane.model.attempt import ErrorDetail
from pushlane.model.claim_check import as_claim_check
from pushlane.model.commands import REASON_CHARACTERS_MAX, SignalTaskData, check_signal_data
from pushlane.model.errors import InvalidEvent
from pushlane.model.ids import IdempotencyKey, Identifier
from pushlane.model.task import Status
from pushlane.ports import Attributes, Item
from pushlane.router.cancel import cancel
from pushlane.router.signals import deliver
from pushlane.state import keys
from pushlane.state.items import status_of, text

# Larger results are named by a link instead: a response of Lambda holds 6 MB.
RESULT_BYTES_MAX: Final = 5 * 1024 * 1024
LINK_SECONDS: Final = 300
# A batch of payloads; the function's own event holds 6 MB, and a body may come as base64.
SUBMIT_BYTES_MAX: Final = 4 * 1024 * 1024
_TAG: Final = "tasks"


class TaskPage(Struct, frozen=True, kw_only=True):
    """Part of a tenant's tasks, the newest first. `next_cursor`: hand it back as `cursor` for what follows; null at the
    end. With filters a page can be short, or empty, and not be the last.
    """

    tasks: tuple[TaskView, ...]
    next_cursor: str | None


class Cancelled(Struct, frozen=True, kw_only=True):
    """`status`: of the task now. `ordered`: its attempt is told, and ends at its next check-in or with its grace."""

    task_id: str
    status: Status
    ordered: bool


class CancelQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`reason`: what its facts say."""

    reason: Annotated[str, Meta(max_length=REASON_CHARACTERS_MAX)] | None = None


class ResultView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a task has ended. `result`: of one that succeeded; in its place `result_url` where it is larger than 5 MiB,
    good for five minutes. `error`: of one that did not.
    """

    task_id: str
    status: Status
    result: dict[str, Any] | None = None
    result_url: str | None = None
    result_bytes: int | None = None
    error: ErrorDetail | None = None


class SignalBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something a task is told. `data`: at most 16 KiB of JSON. `signal_id`: a repeat with the same one is the same
    signal; without it (and the header `Idempotency-Key`) a new one is made.
    """

    name: Identifier
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    signal_id: IdempotencyKey | None = None


class Signalled(Struct, frozen=True, kw_only=True):
    """The signal is in the task's inbox. `resumed`: the task was waiting for it, and goes on."""

    task_id: str
    signal_id: str
    resumed: bool


def show(ports: ApiPorts, request: Request) -> Response:
    stored = owned_task(ports, request)
    return Response(body=task_view(Item(keys.task_key(request.path["task_id"]), stored)))


def listed(ports: ApiPorts, request: Request) -> Response:
    tenant_id, wanted = tenant_of(request), request.query
    page = page_of(ports.listing, tenant_id, wanted)
    wanted_keys = [keys.task_key(task_id) for task_id in page.task_ids]
    found = ports.store.get(wanted_keys) if wanted_keys else {}
    views = [task_view(found[key]) for key in wanted_keys if key in found]
    # The index is a moment old; the tasks themselves say what holds now.
    still = [one for one in views if one.tenant_id == tenant_id and wanted.lets(one.status, one.task_type, one.tier)]
    return Response(body=TaskPage(tasks=tuple(still), next_cursor=page.cursor))


def stop(ports: ApiPorts, request: Request) -> Response:
    task_id = request.path["task_id"]
    tenant_id = text(owned_task(ports, request), "tenant_id")
    reason = request.query.reason or "on request"
    try:
        said = cancel(ports.turn, ports.pusher, tenant_id, task_id, reason)
    except InvalidEvent as error:
        raise _of_task(error) from error
    status = status_of(owned_task(ports, request))
    ordered = said == "ordered"
    return Response(status=202 if ordered else 200, body=Cancelled(task_id=task_id, status=status, ordered=ordered))


def explain(ports: ApiPorts, request: Request) -> Response:
    owned_task(ports, request)
    try:
        return Response(body=why(ports.store, request.path["task_id"], request.now_ms))
    except TaskUnknown as error:
        raise unknown("task") from error


def result(ports: ApiPorts, request: Request) -> Response:
    stored = owned_task(ports, request)
    task_id, status = request.path["task_id"], status_of(stored)
    if not status.at_rest:
        raise conflict("not-ended", f"the task is {status}: watch it, or ask again later")
    view = ResultView(task_id=task_id, status=status)
    if "error" in stored:
        error = msgspec.json.decode(text(stored, "error"), type=ErrorDetail)
        return Response(body=msgspec.structs.replace(view, error=error))
    return Response(body=_with_result(ports, view, stored))


def _with_result(ports: ApiPorts, view: ResultView, stored: Attributes) -> ResultView:
    if "result" not in stored:
        return view
    value = msgspec.json.decode(text(stored, "result"), type=dict[str, Any])
    claim = as_claim_check(value)
    if claim is None:
        return msgspec.structs.replace(view, result=value)
    if claim.bytes > RESULT_BYTES_MAX:
        if ports.link is None:
            raise unavailable()
        url = ports.link(claim.key, LINK_SECONDS)
        return msgspec.structs.replace(view, result_url=url, result_bytes=claim.bytes)
    try:
        held = ports.blobs.get(claim.key)
    except KeyError as error:
        raise Problem(404, "result-gone", "the result was kept apart, and its time is over") from error
    return msgspec.structs.replace(view, result=msgspec.json.decode(held, type=dict[str, Any]))


def signal(ports: ApiPorts, request: Request) -> Response:
    said, task_id = request.body, request.path["task_id"]
    tenant_id = text(owned_task(ports, request), "tenant_id")
    check_signal_data(said.data)
    signal_id = said.signal_id or header_key(request) or ports.new_id()
    data = SignalTaskData(tenant_id=tenant_id, task_id=task_id, name=said.name, data=said.data, signal_id=signal_id)
    try:
        done = deliver(ports.turn, ports.pusher, data, signal_id)
    except InvalidEvent as error:
        raise _of_task(error) from error
    return Response(status=202, body=Signalled(task_id=task_id, signal_id=signal_id, resumed=done == "resumed"))


def _of_task(error: InvalidEvent) -> Problem:
    """What a command says of the task that the path names."""
    if error.code == "unknown_task":
        return unknown("task")
    if error.field == "$.data.task_id":
        return conflict(error.code.replace("_", "-"), error.reason)
    return of_event(error)


OPERATIONS: Final = (
    Operation(
        operation_id="submitTasks",
        method="POST",
        path="/v1/tasks",
        roles=PRODUCERS,
        summary="Submit a task, a batch of up to 100, or a workflow; it is dispatched within the request.",
        description=(
            "202: accepted, with the agent that has it or its place in line; 200: the same submission (idempotency"
            " key and body) was accepted before. A batch is answered with an outcome for each of its tasks."
        ),
        run=submit,
        body=SUBMIT,
        responses={202: (SubmittedView, BatchView, WorkflowSubmitted), 200: (SubmittedView, WorkflowSubmitted)},
        problems=frozenset({409, 429}),
        headers=KEY_HEADER,
        body_bytes_max=SUBMIT_BYTES_MAX,
        tag=_TAG,
    ),
    Operation(
        operation_id="listTasks",
        method="GET",
        path="/v1/tasks",
        roles=PRODUCERS,
        summary="List the tenant's tasks, the newest first.",
        run=listed,
        query=TaskFilter,
        responses={200: TaskPage},
        tag=_TAG,
    ),
    Operation(
        operation_id="getTask",
        method="GET",
        path="/v1/tasks/{task_id}",
        roles=PRODUCERS,
        summary="Look at a task.",
        run=show,
        responses={200: TaskView},
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="cancelTask",
        method="DELETE",
        path="/v1/tasks/{task_id}",
        roles=PRODUCERS,
        summary="Cancel a task, whatever it is doing; one that has ended stays as it is.",
        run=stop,
        query=CancelQuery,
        responses={200: Cancelled, 202: Cancelled},
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="explainTask",
        method="GET",
        path="/v1/tasks/{task_id}/why",
        roles=PRODUCERS,
        summary="Why the task is where it is: what it waits for, its place, and how long.",
        run=explain,
        responses={200: Why},
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="getTaskResult",
        method="GET",
        path="/v1/tasks/{task_id}/result",
        roles=PRODUCERS,
        summary="How a task has ended; 409 while it has not.",
        run=result,
        responses={200: ResultView},
        problems=frozenset({409}),
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="signalTask",
        method="POST",
        path="/v1/tasks/{task_id}/signals",
        roles=PRODUCERS,
        summary="Tell a task something: an answer, an interrupt, new instructions.",
        run=signal,
        body=SignalBody,
        headers=KEY_HEADER,
        responses={202: Signalled},
        problems=frozenset({409}),
        owns=Owned.TASK,
        tag=_TAG,
    ),
)
