"""Tasks that attempts outside Lambda submit: the way of every submission, with the parent's tenant and place."""

from typing import Final

import msgspec

from pushlane.api.attempt_documents import Child, ChildView
from pushlane.api.operations import Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import conflict, of_event, too_many, unavailable
from pushlane.api.reservation import Proven, current, proven, stale
from pushlane.model import events
from pushlane.model.errors import InvalidEvent
from pushlane.model.task import Door, ParentTask, Source
from pushlane.model.trace_context import task_trace
from pushlane.ports import ConditionFailed
from pushlane.router.acceptance import Acceptance, Kind, Verdict
from pushlane.router.intake import Record, normalise
from pushlane.state import attempts, keys
from pushlane.state.items import task_of

_CHILDREN_TRIES: Final = 5


def submit_child(ports: ApiPorts, request: Request) -> Response:
    """Submit a task of the same tenant; an attached one is written beside the attempt first."""
    body: Child = request.body
    said = proven(ports, request)
    record = _record_of_child(ports, request, said)
    task = normalise(record, request.now_ms, lambda _record, _said: None)
    if body.attached:
        _adopt(ports, said, body.runner, task.task_id)
    else:
        current(ports, said, body.runner)
    [verdict] = Acceptance(ports.router).take([task])
    return _submitted(verdict)


def _record_of_child(ports: ApiPorts, request: Request, said: Proven) -> Record:
    body: Child = request.body
    key = keys.task_key(said.claims.task_id)
    found = ports.store.get([key]).get(key)
    if found is None:
        raise stale()
    parent = task_of(found.attributes)
    fields = {name: value for name, value in msgspec.structs.asdict(body).items() if name not in ("runner", "attached")}
    data = events.SubmitData(
        **fields, tenant_id=said.claims.tenant_id, parent=ParentTask(task_id=parent.task_id, attached=body.attached)
    )
    if parent.depth >= events.CAUSATION_DEPTH_MAX:
        raise of_event(InvalidEvent("$.task_type", f"tasks are nested {events.CAUSATION_DEPTH_MAX} deep already"))
    metadata = events.SubmitMetadata(
        name=events.SUBMIT_DETAIL_TYPE,
        version=1,
        correlation_id=parent.correlation_id,
        traceparent=task_trace(parent).run(said.claims.epoch).traceparent,
        submitted_at_ms=request.received_at_ms,
        depth=parent.depth + 1,
    )
    envelope = msgspec.json.encode(events.SubmitTask(metadata=metadata, data=data))
    source = Source(door=Door.HTTP, source_id=request.request_id[:128])
    return Record(item_id=request.request_id, source=source, body=envelope, bound_tenant=said.claims.tenant_id)


def _adopt(ports: ApiPorts, said: Proven, runner: str, child_id: str) -> None:
    for _ in range(_CHILDREN_TRIES):
        attempt = current(ports, said, runner)
        if child_id in attempt.children:
            return
        try:
            ports.store.write(attempts.adopt(said.key, attempt.epoch, runner, attempt.children, child_id))
            return
        except ConditionFailed:
            continue  # another child was written beside it
    raise unavailable()


def _submitted(verdict: Verdict) -> Response:
    if verdict.kind is Kind.CONFLICT:
        raise conflict("key-conflict", "a task has this idempotency key and says something else")
    if verdict.kind is Kind.HELD or verdict.retry_after_seconds is not None:
        detail = "its tenant's lane is full" if verdict.error is None else verdict.error.reason
        raise too_many(detail, verdict.retry_after_seconds or 1)
    if verdict.kind is Kind.REFUSED and verdict.error is not None:
        raise of_event(verdict.error)
    if verdict.kind is Kind.UNRESOLVED:
        raise unavailable()
    return Response(status=202, body=ChildView(task_id=verdict.task.task_id))
