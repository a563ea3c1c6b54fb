"""Submissions over HTTP: the very admission and turn of the queue doors, inside the request, and an answer."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.api.access import active_tenant_of
from pushlane.api.bodies import TaskBatch, TaskBody, WorkflowBody, WorkflowWrapped
from pushlane.api.operations import Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import FieldError, Problem, ProblemDocument, invalid, of_event, too_many, unavailable
from pushlane.api.task_views import SubmittedView, submitted_view
from pushlane.model.claim_check import INLINE_BYTES_MAX, ClaimCheck
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import SubmitMetadata, SubmitTask
from pushlane.model.ids import IdempotencyKey, digest
from pushlane.model.nesting import nests_too_deep
from pushlane.model.task import Door, Source, Task
from pushlane.model.workflow_document import (
    SUBMIT_WORKFLOW,
    ClaimedNodes,
    SubmitWorkflow,
    WorkflowData,
    WorkflowMetadata,
)
from pushlane.ports import Attributes, ItemStore
from pushlane.router.acceptance import Acceptance, Kind, Verdict
from pushlane.router.claimed import as_claim
from pushlane.router.intake import checked_task
from pushlane.router.workflow_document import checked_submission
from pushlane.router.workflows import DUPLICATE, Workflows
from pushlane.state import keys
from pushlane.state.items import text
from pushlane.state.workflows import load_row

_HEADER: Final = "idempotency-key"
KEY_HEADER: Final = {_HEADER: "The same key and body name the same submission, however often it is sent."}
_TRACE: Final = "traceparent"
_TRACE_MAX: Final = 64
_KEY: Final = "$.data.idempotency_key"


class BatchItem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one task of a batch: the status that it would have had alone, and the task or the problem."""

    status: int
    task: SubmittedView | None = None
    problem: ProblemDocument | None = None


class BatchView(Struct, frozen=True, kw_only=True):
    """What became of a batch, in its order."""

    items: tuple[BatchItem, ...]


class WorkflowSubmitted(Struct, frozen=True, kw_only=True):
    """A workflow that is accepted."""

    workflow_id: str
    idempotency_key: str
    nodes: int


def submit(ports: ApiPorts, request: Request) -> Response:
    """`POST /v1/tasks`: one task, a batch, or a workflow."""
    # Both lie in the config table and are kept for a second: who submits seldom waits for one read, and not for two.
    policy_is_read = ports.beside(ports.turn.policies.current)
    tenant_id = active_tenant_of(ports, request)
    policy_is_read()
    match request.body:
        case TaskBatch(tasks=tasks):
            return _batch(ports, request, tenant_id, tasks)
        case WorkflowWrapped(workflow=workflow):
            return _workflow(ports, request, tenant_id, workflow)
        case TaskBody() as body:
            return submit_one(ports, request, tenant_id, body)
        case _:
            raise invalid("$", "neither a task, nor a batch, nor a workflow")


def submit_workflow(ports: ApiPorts, request: Request) -> Response:
    """`POST /v1/workflows`."""
    return _workflow(ports, request, active_tenant_of(ports, request), request.body)


def submit_one(ports: ApiPorts, request: Request, tenant_id: str, body: TaskBody) -> Response:
    """One task, accepted or refused."""
    key = _key_of(body.idempotency_key, header_key(request)) or ports.new_id()
    task = asked_task(ports, request, tenant_id, body, key)
    [verdict] = Acceptance(ports.router).take([task])
    status, stored = _settled(ports, verdict)
    return Response(status=status, body=submitted_view(ports, stored, task.task_id, key, place=True))


def _batch(ports: ApiPorts, request: Request, tenant_id: str, bodies: Sequence[TaskBody]) -> Response:
    """Each task is taken or refused by itself; what cannot be read as a batch at all is refused as a whole."""
    stem = header_key(request) or ports.new_id()
    said: list[Task | Problem] = []
    for place, body in enumerate(bodies):
        key = body.idempotency_key or f"b-{digest(stem, str(place))}"
        try:
            said.append(asked_task(ports, request, tenant_id, body, key))
        except InvalidEvent as error:
            said.append(of_event(error))
        except Problem as problem:
            said.append(problem)
    tasks = [one for one in said if isinstance(one, Task)]
    verdicts = iter(Acceptance(ports.router).take(tasks))
    written = _stored(ports.store, [task.task_id for task in tasks])
    items = [
        _item(ports, request, one if isinstance(one, Problem) else next(verdicts), written, place)
        for place, one in enumerate(said)
    ]
    return Response(status=202, body=BatchView(items=tuple(items)))


def _item(
    ports: ApiPorts, request: Request, one: Problem | Verdict, written: Mapping[str, Attributes], place: int
) -> BatchItem:
    try:
        if isinstance(one, Problem):
            raise one
        task_id, key = one.task.task_id, one.task.idempotency_key or ""
        status, stored = _settled(ports, one, written.get(task_id))
        return BatchItem(status=status, task=submitted_view(ports, stored, task_id, key, place=False))
    except Problem as problem:
        told = _placed(problem, place).document("/v1/tasks", request.request_id)
        return BatchItem(status=problem.status, problem=told)


def _placed(problem: Problem, place: int) -> Problem:
    """The problem of one task of a batch: its fields as paths into the whole body."""
    errors = [
        msgspec.structs.replace(one, field=one.field.replace("$", f"$.tasks[{place}]", 1)) for one in problem.errors
    ]
    return Problem(
        problem.status,
        problem.code,
        problem.detail,
        errors=errors,
        retry_after_seconds=problem.retry_after_seconds,
    )


def asked_task(ports: ApiPorts, request: Request, tenant_id: str, body: TaskBody, key: str) -> Task:
    """The task that the body asks for; raises `InvalidEvent` and `Problem` naming the field."""
    data = body.submission(tenant_id)
    _check_parent(ports.store, tenant_id, body)
    if not nests_too_deep(data.payload) and len(msgspec.json.encode(data.payload)) > INLINE_BYTES_MAX:
        data = msgspec.structs.replace(data, payload=as_claim(ports.blobs, tenant_id, data.payload))
    submitted = SubmitTask(
        metadata=SubmitMetadata(
            name="SubmitTask",
            version=1,
            correlation_id=body.correlation_id,
            traceparent=_trace_of(request),
            submitted_at_ms=request.received_at_ms,
        ),
        data=msgspec.structs.replace(data, idempotency_key=key),
    )
    return checked_task(submitted, Source(door=Door.HTTP, source_id=key), request.now_ms)


def _check_parent(store: ItemStore, tenant_id: str, body: TaskBody) -> None:
    """A task of somebody else is none, and so is one that is not there."""
    if body.parent is None:
        return
    key = keys.task_key(body.parent.task_id)
    found = store.get([key]).get(key)
    if found is None or text(found.attributes, "tenant_id") != tenant_id:
        raise invalid("$.parent.task_id", "no task of this id is known", "unknown_task")


def _settled(ports: ApiPorts, verdict: Verdict, stored: Attributes | None = None) -> tuple[int, Attributes]:
    """The status of what is accepted, and the task as it is stored; raises the problem of what is not."""
    if verdict.kind is Kind.HELD:
        verdict = Acceptance(ports.router).repeated(verdict.task) or verdict
    match verdict.kind:
        case Kind.ACCEPTED | Kind.DUPLICATE:
            task_id = verdict.task.task_id
            found = stored or _stored(ports.store, [task_id]).get(task_id)
            if found is None:
                raise unavailable()
            return (202 if verdict.kind is Kind.ACCEPTED else 200), found
        case Kind.CONFLICT:
            raise _key_conflict(f"task {verdict.task.task_id}")
        case Kind.HELD:
            raise too_many("the tenant has too much waiting here", verdict.retry_after_seconds or 1, "lane-full")
        case Kind.REFUSED if verdict.error is not None:
            raise _refused(verdict.error, verdict.retry_after_seconds)
        case _:
            raise unavailable()


def _key_conflict(holder: str) -> Problem:
    reason = f"{holder} has this key and another body: choose another key, or send the same body"
    error = FieldError(field="$.idempotency_key", reason=reason, code="key_conflict")
    return Problem(409, "key-conflict", reason, errors=[error])


def _refused(error: InvalidEvent, retry_after_seconds: int | None) -> Problem:
    if retry_after_seconds is None:
        return of_event(error)
    return too_many(error.reason, retry_after_seconds, error.code.replace("_", "-"))


def _stored(store: ItemStore, task_ids: Sequence[str]) -> dict[str, Attributes]:
    wanted = [keys.task_key(task_id) for task_id in dict.fromkeys(task_ids)]
    return {key.pk: item.attributes for key, item in (store.get(wanted) if wanted else {}).items()}


def _workflow(ports: ApiPorts, request: Request, tenant_id: str, body: WorkflowBody) -> Response:
    key = _key_of(body.idempotency_key, header_key(request)) or ports.new_id()
    data = msgspec.structs.replace(_carried(ports, body.submission(tenant_id)), idempotency_key=key)
    metadata = WorkflowMetadata(
        name=SUBMIT_WORKFLOW, version=1, correlation_id=body.correlation_id, traceparent=_trace_of(request)
    )
    checked = checked_submission(
        SubmitWorkflow(metadata=metadata, data=data),
        Source(door=Door.HTTP, source_id=key),
        request.now_ms,
        blobs=ports.blobs,
        policy=ports.turn.policies.current(),
    )
    workflows = Workflows(ports.router)
    delay_seconds = workflows.over(checked, request.now_ms)
    if delay_seconds is not None and load_row(ports.store, checked.accepted.workflow_id) is None:
        raise too_many("the tenant has too much waiting here", delay_seconds, "lane-full")
    try:
        said = workflows.accept(checked, request.now_ms)
    except InvalidEvent as error:
        if error.field != _KEY:
            raise
        raise _key_conflict(f"workflow {checked.accepted.workflow_id}") from error
    view = WorkflowSubmitted(
        workflow_id=checked.accepted.workflow_id, idempotency_key=key, nodes=checked.accepted.nodes
    )
    return Response(status=200 if said == DUPLICATE else 202, body=view)


def _carried(ports: ApiPorts, data: WorkflowData) -> WorkflowData:
    """Nodes that are too large for the workflow's item are stored beside it, as the SDK does."""
    if isinstance(data.tasks, ClaimedNodes) or len(msgspec.json.encode(data.tasks)) <= INLINE_BYTES_MAX:
        return data
    said = as_claim(ports.blobs, data.tenant_id, {"tasks": msgspec.to_builtins(data.tasks)})
    [claim] = said.values()
    return msgspec.structs.replace(data, tasks=ClaimedNodes(claim=msgspec.convert(claim, ClaimCheck)))


def header_key(request: Request) -> str | None:
    """The idempotency key in the header; raises 422 for one that is none."""
    said = request.headers.get(_HEADER)
    if said is None:
        return None
    try:
        return msgspec.convert(said, IdempotencyKey)
    except msgspec.ValidationError as error:
        raise invalid(f"header.{_HEADER}", "1-128 printable ASCII characters, no spaces") from error


def _key_of(said: str | None, header: str | None) -> str | None:
    if said is not None and header is not None and said != header:
        raise invalid("$.idempotency_key", f"is another than the header {_HEADER}: say it once")
    return said or header


def _trace_of(request: Request) -> str | None:
    said = request.headers.get(_TRACE)
    return said if said is not None and len(said) <= _TRACE_MAX and said.isascii() else None
