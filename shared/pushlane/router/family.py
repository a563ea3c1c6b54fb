"""Tasks that a task has submitted and that are attached to it: they end with it, and it hears of their end."""

from typing import Any, Final

import msgspec

from pushlane.model.attempt import ErrorDetail
from pushlane.model.commands import SignalTaskData
from pushlane.model.errors import InvalidEvent
from pushlane.model.signals import CHILD_PREFIX, CHILDREN_BYTES_MAX, CHILDREN_INLINE_BYTES_MAX, SIGNAL_DATA_BYTES_MAX
from pushlane.model.task import ParentTask, Task
from pushlane.ports import Attributes, Table
from pushlane.router.cancel import cancel
from pushlane.router.claimed import as_claim
from pushlane.router.push import Pusher
from pushlane.router.signals import deliver
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.items import status_of, text
from pushlane.state.loading import load_task_items

# Of a child that never became a task.
REFUSED: Final = "REFUSED"
PARENT_ENDED: Final = "the task that it is attached to has ended"
_PAGE: Final = 100


def tell_parent(ports: TurnPorts, pusher: Pusher, task: Task, parent: ParentTask, stored: Attributes) -> None:
    """Signal a child's end to its parent, once; one that has ended, or has had too many signals, is not told."""
    data: dict[str, Any] = {"task_id": task.task_id, "status": status_of(stored).value}
    if "result" in stored:
        data["result"] = msgspec.json.decode(text(stored, "result"), type=dict[str, Any])
    if "error" in stored:
        error = msgspec.json.decode(text(stored, "error"), type=ErrorDetail)
        data["error"] = {"error_type": error.error_type, "message": error.message[:1_000]}
    name = CHILD_PREFIX + task.task_id
    said = SignalTaskData(tenant_id=task.tenant_id, task_id=parent.task_id, name=name, data=data)
    if "result" not in data or len(msgspec.json.encode(data)) <= SIGNAL_DATA_BYTES_MAX:
        try:
            deliver(ports, pusher, said, name, CHILDREN_INLINE_BYTES_MAX)
        except InvalidEvent:
            pass  # the parent has heard much already
        else:
            return
    if "result" in data:
        data["result"] = as_claim(ports.blobs, task.tenant_id, data["result"])
    try:
        deliver(ports, pusher, said, name, CHILDREN_BYTES_MAX)
    except InvalidEvent:
        return


def tell_refused(ports: TurnPorts, pusher: Pusher, task: Task, reason: str) -> None:
    """Signal to a parent that its child was refused at the door, so that it does not wait for it for ever. Should the
    child be replayed from quarantine and end, that is another signal.
    """
    if task.parent is None or not task.parent.attached:
        return
    name = CHILD_PREFIX + task.task_id
    error = {"error_type": "Refused", "message": reason[:1_000]}
    data: dict[str, Any] = {"task_id": task.task_id, "status": REFUSED, "error": error}
    said = SignalTaskData(tenant_id=task.tenant_id, task_id=task.parent.task_id, name=name, data=data)
    try:
        deliver(ports, pusher, said, f"{name}/refused")
    except InvalidEvent:
        return


def cancel_children(ports: TurnPorts, pusher: Pusher, task: Task) -> None:
    """Cancel every child of an ended task that has not ended."""
    start = keys.CHILD_PREFIX
    while True:
        page = ports.store.query(Table.TASKS, task.task_id, limit=_PAGE, start=start)
        named = [one.key.sk for one in page if one.key.sk.startswith(keys.CHILD_PREFIX)]
        children = [name.removeprefix(keys.CHILD_PREFIX) for name in named]
        _cancel(ports, pusher, task.tenant_id, children)
        if len(children) < _PAGE:
            return
        start = page[-1].key.sk + "\0"


def cancel_orphan(ports: TurnPorts, pusher: Pusher, task: Task) -> None:
    """Cancel a task that was accepted when its parent had ended. Looked at after the acceptance was written: whoever
    ends the parent looks for children after writing that, so one of the two sees the other.
    """
    if task.parent is None or not task.parent.attached:
        return
    parent = load_task_items(ports.store, [task.parent.task_id]).get(task.parent.task_id)
    if parent is not None and status_of(parent).terminal and text(parent, "tenant_id") == task.tenant_id:
        _cancel(ports, pusher, task.tenant_id, [task.task_id])


def _cancel(ports: TurnPorts, pusher: Pusher, tenant_id: str, task_ids: list[str]) -> None:
    for task_id, stored in load_task_items(ports.store, task_ids).items():
        if not status_of(stored).terminal and text(stored, "tenant_id") == tenant_id:
            cancel(ports, pusher, tenant_id, task_id, PARENT_ENDED)
