"""Tell those who wait for a task that it has ended: its children in the workflow, the workflow itself, its parent.

A child is told by a mark of its own for every parent, so a parent that is told twice counts once. Whoever sets the
last mark of a part looks at all of them, and lets the child go if it can: two who do so at once let it go once.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Status, Task
from pushlane.model.workflow import ChildEdge, WorkflowPlace, WorkflowStatus, node_task_id
from pushlane.ports import Attributes
from pushlane.router.family import cancel_children, tell_parent
from pushlane.router.push import Pusher
from pushlane.router.release import release
from pushlane.router.turn import TurnPorts
from pushlane.router.workflow_end import end_if_over
from pushlane.router.workflow_start import start
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Input, Ready, Withdraw
from pushlane.scheduling.workflow import Next, fails, node_end, verdict
from pushlane.state.items import number, status_of, task_of, text
from pushlane.state.loading import Duty, load_task_items
from pushlane.state.workflows import Mark, ends_keys, ends_of, load_marks, load_row, note_end, parents_keys

_CHILDREN_MAX: Final = 100


def tell(ports: TurnPorts, pusher: Pusher, duty: Duty) -> Sequence[Duty]:
    """Carry out the duty to tell others of a task's end; returns what the turns made necessary."""
    stored = load_task_items(ports.store, [duty.subject_id]).get(duty.subject_id)
    if stored is None or not status_of(stored).terminal:
        return []
    task = task_of(stored)
    duties = [] if task.workflow is None else _tell_workflow(ports, pusher, task.workflow, stored)
    if task.parent is not None and task.parent.attached:
        tell_parent(ports, pusher, task, task.parent, stored)
    if task.children:
        cancel_children(ports, pusher, task)
    return duties


def _tell_workflow(ports: TurnPorts, pusher: Pusher, place: WorkflowPlace, stored: Attributes) -> list[Duty]:
    row = load_row(ports.store, place.workflow_id)
    if row is None:
        return []
    duties: list[Duty] = []
    if row.status is WorkflowStatus.PENDING:  # a deadline of its own ended it before all the others were written
        duties += start(ports, pusher, row)
    mark = mark_of(stored)
    if not row.status.terminal:
        duties += _tell_children(ports, pusher, place, mark)
    where, now_ms = ends_keys(place.workflow_id, place.nodes), ports.clock.now_ms()
    if note_end(ports.store, where, place.index, mark, now_ms, place.nodes):
        end_if_over(ports, place.workflow_id)
    return duties


def mark_of(stored: Attributes) -> Mark:
    """How an ended task ended, and when its work was over."""
    error = msgspec.json.decode(text(stored, "error"), type=ErrorDetail) if "error" in stored else None
    return Mark(node_end(status_of(stored), error), number(stored, "ended_at_ms"))


def _tell_children(ports: TurnPorts, pusher: Pusher, place: WorkflowPlace, mark: Mark) -> list[Duty]:
    decided = [edge for edge in place.children if _told(ports, place.workflow_id, edge, mark)]
    duties: list[Duty] = []
    for first in range(0, len(decided), _CHILDREN_MAX):
        duties += _let_go(ports, pusher, place.workflow_id, decided[first : first + _CHILDREN_MAX], mark)
    return duties


def _told(ports: TurnPorts, workflow_id: str, edge: ChildEdge, mark: Mark) -> bool:
    """Set the mark at the child; says whether that may decide what it does. An only parent decides without a mark."""
    if edge.parents == 1:
        return True
    where = parents_keys(node_task_id(workflow_id, edge.node), edge.parents)
    last = note_end(ports.store, where, edge.position, mark, ports.clock.now_ms(), edge.parents)
    return last or fails(edge.on_failure, mark.end)


def _let_go(ports: TurnPorts, pusher: Pusher, workflow_id: str, edges: Sequence[ChildEdge], mark: Mark) -> list[Duty]:
    ids = {node_task_id(workflow_id, edge.node): edge for edge in edges}
    children = {
        task_id: task_of(stored)
        for task_id, stored in load_task_items(ports.store, list(ids)).items()
        if status_of(stored) is Status.BLOCKED
    }
    inputs = [(child.pool, said) for child in children.values() if (said := _next(ports, child, ids, mark)) is not None]
    return release(ports, pusher, inputs)


def _next(ports: TurnPorts, child: Task, edges: dict[str, ChildEdge], mark: Mark) -> Input | None:
    """What the child does now that so many of its parents have ended; None while it has to wait."""
    parents = child.workflow.parents if child.workflow is not None else ()
    marks = {0: mark} if len(parents) == 1 else load_marks(ports.store, parents_keys(child.task_id, len(parents)))
    marks[edges[child.task_id].position] = mark
    said = verdict(parents, ends_of(marks))
    entry = entry_of(child, ports.policies.current())
    if said.next is Next.RUN:
        return Ready(entry, Status.BLOCKED, since_ms=max(one.at_ms for one in marks.values()))
    if said.error is None:
        return None
    return Withdraw(entry, Status.BLOCKED, said.status, said.error)
