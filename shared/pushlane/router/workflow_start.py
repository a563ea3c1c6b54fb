"""Bring an accepted workflow forward: write its nodes in batches, then let its roots go.

Every batch is one transaction with the count of nodes written so far. So whoever dies between two batches leaves an
exact place to go on from, two that write at once cannot both, and nothing is written of one that was cancelled.
"""

from collections.abc import Sequence
from typing import Final

from pushlane.model.errors import TurnContended
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Task
from pushlane.model.workflow import WorkflowStatus
from pushlane.ports import Put, TransactionCancelled, Write
from pushlane.router.push import Pusher
from pushlane.router.release import release
from pushlane.router.turn import TurnPorts
from pushlane.router.workflow_document import CheckedWorkflow, read_document, tasks_of
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Ready
from pushlane.state import keys
from pushlane.state.commit import BYTES_MAX, OPERATIONS_MAX
from pushlane.state.items import entry_attributes, status_of, task_of, text
from pushlane.state.loading import Duty, load_task_items
from pushlane.state.transitions import accept
from pushlane.state.workflows import WorkflowRow, document_key, load_row, written_operation

_TRIES_MAX: Final = 8
_ITEM_BYTES: Final = 1_000  # what an item holds beside its body


def forward(ports: TurnPorts, pusher: Pusher, duty: Duty) -> Sequence[Duty]:
    """Carry out the duty to bring a workflow forward; returns what the turns made necessary."""
    row = load_row(ports.store, duty.subject_id)
    return [] if row is None else start(ports, pusher, row)


def start(ports: TurnPorts, pusher: Pusher, row: WorkflowRow) -> list[Duty]:
    """Write what is missing of the workflow's nodes, and release its roots. Done again, it changes nothing."""
    if row.status not in (WorkflowStatus.PENDING, WorkflowStatus.ACTIVE):
        return []
    workflow = _document(ports, row)
    tasks = tasks_of(workflow)
    if _written(ports, row, tasks) is not WorkflowStatus.ACTIVE:
        return []
    return _release_roots(ports, pusher, [tasks[place].task_id for place in workflow.graph.roots])


def _document(ports: TurnPorts, row: WorkflowRow) -> CheckedWorkflow:
    key = document_key(row.accepted.workflow_id)
    return read_document(row.accepted, text(ports.store.get([key])[key].attributes, "document"), ports.blobs)


def _written(ports: TurnPorts, row: WorkflowRow, tasks: Sequence[Task]) -> WorkflowStatus:
    """The workflow's status once its nodes are written, by us or by somebody else."""
    policy, lost = ports.policies.current(), 0
    while row.status is WorkflowStatus.PENDING and lost < _TRIES_MAX:
        operations, written = _batch(tasks, row.written, policy)
        now_ms = ports.clock.now_ms()
        try:
            ports.store.transact([written_operation(row, written, now_ms), *operations], ports.new_token())
        except TransactionCancelled:
            lost += 1
            ports.back_off(lost)
        row = load_row(ports.store, row.accepted.workflow_id) or row
    if row.status is WorkflowStatus.PENDING:
        raise TurnContended(f"workflow {row.accepted.workflow_id}: its nodes could not be written; they will be")
    return row.status


def _batch(tasks: Sequence[Task], written: int, policy: Policy) -> tuple[list[Write], int]:
    """The writes of as many nodes as fit into one transaction, from the first unwritten one, and how far they go."""
    operations: list[Write] = []
    weight = 0
    for place in range(written, len(tasks)):
        node = _node(tasks[place], policy)
        weight += sum(_weight(one) for one in node)
        if operations and (len(operations) + len(node) >= OPERATIONS_MAX or weight > BYTES_MAX):
            return operations, place
        operations += node
    return operations, len(tasks)


def _node(task: Task, policy: Policy) -> list[Put]:
    """A node as a task that waits for its parents; a hard deadline of its own holds meanwhile."""
    node = [accept(task, Status.BLOCKED, 0, {})]
    entry = entry_of(task, policy)
    if entry.hard:
        waits = {**entry_attributes(entry), "before": Status.BLOCKED.value}
        node.append(Put(keys.expiry_key(task.pool, entry), waits))
    return node


def _weight(operation: Put) -> int:
    said = [value for value in operation.attributes.values() if isinstance(value, str)]
    return _ITEM_BYTES + sum(len(value.encode()) for value in said)


def _release_roots(ports: TurnPorts, pusher: Pusher, roots: list[str]) -> list[Duty]:
    """Those that were let go before are passed over, so this goes on where it was left."""
    policy, stored = ports.policies.current(), load_task_items(ports.store, roots)
    held = [task_of(item) for item in stored.values() if status_of(item) is Status.BLOCKED]
    return release(ports, pusher, [(task.pool, Ready(entry_of(task, policy), Status.BLOCKED)) for task in held])
