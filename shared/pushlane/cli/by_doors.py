"""Tasks with AWS credentials: in by a door, read from the tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pushlane.cli.emits import Emits
from pushlane.cli.options import DoorName
from pushlane.cli.transitions import transitions
from pushlane.cli.ways import NotTaken, SeenTask, Taken, Told, line_of
from pushlane.client.errors import InvalidSubmission, TaskUnknown
from pushlane.client.event_log import EventLog

if TYPE_CHECKING:
    from pushlane.cli.target import Target
    from pushlane.client import Commanded

# From the end of a task to the end of its event log.
LOGGED_SECONDS: Final = 2.0


class ByDoors:
    """See `Way`. `tenant`: of the submissions, and of a task whose tenant is not to be looked up."""

    def __init__(self, target: "Target", door: DoorName, tenant: str | None) -> None:
        self._target = target
        self._client = target.client
        self._door = door.value
        self._tenant = tenant

    def submit(self, tasks: Sequence[Mapping[str, Any]]) -> Taken:
        if self._tenant is None:
            raise InvalidSubmission("tenant_id", "say whose task it is: --tenant NAME (with --api the key says it)")
        batch = self._client.submit_many([{"tenant_id": self._tenant, **one} for one in tasks], door=self._door)
        refused = [
            NotTaken(index=one.index, idempotency_key=one.idempotency_key, reason=one.reason) for one in batch.refused
        ]
        return Taken(accepted=batch.accepted, refused=tuple(refused))

    def task(self, task_id: str) -> SeenTask:
        return self._client.task(task_id)

    def latest(self, limit: int) -> list[SeenTask]:
        return []

    def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> dict[str, SeenTask]:
        return dict(self._client.wait(task_ids, timeout_seconds=timeout_seconds))

    def result(self, task: SeenTask) -> dict[str, Any]:
        return self._client.result(task.task_id)

    def watch(self, task_id: str, timeout_seconds: float, show: Callable[[str], None] | None) -> SeenTask:
        emits = Emits(EventLog(self._target.store), task_id)
        last: SeenTask | None = None
        for last in transitions(self._client, task_id, timeout_seconds, look=emits.show if show else None):
            if show is not None:
                show(line_of(last))
        if last is None:
            raise TaskUnknown(task_id)
        if show is not None:
            emits.show_rest(LOGGED_SECONDS)
        return last

    def cancel(self, task_id: str, reason: str | None) -> Told:
        tenant_id = self._tenant_of(task_id)
        return _told(self._client.cancel(tenant_id, task_id, reason=reason, door=self._door))

    def signal(self, task_id: str, name: str, data: Mapping[str, Any], signal_id: str | None) -> Told:
        tenant_id = self._tenant_of(task_id)
        return _told(self._client.signal(tenant_id, task_id, name, data, signal_id=signal_id, door=self._door))

    def _tenant_of(self, task_id: str) -> str:
        return self._tenant or self._client.task(task_id).tenant_id


def _told(sent: "Commanded") -> Told:
    return Told(
        subject_id=sent.subject_id,
        command=sent.command,
        tenant_id=sent.tenant_id,
        door=sent.door.value,
        returned_at_ms=sent.returned_at_ms,
        signal_id=sent.signal_id,
    )
