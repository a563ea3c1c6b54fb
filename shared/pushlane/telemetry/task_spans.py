"""One task's spans from what is stored: the waterfall that the command line and the console draw.

The event log has the whole story. Where it is not written, or over, the task's own item still tells of its acceptance,
its last attempt and its end; the rest shows as one span.
"""

from collections.abc import Iterable

import msgspec

from pushlane.model.events import FactData, FactName
from pushlane.model.span import Span
from pushlane.model.task import Status
from pushlane.model.timeline import LoggedEvent, Origin
from pushlane.ports import Attributes, ItemStore
from pushlane.state import keys
from pushlane.state.event_log import read_events
from pushlane.state.items import attempt_of, optional_number, task_of
from pushlane.telemetry.trace import RUNNING, Standing, TaskSpans, standing_of

_LOG_PAGE = 1_000
_STATUS_OF = {
    FactName.TASK_BLOCKED: Status.BLOCKED,
    FactName.TASK_PARKED: Status.PARKED,
    FactName.TASK_DISPATCHED: Status.DISPATCHED,
    FactName.TASK_WAITING: Status.WAITING,
    FactName.TASK_SUSPENDED: Status.SUSPENDED,
    FactName.TASK_RETRYING: Status.RETRYING,
    FactName.TASK_DEAD_LETTERED: Status.DEAD_LETTERED,
    FactName.TASK_SUCCEEDED: Status.SUCCEEDED,
    FactName.TASK_FAILED: Status.FAILED,
    FactName.TASK_CANCELLED: Status.CANCELLED,
    FactName.TASK_EXPIRED: Status.EXPIRED,
}


def task_spans(store: ItemStore, task_id: str) -> list[Span]:
    """The task's spans, its root first, then by start; the ids are those of the exported ones. What still goes on has
    no `end_ms`. Empty for an unknown task.

    `store` knows the tables of tasks and attempts; without that of events only what the task itself tells is there.
    """
    key = keys.task_key(task_id)
    found = store.get([key]).get(key)
    if found is None:
        return []
    task, now = task_of(found.attributes), _as_it_runs(store, found.attributes)
    spans = TaskSpans(task)
    told = _told(_log(store, task_id), task_id)
    steps = [*_made_up(told, found.attributes, now), now]
    drawn = [one for before, after in zip([None, *steps], steps, strict=False) for one in spans.between(before, after)]
    drawn += spans.current(now)
    rest = {span.span_id: span for span in drawn if span.span_id != spans.trace.root.span_id}
    return [spans.root(now), *sorted(rest.values(), key=lambda span: (span.start_ms, span.end_ms is None))]


def _log(store: ItemStore, task_id: str) -> Iterable[LoggedEvent]:
    try:
        return read_events(store, task_id, limit=_LOG_PAGE).events
    except KeyError:  # the store of this installation has no event logs
        return ()


def _as_it_runs(store: ItemStore, stored: Attributes) -> Standing:
    """Where the task stands; whether its attempt has started stands on that alone."""
    now = standing_of(stored)
    if now.status not in RUNNING:
        return now
    task = task_of(stored)
    key = keys.attempt_key(task.pool, task.task_id)
    item = store.get([key]).get(key)
    attempt = None if item is None else attempt_of(item)
    if attempt is None or attempt.epoch != now.epoch or attempt.started_at_ms is None:
        return now
    return msgspec.structs.replace(now, started_at_ms=attempt.started_at_ms)


def _told(events: Iterable[LoggedEvent], task_id: str) -> list[Standing]:
    """Where the task stood, fact by fact."""
    return [
        _standing(_STATUS_OF[FactName(one.kind)], one, msgspec.convert(one.data, FactData))
        for one in events
        if one.origin is Origin.FACT and one.task_id == task_id and one.kind in _STATUS_OF
    ]


def _standing(status: Status, told: LoggedEvent, data: FactData) -> Standing:
    return Standing(
        status=status,
        epoch=data.epoch or 0,
        since_ms=told.at_ms,
        reason=data.reason if status is Status.PARKED else None,
        agent_id=data.agent_id,
        queued_at_ms=data.queued_at_ms,
        started_at_ms=data.started_at_ms,
        finished_at_ms=data.finished_at_ms,
        error_type=None if data.reason is None else data.reason.partition(":")[0],
    )


def _made_up(told: list[Standing], stored: Attributes, now: Standing) -> list[Standing]:
    """What came before the task's present state. Where the log is not written, not yet or no more, the task's item says
    when it last began to wait, and when it was last dispatched.
    """
    before = [one for one in told if one.since_ms <= now.since_ms and (one.since_ms, one.status) != _place(now)]
    dispatched_ms = optional_number(stored, "dispatched_at_ms")
    if dispatched_ms is None or now.status in RUNNING or now.started_at_ms is None:
        return before
    if before and (before[-1].status in RUNNING or before[-1].since_ms > dispatched_ms):
        return before
    waited_ms = optional_number(stored, "changed_at_ms")
    if not before and waited_ms is not None and waited_ms <= dispatched_ms:
        before = [msgspec.structs.replace(now, status=Status.PARKED, since_ms=waited_ms, reason=None)]
    return [*before, msgspec.structs.replace(now, status=Status.DISPATCHED, since_ms=dispatched_ms)]


def _place(one: Standing) -> tuple[int, Status]:
    return one.since_ms, one.status
