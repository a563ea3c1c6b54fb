"""A task's trace: where its time went, as spans."""

from typing import Final

from msgspec import Struct

from pushlane.api.access import owned_task
from pushlane.api.operations import PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import unknown
from pushlane.model.span import Span
from pushlane.telemetry.task_spans import task_spans


class TraceView(Struct, frozen=True, kw_only=True):
    """The task's spans, the whole first, then by start; what still goes on has no `end_ms`. Ids are those of the spans
    that are exported, where an installation exports any.
    """

    task_id: str
    trace_id: str
    spans: tuple[Span, ...]


def show(ports: ApiPorts, request: Request) -> Response:
    owned_task(ports, request)
    task_id = request.path["task_id"]
    spans = task_spans(ports.store, task_id)
    if not spans:
        raise unknown("task")  # it was erased between the two looks
    return Response(body=TraceView(task_id=task_id, trace_id=spans[0].trace_id, spans=tuple(spans)))


OPERATIONS: Final = (
    Operation(
        operation_id="getTaskTrace",
        method="GET",
        path="/v1/tasks/{task_id}/trace",
        roles=PRODUCERS,
        summary="Where a task's time went: its spans from submission to its end.",
        run=show,
        responses={200: TraceView},
        owns=Owned.TASK,
        tag="tasks",
    ),
)
