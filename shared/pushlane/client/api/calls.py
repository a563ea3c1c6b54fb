"""Every operation as a call and the way to read its answer. What can be sent twice carries a key that makes it one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.client.api.errors import ApiError, FieldError, Invalid
from pushlane.client.api.exchange import Answer, Ask, Call, json_call, nothing, path_of, read_as
from pushlane.client.api.views import (
    Batch,
    Cancelled,
    NodeList,
    Refused,
    ResultView,
    SchedulePage,
    ScheduleView,
    Signalled,
    Submitted,
    SubmittedWorkflow,
    TaskPage,
    TaskView,
    TenantView,
    Ticket,
    WhyView,
    WorkflowPage,
    WorkflowView,
)
from pushlane.client.workflow_builder import Workflow
from pushlane.model.ids import digest

BATCH_MAX: Final = 100
_OK: Final = 200


class _Problem(Struct, frozen=True):
    type: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after_seconds: float | None = None


class _BatchItem(Struct, frozen=True):
    status: int
    task: Submitted | None = None
    problem: _Problem | None = None


class _BatchView(Struct, frozen=True):
    items: tuple[_BatchItem, ...]


def submit(task: Mapping[str, Any], key: str) -> Ask[Submitted]:
    """One task under its own key, or under `key`."""
    body = _body({"idempotency_key": key, **task})

    def read(answer: Answer) -> Submitted:
        said = msgspec.json.decode(answer.body, type=Submitted)
        return msgspec.structs.replace(said, repeated=answer.status == _OK)

    return Ask(call=json_call("POST", path_of("v1", "tasks"), body), read=read)


def submit_batch(tasks: Sequence[Mapping[str, Any]], stem: str, first: int) -> Ask[Batch]:
    """Up to 100 tasks; those without a key get one that follows from `stem` and their place, counted from `first`."""
    bodies = [_body({"idempotency_key": batch_key(stem, first + place), **task}) for place, task in enumerate(tasks)]

    def read(answer: Answer) -> Batch:
        items = msgspec.json.decode(answer.body, type=_BatchView).items
        accepted = tuple(_accepted(one) for one in items if one.task is not None)
        refused = tuple(
            _refused(one, place, first + place, str(bodies[place]["idempotency_key"]))
            for place, one in enumerate(items)
            if one.task is None
        )
        return Batch(accepted=accepted, refused=refused)

    return Ask(call=json_call("POST", path_of("v1", "tasks"), {"tasks": bodies}), read=read)


def batch_key(stem: str, place: int) -> str:
    """The key of a task that has none of its own."""
    return f"m-{digest(stem, str(place))}"


def refused_alone(error: ApiError, task: Mapping[str, Any], stem: str, place: int) -> Refused:
    """A task that the API cannot even read, in the words of the call that held it alone."""
    errors = tuple(
        FieldError(field=one.field.replace("$.tasks[0]", "$", 1), reason=one.reason, code=one.code)
        for one in error.errors
    )
    return Refused(
        index=place,
        idempotency_key=str(task.get("idempotency_key", batch_key(stem, place))),
        status=error.status,
        code=error.code,
        detail=error.detail,
        errors=errors,
    )


def submit_workflow(workflow: Workflow | Mapping[str, Any], key: str) -> Ask[SubmittedWorkflow]:
    """A workflow under its own key, or under `key`. The tenant that a `Workflow` names is the credential's."""
    said = workflow.as_data() if isinstance(workflow, Workflow) else dict(workflow)
    said.pop("tenant_id", None)

    def read(answer: Answer) -> SubmittedWorkflow:
        found = msgspec.json.decode(answer.body, type=SubmittedWorkflow)
        return msgspec.structs.replace(found, repeated=answer.status == _OK)

    body = _body({"idempotency_key": key, **said})
    return Ask(call=json_call("POST", path_of("v1", "workflows"), body), read=read)


def get_task(task_id: str) -> Ask[TaskView]:
    return Ask(call=_get("v1", "tasks", task_id), read=read_as(TaskView))


def list_tasks(cursor: str | None, filters: Mapping[str, Any]) -> Ask[TaskPage]:
    query = {**filters, "cursor": cursor}
    return Ask(call=Call(method="GET", path=path_of("v1", "tasks", query=query)), read=read_as(TaskPage))


def task_result(task_id: str) -> Ask[ResultView]:
    return Ask(call=_get("v1", "tasks", task_id, "result"), read=read_as(ResultView))


def why_task(task_id: str) -> Ask[WhyView]:
    def read(answer: Answer) -> WhyView:
        said = msgspec.json.decode(answer.body, type=dict[str, Any])
        return msgspec.structs.replace(msgspec.convert(said, WhyView), said=said)

    return Ask(call=_get("v1", "tasks", task_id, "why"), read=read)


def cancel_task(task_id: str, reason: str | None) -> Ask[Cancelled]:
    call = Call(method="DELETE", path=path_of("v1", "tasks", task_id, query={"reason": reason}))
    return Ask(call=call, read=read_as(Cancelled))


def signal_task(task_id: str, name: str, data: Mapping[str, Any] | None, signal_id: str) -> Ask[Signalled]:
    body = _body({"name": name, "data": dict(data or {}), "signal_id": signal_id})
    return Ask(call=json_call("POST", path_of("v1", "tasks", task_id, "signals"), body), read=read_as(Signalled))


def get_workflow(workflow_id: str) -> Ask[WorkflowView]:
    return Ask(call=_get("v1", "workflows", workflow_id), read=read_as(WorkflowView))


def list_workflows(cursor: str | None, limit: int | None) -> Ask[WorkflowPage]:
    path = path_of("v1", "workflows", query={"cursor": cursor, "limit": limit})
    return Ask(call=Call(method="GET", path=path), read=read_as(WorkflowPage))


def workflow_nodes(workflow_id: str) -> Ask[NodeList]:
    return Ask(call=_get("v1", "workflows", workflow_id, "nodes"), read=read_as(NodeList))


def cancel_workflow(workflow_id: str, reason: str | None) -> Ask[WorkflowView]:
    call = Call(method="DELETE", path=path_of("v1", "workflows", workflow_id, query={"reason": reason}))
    return Ask(call=call, read=read_as(WorkflowView))


def make_schedule(schedule: Mapping[str, Any]) -> Ask[ScheduleView]:
    return Ask(call=json_call("POST", path_of("v1", "schedules"), _body(schedule)), read=read_as(ScheduleView))


def get_schedule(schedule_id: str) -> Ask[ScheduleView]:
    return Ask(call=_get("v1", "schedules", schedule_id), read=read_as(ScheduleView))


def list_schedules(cursor: str | None) -> Ask[SchedulePage]:
    path = path_of("v1", "schedules", query={"cursor": cursor})
    return Ask(call=Call(method="GET", path=path), read=read_as(SchedulePage))


def change_schedule(schedule_id: str, schedule: Mapping[str, Any]) -> Ask[ScheduleView]:
    path = path_of("v1", "schedules", schedule_id)
    return Ask(call=json_call("PUT", path, _body(schedule)), read=read_as(ScheduleView))


def remove_schedule(schedule_id: str) -> Ask[None]:
    call = Call(method="DELETE", path=path_of("v1", "schedules", schedule_id))
    return Ask(call=call, read=nothing, gone=lambda: None)


def begin_erasing(tenant_id: str) -> Ask[TenantView]:
    return Ask(call=Call(method="DELETE", path=path_of("v1", "tenants", tenant_id)), read=read_as(TenantView))


def stream_ticket(stream: str | None, life_seconds: int | None) -> Ask[Ticket]:
    said = {"stream": stream, "life_seconds": life_seconds}
    body = {name: value for name, value in said.items() if value is not None}
    return Ask(call=json_call("POST", path_of("v1", "stream-tickets"), body), read=read_as(Ticket))


def result_of(view: ResultView) -> dict[str, Any] | None:
    """What a succeeded task returned, unless it has to be fetched; raises `ResultUnavailable`."""
    from pushlane.client.errors import ResultUnavailable

    if view.result is None and view.result_url is None:
        why = f": {view.error.error_type}: {view.error.message}" if view.error else ""
        raise ResultUnavailable(f"task {view.task_id} is {view.status}{why}")
    return view.result


def _get(*segments: str) -> Call:
    return Call(method="GET", path=path_of(*segments))


def _body(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent, as plain JSON; raises `Invalid` for what is none."""
    try:
        plain: dict[str, Any] = msgspec.to_builtins(dict(said))
        msgspec.json.encode(plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(0, "invalid-request", f"not JSON: {error}", errors=(FieldError(reason=str(error)),)) from error
    return plain


def _accepted(item: _BatchItem) -> Submitted:
    if item.task is None:
        raise ApiError(item.status, "unknown", "an item of the batch has neither a task nor a problem")
    return msgspec.structs.replace(item.task, repeated=item.status == _OK)


def _refused(item: _BatchItem, place: int, index: int, key: str) -> Refused:
    problem = item.problem or _Problem()
    errors = tuple(
        FieldError(field=one.field.replace(f"$.tasks[{place}]", "$", 1), reason=one.reason, code=one.code)
        for one in problem.errors
    )
    return Refused(
        index=index,
        idempotency_key=key,
        status=item.status,
        code=problem.type.rpartition(":")[2] or "unknown",
        detail=problem.detail,
        errors=errors,
        retry_after_seconds=problem.retry_after_seconds,
    )
