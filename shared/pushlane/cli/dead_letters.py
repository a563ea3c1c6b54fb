"""What the verbs around dead letters do and print."""

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from pushlane.cli import output
from pushlane.client.dead_messages import DeadMessages, Kept, Moved
from pushlane.client.dead_orders import Became, Ordered, order_all, wait_for
from pushlane.client.dead_tasks import DeadTask, DeadTasks, Wanted
from pushlane.client.pace import Pace
from pushlane.client.way_back import DeadMessage
from pushlane.model.task import Status

if TYPE_CHECKING:
    from pushlane.cli.target import Target

TASKS: Final = "tasks"
_TASK_PREFIX: Final = "t-"
_BODY_CHARACTERS: Final = 120
_TOLD_EVERY: Final = 10


def filters(what: str, tenant: str | None, task_type: str | None, pool: str | None, error: str | None) -> Wanted:
    """The filters as they were given; only tasks have what they look at. Raises `typer.BadParameter`."""
    given = [
        name for name, value in (("tenant", tenant), ("type", task_type), ("pool", pool), ("error", error)) if value
    ]
    if given and what != TASKS:
        raise typer.BadParameter("only tasks are filtered, as in `pushlane dlq show tasks`", param_hint=f"--{given[0]}")
    return Wanted(tenant_id=tenant, task_type=task_type, pool=pool, error=error)


class DeadLetters:
    """The dead letters of one installation, queues and tasks."""

    def __init__(self, target: "Target", *, json: bool) -> None:
        self._messages = DeadMessages(target.installation, target.aws)
        self._tasks = DeadTasks(target.store)
        self._client = target.client
        self._json = json

    def list(self, *, every: bool) -> None:
        """Counts and ages; without `every` only where there is something."""
        queues = [one for one in self._messages.queues() if every or one.waiting or one.in_flight]
        counts = self._tasks.counts()
        if self._json:
            output.as_json({"queues": queues, "tasks": counts})
            return
        rows = [(q.name, q.kind.value, q.waiting, q.in_flight, _age(q.oldest_ms)) for q in queues]
        output.table("Dead messages", ("queue", "kind", "waiting", "in flight", "oldest"), rows)
        dead = [(one.pool, one.tenant_id, one.tasks, _age(one.oldest_ms)) for one in counts]
        output.table("Dead tasks", ("pool", "tenant", "tasks", "oldest"), dead)

    def show(self, what: str, wanted: Wanted, limit: int) -> None:
        """Messages of a queue, tasks, or one task."""
        if what.startswith(_TASK_PREFIX):
            self._show_task(self._tasks.one(what))
        elif what == TASKS:
            self._show_tasks(list(itertools.islice(self._tasks.find(wanted), limit)))
        else:
            self._show_messages(what, self._messages.peek(what, limit))

    def redrive(self, what: str, wanted: Wanted, limit: int | None, pace: Pace, wait_seconds: float | None) -> None:
        """Send back; ends with status 1 when something had to stay, or did not come to a good end while waited for."""
        if not _is_of_tasks(what):
            self._moved(self._messages.redrive(what, limit, pace, self._progress("sent back")), "sent back")
            return

        def send(task: DeadTask) -> None:
            self._client.redrive(task.tenant_id, task.task_id, epoch=task.epoch)

        ordered = self._order(what, wanted, limit, pace, send)
        self._ordered(ordered, wait_seconds, Status.SUCCEEDED)

    def discard(
        self, what: str, wanted: Wanted, limit: int | None, pace: Pace, wait_seconds: float | None, reason: str | None
    ) -> None:
        """Throw away."""
        if not _is_of_tasks(what):
            self._moved(self._messages.discard(what, limit, pace, self._progress("deleted")), "deleted")
            return

        def send(task: DeadTask) -> None:
            self._client.discard(task.tenant_id, task.task_id, epoch=task.epoch, reason=reason)

        ordered = self._order(what, wanted, limit, pace, send)
        self._ordered(ordered, wait_seconds, Status.FAILED)

    def _order(
        self, what: str, wanted: Wanted, limit: int | None, pace: Pace, send: Callable[[DeadTask], None]
    ) -> Sequence[Ordered]:
        found: Iterable[DeadTask] = self._tasks.find(wanted) if what == TASKS else [self._tasks.one(what)]
        return order_all(found, send, limit=limit, pace=pace, told=self._progress("commands sent"))

    def _ordered(self, ordered: Sequence[Ordered], wait_seconds: float | None, good: Status) -> None:
        if wait_seconds is None:
            self._say(
                ordered, [f"{len(ordered)} tasks: commands sent; `pushlane watch TASK` shows what becomes of one"]
            )
            return
        became = wait_for(
            self._client, ordered, timeout_seconds=wait_seconds, monotonic=time.monotonic, sleep=time.sleep
        )
        self._say(became, _of_all(became))
        if any(one.status != good or not one.over for one in became):
            raise typer.Exit(1)

    def _moved(self, moved: Moved, verb: str) -> None:
        lines = [f"{moved.queue}: {moved.moved} {verb}, {moved.left} left", *_of_kept(moved.kept)]
        self._say(moved, lines)
        if moved.kept:
            raise typer.Exit(1)

    def _say(self, value: object, lines: Sequence[str]) -> None:
        if self._json:
            output.as_json(value)
            return
        for line in lines:
            output.line(line)

    def _progress(self, verb: str) -> Callable[[int], None]:
        def told(count: int) -> None:
            if count % _TOLD_EVERY == 0:
                output.note(f"{count} {verb} ...")

        return told

    def _show_messages(self, name: str, found: Sequence[DeadMessage]) -> None:
        if self._json:
            output.as_json(found)
            return
        rows = [(one.message_id, _age(one.sent_at_ms), one.receives, _short(one.body)) for one in found]
        output.table(f"Dead messages of {name}", ("message", "sent", "receives", "body"), rows)

    def _show_tasks(self, found: Sequence[DeadTask]) -> None:
        if self._json:
            output.as_json(found)
            return
        rows = [
            (one.task_id, one.tenant_id, one.task_type, _age(one.died_at_ms), one.redrives, _short(_error(one)))
            for one in found
        ]
        output.table("Dead tasks", ("task", "tenant", "type", "died", "redrives", "error"), rows)

    def _show_task(self, task: DeadTask) -> None:
        if self._json:
            output.as_json(task)
            return
        labels = ", ".join(f"{name}={value}" for name, value in sorted(task.labels.items()))
        rows = [
            ("died", f"{_time(task.died_at_ms)}, {_age(task.died_at_ms)}"),
            ("error", _error(task)),
            ("task", f"tenant {task.tenant_id}, type {task.task_type}, tier {task.tier}, pool {task.pool}"),
            ("payload", f"{task.payload_bytes} bytes"),
            ("redrives", str(task.redrives)),
            *([("labels", labels)] if labels else []),
            *(
                (f"attempt {one.epoch}", f"{_time(one.at_ms)}  {one.agent_id or '-'}  {one.type}: {one.message}")
                for one in task.history
            ),
        ]
        output.answers(f"{task.task_id}  {Status.DEAD_LETTERED}", rows)


def _is_of_tasks(what: str) -> bool:
    return what == TASKS or what.startswith(_TASK_PREFIX)


def _of_all(became: Sequence[Became]) -> list[str]:
    lines = []
    for one in became:
        error = f"  {one.error}" if one.error and one.status != Status.SUCCEEDED else ""
        lines.append(f"{one.task_id}  {one.status}{'' if one.over else ' (not over yet)'}{error}")
    return lines or ["no tasks"]


def _of_kept(kept: Sequence[Kept]) -> list[str]:
    return [f"{one.message_id} stays: {one.reason}" for one in kept]


def _error(task: DeadTask) -> str:
    return f"{task.error_type}: {task.error_message}"


def _short(text: str) -> str:
    return text if len(text) <= _BODY_CHARACTERS else f"{text[:_BODY_CHARACTERS]}... ({len(text)} characters)"


def _age(at_ms: int | None) -> str:
    """How long ago that was, in the unit that a person would say."""
    if at_ms is None:
        return "-"
    seconds = max(0, time.time_ns() // 1_000_000 - at_ms) / 1_000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
