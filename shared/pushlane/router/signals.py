"""Deliver a signal: into the task's inbox, to its running attempt, and to whoever waits for it.

A signal that was accepted is in the inbox for good. A running attempt gets it on its own item, which it cannot finish
to wait for a signal without having seen; a suspended task that waits for it goes on.
"""

from pushlane.model.attempt import Attempt
from pushlane.model.commands import SignalTaskData
from pushlane.model.errors import InvalidEvent, TurnContended
from pushlane.model.ids import digest
from pushlane.model.signals import SIGNALS_BYTES_MAX, SIGNALS_MAX, Signal
from pushlane.model.task import Status
from pushlane.ports import Absent, Equals, Missing, Put, TransactionCancelled, Update, Write
from pushlane.router.duties import take_turn
from pushlane.router.push import Pusher
from pushlane.router.task_at_hand import TRIES_MAX, TaskAtHand, load_attempt_of, load_task, over, waiting_entry
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Ready
from pushlane.state import keys
from pushlane.state.items import VERSION, optional_number, to_json


def deliver(
    ports: TurnPorts, pusher: Pusher, said: SignalTaskData, signal_id: str, bytes_max: int = SIGNALS_BYTES_MAX
) -> str:
    """Deliver one signal, once, and say what became of it. Raises `InvalidEvent` for a task that cannot have it; one
    whose signals would be more than `bytes_max` with it cannot.
    """
    inbox_id = digest(signal_id)
    for attempt_number in range(TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        at_hand = load_task(ports.store, said.tenant_id, said.task_id)
        known = keys.signal_key(said.task_id, inbox_id)
        if known in ports.store.get([known]) or _accept(ports, pusher, at_hand, said, inbox_id, bytes_max):
            return _resume(ports, pusher, said)
    raise TurnContended(f"task {said.task_id} changed faster than it could be signalled; deliver again")


def _accept(
    ports: TurnPorts, pusher: Pusher, at_hand: TaskAtHand, said: SignalTaskData, inbox_id: str, bytes_max: int
) -> bool:
    """Into the inbox, and onto the attempt; says whether everything still was as it was read."""
    count = optional_number(at_hand.stored, "signals") or 0
    if at_hand.status.terminal:
        raise InvalidEvent("$.data.task_id", f"the task has ended: {at_hand.status}", "task_ended")
    if count >= SIGNALS_MAX:
        raise InvalidEvent("$.data.task_id", f"the task has had {SIGNALS_MAX} signals, and takes no more", "too_many")
    now_ms = ports.clock.now_ms()
    signal = Signal(number=count + 1, name=said.name, signal_id=inbox_id, sent_at_ms=now_ms, data=said.data)
    written = to_json(signal)
    size = (optional_number(at_hand.stored, "signal_bytes") or 0) + len(written.encode())
    if size > bytes_max:
        raise InvalidEvent(
            "$.data.data", f"the task's signals would be {size} bytes with it, and may be {bytes_max}", "too_many"
        )
    as_read = (
        Equals("status", at_hand.status.value),
        Equals("epoch", at_hand.epoch),
        Equals("signals", count) if count else Missing("signals"),
    )
    operations: list[Write] = [
        Update(keys.task_key(said.task_id), set={"signals": signal.number, "signal_bytes": size}, conditions=as_read),
        Put(keys.signal_key(said.task_id, inbox_id), {"v": VERSION, "signal": written}, (Absent(),)),
    ]
    if at_hand.status in (Status.DISPATCHED, Status.WAITING):
        attempt = load_attempt_of(ports.store, at_hand)
        if attempt is None or attempt.outcome is not None:
            _end(ports, pusher, at_hand, attempt)
            return False
        operations.append(_onto(at_hand, attempt, signal))
    try:
        ports.store.transact(operations, ports.new_token())
    except TransactionCancelled:
        return False
    return True


def _onto(at_hand: TaskAtHand, attempt: Attempt, signal: Signal) -> Update:
    """The attempt sees it at its next check-in, or when it starts."""
    live = (Equals("epoch", attempt.epoch), Missing("outcome_digest"))
    key = keys.attempt_key(at_hand.task.pool, attempt.task_id)
    return Update(key, set={"signals": signal.number, f"signal_{signal.number}": to_json(signal)}, conditions=live)


def _end(ports: TurnPorts, pusher: Pusher, at_hand: TaskAtHand, attempt: Attempt | None) -> None:
    """An attempt that has just finished is taken first: what it waits for is known then."""
    if attempt is not None:
        turn = Turn(ports, pusher, at_hand.task.pool)
        take_turn(ports, pusher, turn, [over(ports.store, attempt, at_hand, ports.policies.current())])


def _resume(ports: TurnPorts, pusher: Pusher, said: SignalTaskData) -> str:
    """A task that waits for this signal goes on, through admission like any other."""
    at_hand = load_task(ports.store, said.tenant_id, said.task_id)
    if at_hand.status is not Status.SUSPENDED or at_hand.stored.get("awaits") != said.name:
        return "accepted"
    entry = waiting_entry(ports.store, at_hand, ports.policies.current())
    if entry is not None:
        turn = Turn(ports, pusher, at_hand.task.pool)
        take_turn(ports, pusher, turn, [Ready(entry, Status.SUSPENDED, at_hand.due_ms)])
    return "resumed"
