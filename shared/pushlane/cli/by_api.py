"""Tasks over the HTTP API: everything with a key, nothing with AWS credentials."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pushlane.cli.emits import emit_line
from pushlane.cli.ways import NotTaken, SeenTask, Taken, Told
from pushlane.client.errors import StillRunning
from pushlane.model.events import FactName
from pushlane.model.timeline import LoggedEvent, Origin

if TYPE_CHECKING:
    from pushlane.client.api import Client
    from pushlane.client.api.watching import Seen

# What is logged of a task that has ended comes at once.
_LOGGED_SECONDS: Final = 2.0


class ByApi:
    """See `Way`. The tenant is the key's, or the one that an operator's client names."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def submit(self, tasks: Sequence[Mapping[str, Any]]) -> Taken:
        batch = self._client.submit_many([_without_none(one) for one in tasks])
        refused = [
            NotTaken(index=one.index, idempotency_key=one.idempotency_key, reason=_reason(one.detail, one.errors))
            for one in batch.refused
        ]
        return Taken(accepted=batch.accepted, refused=tuple(refused))

    def task(self, task_id: str) -> SeenTask:
        return self._client.get(task_id)

    def latest(self, limit: int) -> list[SeenTask]:
        return list(itertools.islice(self._client.list(limit=limit), limit))

    def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> dict[str, SeenTask]:
        return dict(self._client.wait_all(task_ids, timeout_seconds=timeout_seconds))

    def result(self, task: SeenTask) -> dict[str, Any]:
        return self._client.result(task.task_id)

    def watch(self, task_id: str, timeout_seconds: float, show: Callable[[str], None] | None) -> SeenTask:
        if show is None:
            return self._client.wait(task_id, timeout_seconds=timeout_seconds)
        over = self._client.get(task_id).at_rest
        try:
            for seen in self._client.watch(task_id, timeout_seconds=_LOGGED_SECONDS if over else timeout_seconds):
                show(_line(task_id, seen))
                if _rests(seen, task_id) and self._client.get(task_id).at_rest:
                    break  # dead-lettered is no end, but nothing more comes by itself
        except StillRunning:
            if not over:
                raise
        return self._client.get(task_id)

    def cancel(self, task_id: str, reason: str | None) -> Told:
        done = self._client.cancel(task_id, reason=reason)
        return Told(subject_id=task_id, command="CancelTask", status=done.status.value, ordered=done.ordered)

    def signal(self, task_id: str, name: str, data: Mapping[str, Any], signal_id: str | None) -> Told:
        done = self._client.signal(task_id, name, data, signal_id=signal_id)
        return Told(subject_id=task_id, command="SignalTask", signal_id=done.signal_id, resumed=done.resumed)


def _line(task_id: str, seen: "Seen") -> str:
    if not isinstance(seen, LoggedEvent):
        return f"{task_id}  (events up to {seen.last} are not kept any more)"
    if seen.origin is Origin.AGENT:
        return emit_line(seen)
    return "  ".join([seen.task_id, seen.kind, *([f"attempt {seen.epoch}"] if seen.epoch else [])])


def _rests(seen: "Seen", task_id: str) -> bool:
    return isinstance(seen, LoggedEvent) and seen.task_id == task_id and seen.kind == FactName.TASK_DEAD_LETTERED


def _reason(detail: str, errors: Sequence[Any]) -> str:
    named = "; ".join(f"{one.field}: {one.reason}" for one in errors)
    return f"{detail} ({named})" if named else detail


def _without_none(task: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in task.items() if value is not None}
