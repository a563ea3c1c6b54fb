"""How a workflow ends: with its last node, at its deadline, or because it was cancelled."""

from collections.abc import Sequence
from typing import Final

from pushlane.model.errors import InvalidEvent, TurnContended
from pushlane.model.workflow import WorkflowStatus, node_task_id
from pushlane.ports import TransactionCancelled
from pushlane.router.cancel import cancel
from pushlane.router.duties import carry_out
from pushlane.router.push import Pusher
from pushlane.router.turn import TurnPorts
from pushlane.router.wake_later import wake_later
from pushlane.scheduling.workflow import counts_of, outcome
from pushlane.state.items import status_of
from pushlane.state.loading import Duty, load_task_items
from pushlane.state.workflows import (
    REST,
    WorkflowRow,
    end_operations,
    ends_keys,
    ends_of,
    load_marks,
    load_names,
    load_row,
)

AT_ITS_DEADLINE: Final = "its hard deadline came"
_TRIES_MAX: Final = 8
_READ_MAX: Final = 100


def end_if_over(ports: TurnPorts, workflow_id: str) -> None:
    """End the workflow if all of its nodes have ended. Raises `TurnContended`."""
    row = load_row(ports.store, workflow_id)
    if row is None or row.status is not WorkflowStatus.ACTIVE:
        return
    ends = ends_of(load_marks(ports.store, ends_keys(workflow_id, row.accepted.nodes)))
    status = outcome(row.accepted.nodes, frozenset(row.accepted.tolerated), ends)
    if status is not None:
        _end(ports, row, status, "")


def end_at_deadline(ports: TurnPorts, pusher: Pusher, duty: Duty) -> Sequence[Duty]:
    """Carry out the duty to end a workflow at its hard deadline; what is left of it then is the next duty."""
    row = load_row(ports.store, duty.subject_id)
    rest = None if row is None else _end(ports, row, WorkflowStatus.EXPIRED, AT_ITS_DEADLINE)
    return [] if rest is None else [rest]


def cancel_workflow(ports: TurnPorts, pusher: Pusher, tenant_id: str, workflow_id: str, reason: str) -> str:
    """Cancel the tenant's workflow and everything in it that has not ended, and say what it is now. Raises
    `InvalidEvent` for an unknown one, and what the store raises: then it is asked again.
    """
    row = load_row(ports.store, workflow_id)
    if row is None or row.accepted.tenant_id != tenant_id:
        raise InvalidEvent("$.data.workflow_id", "the tenant has no workflow of this id", "unknown_workflow")
    if not row.status.terminal:
        wake_later(ports, row.accepted.pool)
        rest = _end(ports, row, WorkflowStatus.CANCELLED, reason)
        carry_out(ports, pusher, [] if rest is None else [rest])
        row = load_row(ports.store, workflow_id) or row
    return row.status.value


def cancel_rest(ports: TurnPorts, pusher: Pusher, duty: Duty) -> Sequence[Duty]:
    """Carry out the duty to cancel what is left of a workflow that was ended."""
    _cancel_nodes(ports, pusher, duty.subject_id)
    return []


def _end(ports: TurnPorts, row: WorkflowRow, status: WorkflowStatus, reason: str) -> Duty | None:
    """End it so, unless it has ended before; returns the duty that this leaves, if it does."""
    accepted = row.accepted
    for lost in range(_TRIES_MAX):
        if row.status.terminal:
            return None
        counts = counts_of(
            accepted.nodes, ends_of(load_marks(ports.store, ends_keys(accepted.workflow_id, accepted.nodes)))
        )
        now_ms = ports.clock.now_ms()
        operations = end_operations(row, status, counts, reason, now_ms)
        try:
            ports.store.transact(operations, ports.new_token())
        except TransactionCancelled:
            ports.back_off(lost + 1)
            row = load_row(ports.store, accepted.workflow_id) or row
            continue
        by_itself = status in (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED)
        rest = Duty(kind=REST, subject_id=accepted.workflow_id, due_ms=now_ms, pool=accepted.pool)
        return None if by_itself else rest
    raise TurnContended(f"workflow {accepted.workflow_id} changed faster than it could be ended; it will be")


def _cancel_nodes(ports: TurnPorts, pusher: Pusher, workflow_id: str) -> None:
    row = load_row(ports.store, workflow_id)
    if row is None or not row.status.terminal:
        return
    names = load_names(ports.store, workflow_id)[: row.written]
    reason = f"its workflow is {row.status}" + (f": {row.reason}" if row.reason else "")
    for first in range(0, len(names), _READ_MAX):
        ids = [node_task_id(workflow_id, name) for name in names[first : first + _READ_MAX]]
        for task_id, stored in load_task_items(ports.store, ids).items():
            if not status_of(stored).terminal:
                cancel(ports, pusher, row.accepted.tenant_id, task_id, reason)
