"""Cancel a task, whatever it is doing.

What has no attempt ends at once. A running attempt is told at its next check-in and has its grace to end by itself;
then its lease ends. Either way the task says that it was cancelled, so that no failure in between is tried again. A
success that was there first stays one.
"""

from pushlane.model.attempt import Attempt, ErrorDetail, Order
from pushlane.model.errors import TurnContended
from pushlane.model.task import Status
from pushlane.ports import Equals, Missing, Scalar, TransactionCancelled, Update
from pushlane.router.duties import take_turn
from pushlane.router.push import Pusher
from pushlane.router.redrive import end_dead
from pushlane.router.task_at_hand import TRIES_MAX, TaskAtHand, load_attempt_of, load_task, over, waiting_entry
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Input, Withdraw
from pushlane.state import keys


def cancel(ports: TurnPorts, pusher: Pusher, tenant_id: str, task_id: str, reason: str) -> str:
    """Cancel the tenant's task and say what became of it. Raises `InvalidEvent` for an unknown one."""
    for attempt_number in range(TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        at_hand = load_task(ports.store, tenant_id, task_id)
        if at_hand.status.terminal:
            return at_hand.status.value
        if at_hand.status in (Status.DISPATCHED, Status.WAITING):
            if _order(ports, pusher, at_hand, reason):
                return "ordered"
        elif at_hand.status is Status.DEAD_LETTERED:
            end_dead(ports, pusher, at_hand, Status.CANCELLED, _cancelled(reason))
        else:
            _withdraw(ports, pusher, at_hand, reason)
    raise TurnContended(f"task {task_id} changed faster than it could be cancelled; deliver again")


def _withdraw(ports: TurnPorts, pusher: Pusher, at_hand: TaskAtHand, reason: str) -> None:
    entry = waiting_entry(ports.store, at_hand, ports.policies.current())
    if entry is None:
        return
    gone = Withdraw(entry, at_hand.status, Status.CANCELLED, _cancelled(reason), at_hand.due_ms)
    _turn(ports, pusher, at_hand.task.pool, [gone])


def _cancelled(reason: str) -> ErrorDetail:
    return ErrorDetail(error_type="Cancelled", message=reason, retryable=False)


def _order(ports: TurnPorts, pusher: Pusher, at_hand: TaskAtHand, reason: str) -> bool:
    """Tell the attempt; says whether it is told. One that nobody has started, or that is over, ends right here."""
    attempt = load_attempt_of(ports.store, at_hand)
    if attempt is None:
        return False
    told = attempt.order is Order.CANCEL and "cancelled_by" in at_hand.stored
    if not told and not _tell(ports, at_hand, attempt, reason):
        return False
    if attempt.runner is None or attempt.outcome is not None:
        if told or attempt.outcome is not None:
            _turn(ports, pusher, at_hand.task.pool, [over(ports.store, attempt, at_hand, ports.policies.current())])
        return False  # look again: it is over, or somebody has started it in this very moment
    _turn(ports, pusher, at_hand.task.pool, [], attempt.ends_at_ms if told else _ends_at_ms(ports, attempt))
    return True


def _tell(ports: TurnPorts, at_hand: TaskAtHand, attempt: Attempt, reason: str) -> bool:
    """The order and the task's own mark in one transaction; says whether both still were as they were read."""
    ends_at_ms = _ends_at_ms(ports, attempt)
    mark = Update(
        keys.task_key(attempt.task_id),
        set={"cancelled_by": reason},
        conditions=(Equals("status", at_hand.status.value), Equals("epoch", attempt.epoch)),
    )
    if attempt.outcome is not None:
        operations = [mark]
    else:
        order: dict[str, Scalar] = {"order": Order.CANCEL.value, "ends_at_ms": ends_at_ms}
        order["lease_until_ms"] = min(attempt.lease_until_ms, ends_at_ms)
        as_read = (
            Equals("epoch", attempt.epoch),
            Equals("lease_until_ms", attempt.lease_until_ms),
            Missing("runner") if attempt.runner is None else Equals("runner", attempt.runner),
            Missing("outcome_digest"),
        )
        key = keys.attempt_key(at_hand.task.pool, attempt.task_id)
        operations = [mark, Update(key, set=order, remove=("order_for",), conditions=as_read)]
    try:
        ports.store.transact(operations, ports.new_token())
    except TransactionCancelled:
        return False
    return True


def _ends_at_ms(ports: TurnPorts, attempt: Attempt) -> int:
    rules = ports.policies.current().task_type(attempt.task_type)
    grace_ms = 0 if attempt.runner is None else round(rules.cancel_grace_seconds * 1_000)
    ends_at_ms = ports.clock.now_ms() + grace_ms
    return ends_at_ms if attempt.ends_at_ms is None else min(ends_at_ms, attempt.ends_at_ms)


def _turn(ports: TurnPorts, pusher: Pusher, pool: str, inputs: list[Input], next_due_ms: int | None = None) -> None:
    take_turn(ports, pusher, Turn(ports, pusher, pool, next_due_ms), inputs)
