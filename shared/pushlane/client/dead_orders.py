"""Many dead tasks brought back or given up: one command each at a capped rate, then what became of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from pushlane.client.dead_tasks import DeadTask
from pushlane.client.pace import Pace
from pushlane.client.producer import Client
from pushlane.client.records import TaskRecord
from pushlane.model.task import Status


class Ordered(Struct, frozen=True, kw_only=True):
    """A command that was sent for a dead task. `epoch`: of the attempt that it died of."""

    task_id: str
    tenant_id: str
    task_type: str
    epoch: int


class Became(Struct, frozen=True, kw_only=True):
    """What became of a task by the time of the last look: its status, and whether that is the end of it for now."""

    task_id: str
    status: str
    over: bool
    error: str | None = None


def order_all(
    found: Iterable[DeadTask],
    send: Callable[[DeadTask], object],
    *,
    limit: int | None,
    pace: Pace,
    told: Callable[[int], None],
) -> list[Ordered]:
    """Send for each, once even if it dies again meanwhile; raises what `send` raises, and the rest is not sent."""
    ordered: list[Ordered] = []
    for task in itertools.islice(_once(found), limit):
        pace.wait()
        send(task)
        one = Ordered(task_id=task.task_id, tenant_id=task.tenant_id, task_type=task.task_type, epoch=task.epoch)
        ordered.append(one)
        told(len(ordered))
    return ordered


def wait_for(
    client: Client,
    ordered: Iterable[Ordered],
    *,
    timeout_seconds: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
    poll_seconds: float = 0.5,
) -> tuple[Became, ...]:
    """What became of all of them: until each has ended, or died of a later attempt, or the time is over."""
    waiting = {one.task_id: one for one in ordered}
    became: dict[str, Became] = {}
    until = monotonic() + timeout_seconds
    while waiting:
        for task_id, record in client.tasks(waiting).items():
            became[task_id] = _became(record, waiting[task_id].epoch)
        waiting = {task_id: one for task_id, one in waiting.items() if task_id in became and not became[task_id].over}
        if not waiting or monotonic() >= until:
            break
        sleep(poll_seconds)
    return tuple(became.values())


def _became(record: TaskRecord, epoch: int) -> Became:
    dead_again = record.status is Status.DEAD_LETTERED and record.epoch > epoch
    return Became(
        task_id=record.task_id,
        status=record.status.value,
        over=record.terminal or dead_again,
        error=None if record.error is None else f"{record.error.error_type}: {record.error.message}",
    )


def _once(found: Iterable[DeadTask]) -> Iterator[DeadTask]:
    seen: set[str] = set()
    for task in found:
        if task.task_id not in seen:
            seen.add(task.task_id)
            yield task
