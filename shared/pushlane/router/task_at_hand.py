"""A task as a command finds it: its item, what waits of it, and the attempt that it has."""

from typing import Final

from msgspec import Struct

from pushlane.model.attempt import Attempt
from pushlane.model.errors import InvalidEvent
from pushlane.model.policy import Policy
from pushlane.model.task import Status, Task
from pushlane.ports import Attributes, ItemStore
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.snapshot import Ended, end_of
from pushlane.state import keys
from pushlane.state.items import attempt_of, entry_of_item, number, optional_number, status_of, task_of, text
from pushlane.state.loading import load_retry_state, retry_state

# What a command sees can have changed when it acts; then it looks again.
TRIES_MAX: Final = 8


class TaskAtHand(Struct, frozen=True, kw_only=True):
    """One consistent read of a task."""

    task: Task
    status: Status
    epoch: int
    stored: Attributes

    @property
    def due_ms(self) -> int | None:
        """Names its item among the delayed, if it has one."""
        return optional_number(self.stored, "due_ms")


def load_task(store: ItemStore, tenant_id: str, task_id: str) -> TaskAtHand:
    """The tenant's task; raises `InvalidEvent` where there is none, and just so for another tenant's."""
    key = keys.task_key(task_id)
    found = store.get([key]).get(key)
    if found is None or text(found.attributes, "tenant_id") != tenant_id:
        raise InvalidEvent("$.data.task_id", "the tenant has no task of this id", "unknown_task")
    stored = found.attributes
    return TaskAtHand(task=task_of(stored), status=status_of(stored), epoch=number(stored, "epoch"), stored=stored)


def waiting_entry(store: ItemStore, at_hand: TaskAtHand, policy: Policy) -> Entry | None:
    """What waits of a task without an attempt, as it is stored; None when it has left meanwhile."""
    task = at_hand.task
    if at_hand.status is Status.PARKED and "waits_at" not in at_hand.stored:
        # Parked by a version that did not say where.
        key = keys.entry_key(task.pool, retry_state(at_hand.stored, policy, at_hand.epoch).entry)
    elif at_hand.status is Status.PARKED:
        key = keys.pointed(text(at_hand.stored, "waits_at"))
    elif at_hand.due_ms is not None:
        key = keys.delayed_key(task.pool, at_hand.due_ms, task.task_id)
    else:
        return retry_state(at_hand.stored, policy, at_hand.epoch).entry
    found = store.get([key]).get(key)
    return None if found is None else entry_of_item(found)


def load_attempt_of(store: ItemStore, at_hand: TaskAtHand) -> Attempt | None:
    """The attempt that its task's item speaks of."""
    key = keys.attempt_key(at_hand.task.pool, at_hand.task.task_id)
    found = store.get([key]).get(key)
    attempt = None if found is None else attempt_of(found)
    return attempt if attempt is not None and attempt.epoch == at_hand.epoch else None


def over(store: ItemStore, attempt: Attempt, at_hand: TaskAtHand, policy: Policy) -> Ended:
    """The end of the attempt, by its last word or by the end of its lease."""
    return end_of(attempt, load_retry_state(store, at_hand.stored, policy, attempt.epoch))
