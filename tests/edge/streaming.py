"""The streams' promise as a measurement: tasks at a steady pace, each watched by one of many streams.

Every stream must have heard exactly what the logs of its tasks say. `first_event_ms`: of each task, from the commit
that its first event is about to the receipt of that event by whoever began to watch when the submission was answered.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from pushlane.local.percentiles import Percentiles
from pushlane.model.timeline import LoggedEvent
from tests.edge.watchers import Heard, Watchers

_SETTLE_SECONDS: Final = 240.0
_WARM_UPS: Final = 5


class Streamed(Struct, frozen=True, kw_only=True):
    """What came of it. `lost`: events of the logs that a stream did not hear; `extra`: heard, but in no log.
    `event_ms`: of all events.
    """

    count: int
    tasks: int
    events: int
    unfinished: int
    gaps: int
    lost: int
    extra: int
    repeated: int
    refused: int
    first_event_ms: Percentiles
    event_ms: Percentiles
    seconds: float

    @property
    def whole(self) -> bool:
        """Nothing lost, nothing out of order, nothing that is in no log."""
        return not (self.unfinished or self.gaps or self.lost or self.extra or self.refused)


def stream(
    streams: Watchers,
    submit: Callable[[], str],
    logged: Callable[[str], list[LoggedEvent]],
    *,
    tasks: int,
    tasks_a_second: float,
) -> Streamed:
    """Submit at the pace, watch each task from then on, wait for all of their ends, and compare with the logs."""
    _warm(streams, submit)
    began = time.monotonic()
    count = streams.connected
    ids: list[str] = []
    for number in range(tasks):
        time.sleep(max(0.0, began + number / tasks_a_second - time.monotonic()))
        ids.append(submit())
        streams.follow(ids[-1])
    unfinished = streams.wait(ids, _SETTLE_SECONDS)
    seconds = round(time.monotonic() - began, 1)
    heard = {task_id: streams.heard[task_id] for task_id in ids}
    return _compared(heard, {task_id: logged(task_id) for task_id in ids}, count, len(unfinished), seconds)


def _warm(streams: Watchers, submit: Callable[[], str]) -> None:
    """Every function on the way has run, and what piled up behind its start is gone: that is no part of a pace."""
    for _ in range(_WARM_UPS):
        task_id = submit()
        streams.follow(task_id)
        streams.wait([task_id], _SETTLE_SECONDS)


def _compared(
    heard: Mapping[str, Heard], logs: Mapping[str, list[LoggedEvent]], count: int, unfinished: int, seconds: float
) -> Streamed:
    differences = [_difference(heard[task_id], log) for task_id, log in logs.items()]
    every = [event for one in heard.values() for event in one.events]
    first = [one.events[0] for one in heard.values() if one.events]
    return Streamed(
        count=count,
        tasks=len(logs),
        events=len(every),
        unfinished=unfinished,
        gaps=sum(one.gaps for one in heard.values()),
        lost=sum(lost for lost, _ in differences),
        extra=sum(extra for _, extra in differences),
        repeated=sum(one.repeated for one in heard.values()),
        refused=sum(len(one.refused) for one in heard.values()),
        first_event_ms=Percentiles.of([event.received_ms - event.at_ms for event in first]),
        event_ms=Percentiles.of([event.received_ms - event.at_ms for event in every]),
        seconds=seconds,
    )


def _difference(heard: Heard, log: list[LoggedEvent]) -> tuple[int, int]:
    """How many events were not heard, and how many are in no log."""
    there = {(event.sequence, event.kind, event.source_id) for event in log}
    came = {(event.sequence, event.kind, event.source_id) for event in heard.events}
    return len(there - came), len(came - there)


def figures(streamed: Streamed) -> dict[str, Any]:
    """For the report."""
    return {
        "count": streamed.count,
        "gaps": streamed.gaps + streamed.lost + streamed.extra,
        "first_event_ms": {"p50": streamed.first_event_ms.p50, "p95": streamed.first_event_ms.p95},
        "event_ms": {"p50": streamed.event_ms.p50, "p95": streamed.event_ms.p95},
        "tasks": streamed.tasks,
        "events": streamed.events,
        "repeated": streamed.repeated,
        "seconds": streamed.seconds,
    }
