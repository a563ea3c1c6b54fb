"""What can go wrong for a producer; every message says what to do next."""

from collections.abc import Collection

from pushlane.model.errors import PushlaneError


class InvalidSubmission(PushlaneError):
    """The task was not sent because it breaks the event schema. `field` is its JSON path, as in `$.data.tier`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class SubmissionRefused(PushlaneError):
    """The door did not take the task, or did not answer. A repeat with the same idempotency key is safe."""

    def __init__(self, door: str, idempotency_key: str, reason: str) -> None:
        super().__init__(f"door {door}: {reason}; submit again with idempotency_key={idempotency_key!r}")
        self.door = door
        self.idempotency_key = idempotency_key
        self.reason = reason


class CommandRefused(PushlaneError):
    """The door did not take the command, or did not answer. Sent twice, a command changes nothing the second time."""

    def __init__(self, command: str, door: str, reason: str) -> None:
        super().__init__(f"{command}, door {door}: {reason}; send it again")
        self.command = command
        self.door = door
        self.reason = reason


class NotDead(PushlaneError):
    """The task is not dead-lettered, so there is nothing to redrive or discard."""

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(f"task {task_id} is {status}, and only DEAD_LETTERED tasks are redriven or discarded")
        self.task_id = task_id
        self.status = status


class TaskUnknown(PushlaneError):
    """No such task. A submission becomes a task when the router has accepted it, usually within a second."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"task {task_id}: not found; was it refused? Refused events are in the quarantine queue")
        self.task_id = task_id


class WorkflowUnknown(PushlaneError):
    """No such workflow. A submission becomes a workflow when the router has accepted it, usually within a second."""

    def __init__(self, workflow_id: str) -> None:
        asked = "was it refused? Refused events are in the quarantine queue"
        super().__init__(f"workflow {workflow_id}: not found; {asked}")
        self.workflow_id = workflow_id


class StillRunning(PushlaneError):
    """The time to wait is over and these tasks have not ended. Nothing happened to them: wait again.

    `unknown`: those of which there is no row. Their events are on their way, or were refused (an unregistered tenant).
    """

    def __init__(self, task_ids: Collection[str], timeout_seconds: float, unknown: Collection[str] = ()) -> None:
        some = ", ".join(sorted(task_ids)[:3])
        refused = f"; {len(unknown)} not accepted: is the tenant registered, is there something in quarantine?"
        told = f"{len(task_ids)} task(s) not finished after {timeout_seconds:g} s: {some}"
        super().__init__(told + (refused if unknown else "; wait again"))
        self.task_ids = frozenset(task_ids)
        self.unknown = frozenset(unknown)


class ResultUnavailable(PushlaneError):
    """The task has no result to read: it has not succeeded, or its stored result is gone or damaged."""


class NotInstalled(PushlaneError):
    """No Pushlane was found where the outputs of its stacks were looked for."""
