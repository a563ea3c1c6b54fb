"""A task's spans, from its committed changes. Pure.

Every change of a task ends a stretch of its life, and that stretch becomes spans: so they tile the time from submission
to end without a hole, whoever did what in between, and a change that is told twice gives the same spans twice.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.span import Attribute, Span, SpanKind, SpanLink, SpanStatus
from pushlane.model.task import Door, Status, Task
from pushlane.model.trace_context import TaskTrace, task_trace
from pushlane.ports import Attributes
from pushlane.state.items import number, optional_number, status_of, text

# Where a record lies between its door and the router.
_CHANNELS: Final = {Door.KINESIS: "stream intake", Door.SCHEDULE: "queue wake-ups"}
RUNNING: Final = frozenset({Status.DISPATCHED, Status.WAITING})
_WAITS: Final = {
    Status.BLOCKED: "blocked",
    Status.RETRYING: "retrying",
    Status.SUSPENDED: "suspended",
    Status.DEAD_LETTERED: "dead-lettered",
}
_UNHAPPY: Final = frozenset({Status.FAILED, Status.EXPIRED, Status.DEAD_LETTERED})


class Standing(Struct, frozen=True, kw_only=True):
    """Where a task stands and since when, and what is known of its current attempt. Times are Unix milliseconds."""

    status: Status
    epoch: int
    since_ms: int
    reason: str | None = None
    agent_id: str | None = None
    queued_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    error_type: str | None = None


def standing_of(stored: Attributes) -> Standing:
    """Where a stored task stands."""
    status = status_of(stored)
    error: dict[str, Any] = msgspec.json.decode(text(stored, "error")) if "error" in stored else {}
    return Standing(
        status=status,
        epoch=number(stored, "epoch"),
        since_ms=_since_ms(status, stored),
        reason=text(stored, "park_reason") if "park_reason" in stored else None,
        agent_id=text(stored, "agent_id") if "agent_id" in stored else None,
        queued_at_ms=optional_number(stored, "queued_at_ms"),
        started_at_ms=optional_number(stored, "started_at_ms"),
        finished_at_ms=optional_number(stored, "finished_at_ms"),
        error_type=error.get("error_type"),
    )


def _since_ms(status: Status, stored: Attributes) -> int:
    name = "dispatched_at_ms" if status is Status.DISPATCHED else "ended_at_ms" if status.at_rest else "changed_at_ms"
    return number(stored, name if name in stored else "accepted_at_ms")


def begins_at_ms(task: Task) -> int:
    """When its trace begins: its submission, as far back as that is known."""
    return min(one for one in (task.submitted_at_ms, task.sent_at_ms, task.accepted_at_ms) if one is not None)


class TaskSpans:
    """The spans of one task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.trace: TaskTrace = task_trace(task)

    def between(self, before: Standing | None, after: Standing) -> list[Span]:
        """What is over with a change: of the task as it is accepted (`before` None), or of where it stood."""
        if before is None:
            spans = self._arrival(after)
        elif before.status in RUNNING:
            spans = self._running(before, after)
        else:
            spans = [self._wait(before, after.since_ms)]
        if after.status.at_rest:
            spans.append(self.root(after))
        return spans

    def root(self, last: Standing | None) -> Span:
        """The whole: from submission to where it came to rest."""
        task, ended = self._task, last is not None and last.status.at_rest
        attributes: dict[str, Attribute] = {
            "task_type": task.task_type,
            "tier": task.tier.value,
            "pool": task.pool,
            "door": task.source.door.value,
        }
        if task.workflow is not None:
            attributes |= {"workflow_id": task.workflow.workflow_id, "node": task.workflow.node}
        if last is not None:
            attributes |= {"status": last.status.value, "epoch": last.epoch}
        return Span(
            trace_id=self.trace.trace_id,
            span_id=self.trace.root.span_id,
            parent_id=self.trace.parent_id,
            name=f"task {task.task_type}",
            start_ms=begins_at_ms(task),
            end_ms=last.since_ms if last is not None and ended else None,
            kind=SpanKind.SERVER,
            attributes=self._named(attributes, last),
            links=self._parents(),
            status=_status(last) if ended else SpanStatus.UNSET,
        )

    def current(self, now: Standing) -> list[Span]:
        """What a task does that is not at rest, as spans that go on."""
        if now.status.at_rest:
            return []
        if now.status not in RUNNING:
            return [self._wait(now, None)]
        run = None if now.started_at_ms is None else max(now.started_at_ms, begins_at_ms(self._task))
        spans = self._dispatch(now, now.since_ms, run, now.queued_at_ms)
        spans += [] if run is None else [self._run(now, run, None)]
        waits = now.status is Status.WAITING and run is not None
        return [*spans, self._given_back(now, None)] if waits else spans

    def _arrival(self, after: Standing) -> list[Span]:
        task = self._task
        door, since_ms = task.source.door, begins_at_ms(task)
        spans: list[Span] = []
        queued = door is not Door.HTTP and task.sent_at_ms is not None
        arrived_ms = min(task.sent_at_ms or task.accepted_at_ms, task.accepted_at_ms) if queued else task.accepted_at_ms
        if since_ms < arrived_ms or door is Door.HTTP:
            name = f"door {door.value}"
            spans.append(self._span(name, since_ms, arrived_ms, kind=SpanKind.PRODUCER))
        if queued:
            name = _CHANNELS.get(door, "queue intake")
            spans.append(self._span(name, arrived_ms, task.accepted_at_ms, kind=SpanKind.CONSUMER))
        return [*spans, self._span("accept", task.accepted_at_ms, after.since_ms)]

    def _wait(self, before: Standing, until_ms: int | None) -> Span:
        name = f"parked {before.reason or 'unknown'}" if before.status is Status.PARKED else _WAITS[before.status]
        more: dict[str, Attribute] = {} if before.reason is None else {"reason": before.reason}
        return self._span(name, before.since_ms, until_ms, before, more)

    def _running(self, before: Standing, after: Standing) -> list[Span]:
        """An attempt's way: it waits in its agent's queue, runs, and its word waits in the results queue."""
        end_ms, since_ms = after.since_ms, before.since_ms
        started_ms = None if after.started_at_ms is None else min(after.started_at_ms, end_ms)
        given_back = [self._given_back(before, end_ms)] if before.status is Status.WAITING else []
        dispatched = self._dispatch(before, since_ms, started_ms, after.queued_at_ms, end_ms)
        if after.status in RUNNING:
            return given_back or dispatched
        if started_ms is None:
            return dispatched
        if after.finished_at_ms is None:
            return [*dispatched, *given_back, self._run(before, started_ms, end_ms, lost=True)]
        finished_ms = max(started_ms, min(after.finished_at_ms, end_ms))
        failed = after.status in (Status.RETRYING, *_UNHAPPY)
        run = self._run(before, started_ms, finished_ms, error_type=after.error_type if failed else None)
        told = self._span("queue results", finished_ms, end_ms, before, kind=SpanKind.CONSUMER)
        return [*dispatched, *given_back, run, told]

    def _dispatch(
        self,
        standing: Standing,
        since_ms: int,
        started_ms: int | None,
        queued_ms: int | None,
        end_ms: int | None = None,
    ) -> list[Span]:
        """From the reservation to the start. An attempt that got its reservation back had started long before."""
        if started_ms is not None and started_ms < since_ms:
            return []
        if started_ms is None or queued_ms is None:
            name = "dispatch" if started_ms is not None or end_ms is None else "dispatch unstarted"
            until_ms = end_ms if started_ms is None else started_ms
            return [self._span(name, since_ms, until_ms, standing, kind=SpanKind.PRODUCER)]
        pushed_ms = max(since_ms, min(queued_ms, started_ms))
        return [
            self._span("push", since_ms, pushed_ms, standing, kind=SpanKind.PRODUCER),
            self._span("queue dispatch", pushed_ms, started_ms, standing, kind=SpanKind.CONSUMER),
        ]

    def _run(
        self,
        standing: Standing,
        start_ms: int,
        end_ms: int | None,
        *,
        error_type: str | None = None,
        lost: bool = False,
    ) -> Span:
        more: dict[str, Attribute] = {"error.type": "LeaseExpired"} if lost else {}
        more |= {} if error_type is None else {"error.type": error_type}
        run = self._span("run", start_ms, end_ms, standing, more, kind=SpanKind.CONSUMER)
        status = SpanStatus.ERROR if more else SpanStatus.UNSET if end_ms is None else SpanStatus.OK
        return msgspec.structs.replace(run, span_id=self.trace.run(standing.epoch).span_id, status=status)

    def _given_back(self, before: Standing, until_ms: int | None) -> Span:
        """The attempt goes on meanwhile, so this lies within its run."""
        waits = self._span("waiting", before.since_ms, until_ms, before)
        return msgspec.structs.replace(waits, parent_id=self.trace.run(before.epoch).span_id)

    def _span(
        self,
        name: str,
        start_ms: int,
        end_ms: int | None,
        standing: Standing | None = None,
        more: dict[str, Attribute] | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        epoch = 0 if standing is None else standing.epoch
        return Span(
            trace_id=self.trace.trace_id,
            span_id=self.trace.id_of(name, str(epoch), str(start_ms)),
            parent_id=self.trace.root.span_id,
            name=name,
            start_ms=start_ms,
            end_ms=None if end_ms is None else max(start_ms, end_ms),
            kind=kind,
            attributes=self._named(more or {}, standing),
        )

    def _named(self, more: dict[str, Attribute], standing: Standing | None) -> dict[str, Attribute]:
        """Every span says whose it is, so that one that stands alone can be found."""
        named: dict[str, Attribute] = {"tenant_id": self._task.tenant_id, "task_id": self._task.task_id}
        if standing is not None and standing.status in RUNNING:
            named |= {"epoch": standing.epoch, "agent_id": standing.agent_id or ""}
        return named | more

    def _parents(self) -> tuple[SpanLink, ...]:
        """A node's own parents in its workflow: they are no spans above it, it only waited for them."""
        place = self._task.workflow
        if place is None:
            return ()
        above: Sequence[str] = [edge.task_id for edge in place.parents]
        traces = [msgspec.structs.replace(self.trace, subject_id=task_id) for task_id in above]
        return tuple(one.root.link for one in traces)


def _status(last: Standing | None) -> SpanStatus:
    if last is None or last.status is Status.CANCELLED:
        return SpanStatus.UNSET
    return SpanStatus.ERROR if last.status in _UNHAPPY else SpanStatus.OK
