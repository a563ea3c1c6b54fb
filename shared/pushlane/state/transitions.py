"""A task's change of status, as a write whose condition is the fence: the status and epoch that it was decided on."""

from typing import Final

import msgspec

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import ENTRY_STATES, TRANSITIONS, Status, Task
from pushlane.ports import Absent, AnyOf, Conditions, Equals, Missing, Present, Put, Scalar, Update
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.settlement import spent_by
from pushlane.scheduling.snapshot import Ended, Finished, asked_by, ended_epoch, ended_task_id, waited_of
from pushlane.state import keys
from pushlane.state.items import new_task_attributes, to_json

RETENTION_SECONDS: Final = 30 * 24 * 3600
# Of how many attempts the errors are kept, and how much of each message; of the last one all of it.
HISTORY_MAX: Final = 20
HISTORY_MESSAGE_MAX: Final = 500

# What a task's item says only while it waits.
_OF_WAITING: Final = ("due_ms", "waits_at", "awaits")
_OF_ASKING: Final = ("waits_at", "park_reason")
_DOES_NOT_ASK: Final = Missing("waits_at")
_OF_ATTEMPTS: Final = ("park_reason", "queued_at_ms", "started_at_ms", "finished_at_ms")


def accept(task: Task, status: Status, epoch: int, more: dict[str, Scalar]) -> Put:
    """The task's first item: its acceptance. The condition is what makes a repeated submission the same task."""
    if status not in ENTRY_STATES:
        raise ValueError(f"a task cannot begin as {status}")
    return Put(keys.task_key(task.task_id), new_task_attributes(task, status, epoch) | more, (Absent(),))


def move(entry: Entry, before: Status, after: Status, more: dict[str, Scalar]) -> Update:
    """A waiting task's change; why and until when it waited is over with it. A new attempt has times of its own."""
    gone = _OF_WAITING if after is Status.PARKED else (*_OF_WAITING, *_OF_ATTEMPTS)
    remove = tuple(name for name in gone if name not in more)
    return transition(entry.task_id, entry.epoch, (before,), after, more, remove)


def ended(over: Ended, after: Status, more: dict[str, Scalar]) -> Update:
    """The task's change when its current attempt ends, with the attempt's own times where it had a last word."""
    times = _times_of(over)
    # What an earlier attempt failed with is over once one succeeds.
    gone: tuple[str, ...] = ("error",) if after is Status.SUCCEEDED else ()
    if not waited_of(over).holds_nothing:
        said = transition(ended_task_id(over), ended_epoch(over), (Status.DISPATCHED,), after, times | more, gone)
        return _with_spent(said, over)
    gone += tuple(name for name in _OF_ASKING if name not in more)
    # One that asks leaves its lane together with this, and so it has to be known that it asks.
    asks = () if asked_by(over) is not None else (_DOES_NOT_ASK,)
    said = transition(ended_task_id(over), ended_epoch(over), (Status.WAITING,), after, times | more, gone, asks)
    return _with_spent(said, over)


def _times_of(over: Ended) -> dict[str, Scalar]:
    """What is known of when an attempt was queued, started and finished; one whose lease ran out never finished."""
    if not isinstance(over, Finished):
        started_at_ms = over.attempt.started_at_ms
        return {} if started_at_ms is None else {"started_at_ms": started_at_ms}
    said = over.outcome
    times: dict[str, Scalar] = {"started_at_ms": said.started_at_ms, "finished_at_ms": said.finished_at_ms}
    return times if said.queued_at_ms is None else times | {"queued_at_ms": said.queued_at_ms}


def _with_spent(said: Update, over: Ended) -> Update:
    """The task's item adds up what its attempts took. Each ends once, with the reservation that it is counted by."""
    spent = {name: amount for name, amount in msgspec.structs.asdict(spent_by(over)).items() if amount}
    return msgspec.structs.replace(said, add=spent)


def asks_again(entry: Entry, more: dict[str, Scalar]) -> Update:
    """The task whose attempt gave everything back, and waits in a lane now to get it again. It has to do so once."""
    as_read: Conditions = (Equals("status", Status.WAITING.value), Equals("epoch", entry.epoch), _DOES_NOT_ASK)
    return Update(keys.task_key(entry.task_id), set=more, conditions=as_read)


def granted(entry: Entry, more: dict[str, Scalar], *, asked: bool) -> Update:
    """The task whose attempt holds a reservation again; `asked`: it waited in a lane for it."""
    not_asking = () if asked else (_DOES_NOT_ASK,)
    before = (Status.WAITING,)
    return transition(entry.task_id, entry.epoch, before, Status.DISPATCHED, more, _OF_ASKING, not_asking)


def transition(
    task_id: str,
    epoch: int,
    before: tuple[Status, ...],
    after: Status,
    more: dict[str, Scalar],
    remove: tuple[str, ...] = (),
    conditions: Conditions = (),
) -> Update:
    """From any of `before` to `after`; raises `ValueError` where the table of transitions has no such step."""
    for one in before:
        if after not in TRANSITIONS[one]:
            raise ValueError(f"a task cannot go from {one} to {after}")
    was = tuple(Equals("status", one.value) for one in before)
    fence: Conditions = (was[0] if len(was) == 1 else AnyOf(was), Equals("epoch", epoch), *conditions)
    return Update(keys.task_key(task_id), set={"status": after.value, **more}, remove=remove, conditions=fence)


def at_rest(status: Status, now_ms: int) -> dict[str, Scalar]:
    """What a task's item says once it is over: when, and from when on it may be forgotten. Dead letters are kept."""
    said: dict[str, Scalar] = {"ended_at_ms": now_ms}
    return said | {"expires_at_s": now_ms // 1_000 + RETENTION_SECONDS} if status.terminal else said


def failed_with(error: ErrorDetail, epoch: int, agent_id: str | None, now_ms: int) -> dict[str, Scalar]:
    """The task's error, and the same in the history of its attempts: of the last of them, so that no number of attempts
    outgrows the item.
    """
    message = error.message[:HISTORY_MESSAGE_MAX]
    told = {"epoch": epoch, "agent_id": agent_id, "at_ms": now_ms, "type": error.error_type, "message": message}
    return {"error": to_json(error), f"error_{epoch % HISTORY_MAX}": to_json(told)}


def waits_as_seen(entry: Entry) -> Conditions:
    """It still waits, and no order was given for it or called since it was read."""
    return (Present(), Missing("victim") if entry.victim is None else Equals("victim", entry.victim))
