"""The schedule: when to submit what, for a tenant; what it says is checked wholly before anything is stored.

The shapes are those of the API's bodies, so paths begin with `$.`. Every firing is one submission through the same
path as any other, under an idempotency key that follows from the schedule and the time that it was due.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pushlane.model.claim_check import FIELD, INLINE_BYTES_MAX
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import Capabilities, Labels, ResourceAmounts
from pushlane.model.ids import Identifier, digest
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.model.occurrences import At, Timing, local_to_ms, parse_expression, zone_of
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Estimate, Penalty, RetryPolicy, Tier
from pushlane.model.times import TimeMs
from pushlane.model.workflow_document import Node, Nodes, WorkflowData, check_nodes
from pushlane.model.workflow_graph import graph_of

# What the scheduling service puts in its place; some emulators leave it as it is.
SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
# A string of the payload that is just this becomes the time that the firing was due.
SCHEDULED_AT: Final = "$scheduled_at"
TEMPLATE_BYTES_MAX: Final = 128 * 1024

DeadlineSeconds = Annotated[int, Meta(ge=1, le=366 * 86_400)]


class MissedPolicy(StrEnum):
    """What becomes of a firing that is late: nothing (`SKIP`), it is submitted all the same (`RUN`), or the first of
    the late ones stands for all that were due by then (`RUN_ONCE`).
    """

    SKIP = "skip"
    RUN = "run"
    RUN_ONCE = "run-once"


class MissedRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on a firing counts as missed: `late_seconds` after the end of its window."""

    policy: MissedPolicy = MissedPolicy.RUN_ONCE
    late_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 300


class TaskTemplate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The task of every firing. `deadline_seconds` count from the time it was due."""

    task_type: Identifier
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    capabilities: Capabilities | None = None
    deadline_seconds: DeadlineSeconds | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    resources: ResourceAmounts = msgspec.field(default_factory=dict)
    estimate: Estimate = Estimate()
    retry: RetryPolicy = RetryPolicy()
    labels: Labels = msgspec.field(default_factory=dict)


class WorkflowTemplate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The workflow of every firing. `deadline_seconds` count from the time it was due; its nodes have no deadlines of
    their own.
    """

    tasks: Nodes
    name: Identifier | None = None
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    labels: Labels = msgspec.field(default_factory=dict)
    deadline_seconds: DeadlineSeconds | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP


class ScheduleData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schedule as it is written. `name` is unique in the tenant. `window_minutes`: it fires at some moment within so
    many minutes of its time, so that schedules of one time spread. Just one of `task` and `workflow` is there.
    """

    name: Identifier
    expression: Annotated[str, Meta(min_length=1, max_length=256)]
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    starts_at_ms: TimeMs | None = None
    ends_at_ms: TimeMs | None = None
    enabled: bool = True
    window_minutes: Annotated[int, Meta(ge=0, le=1_440)] = 0
    missed: MissedRule = MissedRule()
    task: TaskTemplate | None = None
    workflow: WorkflowTemplate | None = None


class Fires(Struct, frozen=True, kw_only=True):
    """Scheduling service -> router: the schedule is due. `scheduled_at` is a time in ISO 8601, or the name of the
    attribute where nobody put the time in its place. `held`: it was here in time, and had to wait for its tenant.
    """

    schedule_id: str
    scheduled_at: str
    held: bool = False
    word: Literal["fires"] = "fires"
    v: Literal[1] = 1


def schedule_id_of(tenant_id: str, name: str) -> str:
    """The same name of the same tenant is the same schedule."""
    return "s-" + digest("schedule", tenant_id, name)


def firing_key(schedule_id: str, scheduled_at_ms: int) -> str:
    """The idempotency key of one firing: however often it is delivered, it is one submission."""
    return "schedule/" + digest("fires", schedule_id, str(scheduled_at_ms))


def timing_of(data: ScheduleData, anchor_ms: int) -> Timing:
    """When it fires; a rate counts from its start or else from `anchor_ms`. Raises `InvalidEvent`."""
    zone_of(data.timezone)
    return Timing(
        expression=parse_expression(data.expression),
        zone=data.timezone,
        anchor_ms=anchor_ms if data.starts_at_ms is None else data.starts_at_ms,
        starts_at_ms=data.starts_at_ms,
        ends_at_ms=data.ends_at_ms,
    )


def check_schedule(data: ScheduleData, now_ms: int) -> None:
    """What no single field can say of itself, and that it fires at all from now on; raises `InvalidEvent`."""
    timing = timing_of(data, now_ms)
    if (data.task is None) == (data.workflow is None):
        raise InvalidEvent("$.task", "a schedule submits either a task or a workflow: give just one of them")
    if data.starts_at_ms is not None and data.ends_at_ms is not None and data.ends_at_ms <= data.starts_at_ms:
        raise InvalidEvent("$.ends_at_ms", "is not after starts_at_ms")
    if isinstance(timing.expression, At) and local_to_ms(timing.expression.local, zone_of(data.timezone)) is None:
        raise InvalidEvent("$.expression", f"the clocks of {data.timezone} skip this time on that day")
    if data.enabled and timing.next_after(now_ms) is None:
        raise InvalidEvent("$.expression", "names no time from now on (and between starts_at_ms and ends_at_ms)")
    _check_template(data)


def submission_body(data: ScheduleData, schedule_id: str, tenant_id: str, scheduled_at_ms: int) -> dict[str, Any]:
    """The envelope that one firing submits, as plain JSON. The same for every delivery of the firing."""
    key = firing_key(schedule_id, scheduled_at_ms)
    template = data.task or data.workflow
    said: dict[str, Any] = _timed(msgspec.to_builtins(template), iso_time(scheduled_at_ms))
    seconds = said.pop("deadline_seconds", None)
    if seconds is not None:
        said["deadline_ms"] = scheduled_at_ms + seconds * 1_000
    name = "SubmitTask" if data.task is not None else "SubmitWorkflow"
    metadata = {"name": name, "version": 1}
    return {"metadata": metadata, "data": {**said, "tenant_id": tenant_id, "idempotency_key": key}}


def iso_time(time_ms: int) -> str:
    """A time as the scheduling service writes it: UTC, to the second."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scheduled_at_ms(text: str) -> int | None:
    """The time that a firing says it was due, None when it says none."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = said if said.tzinfo is not None else said.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000)


def _timed(value: Any, at: str) -> Any:
    """The value with the time in place of `$scheduled_at`. What is checked nests so little that recursion is safe."""
    if isinstance(value, Mapping):
        return {name: _timed(inner, at) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_timed(inner, at) for inner in value]
    return at if value == SCHEDULED_AT else value


def _check_template(data: ScheduleData) -> None:
    if data.task is not None:
        _check_payload("$.task.payload", data.task.payload)
        _check_retry("$.task.retry", data.task.retry)
    if data.workflow is not None:
        _check_workflow(data.workflow)
    size = len(msgspec.json.encode(data.task or data.workflow))
    if size > TEMPLATE_BYTES_MAX:
        field = "$.task" if data.task is not None else "$.workflow"
        raise InvalidEvent(field, f"{size} bytes of JSON, a schedule keeps {TEMPLATE_BYTES_MAX}", "oversize")


def _check_workflow(template: WorkflowTemplate) -> None:
    as_data = WorkflowData(tenant_id="checked", tasks=template.tasks, labels=template.labels)
    try:
        graph_of(template.tasks)
        check_nodes(as_data, template.tasks)
    except InvalidEvent as error:
        raise InvalidEvent(error.field.replace("$.data", "$.workflow", 1), error.reason, error.code) from error
    for index, node in enumerate(template.tasks):
        _check_node(f"$.workflow.tasks[{index}]", node)


def _check_node(path: str, node: Node) -> None:
    if node.deadline_ms is not None:
        raise InvalidEvent(f"{path}.deadline_ms", "a schedule has no fixed deadlines: use workflow.deadline_seconds")
    _check_payload(f"{path}.payload", node.payload)


def _check_payload(path: str, payload: Mapping[str, Any]) -> None:
    if nests_too_deep(payload):
        raise InvalidEvent(path, f"nests deeper than {NESTING_MAX} levels", "too_deep")
    if FIELD in payload:
        raise InvalidEvent(f"{path}.{FIELD}", "a schedule outlives what it would name: keep the payload small, inline")
    if (size := len(msgspec.json.encode(payload))) > INLINE_BYTES_MAX:
        raise InvalidEvent(path, f"{size} bytes of JSON, {INLINE_BYTES_MAX} fit into a task", "oversize")


def _check_retry(path: str, retry: RetryPolicy) -> None:
    if retry.backoff_max_seconds < retry.backoff_seconds:
        raise InvalidEvent(f"{path}.backoff_max_seconds", "is below backoff_seconds")
