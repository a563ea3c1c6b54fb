"""How a verb reaches tasks: through the doors and tables with AWS credentials, or through the HTTP API with a key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import typer
from msgspec import Struct

from pushlane.cli.options import DoorName, StageName
from pushlane.client.api.views import TaskView
from pushlane.client.records import TaskRecord

SeenTask = TaskRecord | TaskView


class NotTaken(Struct, frozen=True, kw_only=True):
    """A task that was not accepted: its place among those given, its key for a repeat, and why."""

    index: int
    idempotency_key: str
    reason: str


class Taken(Struct, frozen=True, kw_only=True):
    """What was accepted, in the words of the way that it went, and what was not."""

    accepted: tuple[Any, ...]
    refused: tuple[NotTaken, ...]


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that reached its task, or the door on its way. `status`: the task's, and `ordered`: its attempt is told
    and has its grace, where the way says so. `resumed`: the task waited for just this signal.
    """

    subject_id: str
    command: str
    tenant_id: str | None = None
    door: str | None = None
    returned_at_ms: int | None = None
    signal_id: str | None = None
    status: str | None = None
    ordered: bool = False
    resumed: bool = False


class Way(Protocol):
    """One way to tasks. Ids that do not exist raise `TaskUnknown`, or the API's `NotFound`."""

    def submit(self, tasks: Sequence[Mapping[str, Any]]) -> Taken: ...

    def task(self, task_id: str) -> SeenTask: ...

    def latest(self, limit: int) -> list[SeenTask]:
        """The newest tasks of the caller's tenant; none where the way has no list."""
        ...

    def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> dict[str, SeenTask]:
        """All of them at rest; raises `StillRunning`."""
        ...

    def result(self, task: SeenTask) -> dict[str, Any]: ...

    def watch(self, task_id: str, timeout_seconds: float, show: Callable[[str], None] | None) -> SeenTask:
        """The task at rest; what happens meanwhile is given to `show` as lines. Raises `StillRunning`."""
        ...

    def cancel(self, task_id: str, reason: str | None) -> Told: ...

    def signal(self, task_id: str, name: str, data: Mapping[str, Any], signal_id: str | None) -> Told: ...


def way_to(
    api: str | None,
    stage: StageName,
    profile: str | None,
    endpoint: str | None,
    *,
    tenant: str | None = None,
    door: DoorName | None = None,
) -> Way:
    """The way that the options name. Raises `NotInstalled`, `NoKey`, and `typer.BadParameter` for a door to the API."""
    if api is None:
        from pushlane.cli.by_doors import ByDoors
        from pushlane.cli.target import connect

        return ByDoors(connect(stage, profile, endpoint), door or DoorName.SQS, tenant)
    if door is not None:
        raise typer.BadParameter("the API is a way in of its own: leave --door out", param_hint="--door")
    from pushlane.cli.by_api import ByApi
    from pushlane.cli.over_http import api_client

    return ByApi(api_client(api, tenant=tenant))


def line_of(task: SeenTask) -> str:
    """A task as it stands, on one line."""
    parts = [task.task_id, task.status.value, f"attempt {task.epoch}"]
    if task.park_reason and task.status == "PARKED":
        parts.append(f"waits for {task.park_reason}")
    if task.started_at_ms and task.finished_at_ms:
        parts.append(f"ran {task.finished_at_ms - task.started_at_ms} ms")
    if task.error:
        parts.append(f"{task.error.error_type}: {task.error.message}")
    return "  ".join(parts)


def plain(task: SeenTask) -> dict[str, object]:
    """A task as data, without its payload."""
    import msgspec

    said: dict[str, object] = msgspec.to_builtins(task)
    said.pop("task", None)
    return said
