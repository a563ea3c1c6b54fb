"""Dead-lettered tasks: brought back by command or by the pool's policy, or given up for good.

A redriven task is the same task: it goes through admission and its tenant's share like a retry, and succeeds once.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.model.attempt import ErrorDetail
from pushlane.model.errors import TurnContended
from pushlane.model.policy import Redrive
from pushlane.model.task import Status
from pushlane.ports import TransactionCancelled, Write
from pushlane.router.duties import carry_out, take_turn
from pushlane.router.push import Pusher
from pushlane.router.task_at_hand import TRIES_MAX, TaskAtHand, load_task
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.entry import Entry, entry_of
from pushlane.scheduling.redrive import MINUTE_MS, Dead, old_enough, redriven_now
from pushlane.scheduling.snapshot import Ready
from pushlane.state.changes import ENDED
from pushlane.state.dead import Grave, bring_back, give_up, go_on_behind, graves, redrives_of, take_minute
from pushlane.state.items import number, task_of, text
from pushlane.state.loading import Duty, load_task_items

REDRIVEN: Final = "redriven"
# Bounds of one minute's work: tasks read at once, and how often.
_WINDOW_MAX: Final = 50
_WINDOWS_MAX: Final = 10


def redrive(ports: TurnPorts, pusher: Pusher, tenant_id: str, task_id: str, epoch: int | None = None) -> str:
    """Bring the tenant's dead-lettered task back and say what became of it; one that is not dead stays as it is, and so
    does one that died of another attempt than `epoch`. Raises `InvalidEvent` for an unknown task.
    """
    for attempt_number in range(TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        at_hand = load_task(ports.store, tenant_id, task_id)
        if not _means(at_hand, epoch):
            return at_hand.status.value
        now_ms, pool = ports.clock.now_ms(), at_hand.task.pool
        entry = _entry(ports, at_hand)
        operations = bring_back(entry, pool, at_hand.stored, now_ms, now_ms)
        if _applied(ports, operations):
            take_turn(ports, pusher, Turn(ports, pusher, pool), [Ready(entry, Status.RETRYING, now_ms)])
            return REDRIVEN
    raise TurnContended(f"task {task_id} changed faster than it could be redriven; deliver again")


def discard(
    ports: TurnPorts, pusher: Pusher, tenant_id: str, task_id: str, reason: str, epoch: int | None = None
) -> str:
    """End the tenant's dead-lettered task as FAILED and say what became of it; see `redrive`."""
    for attempt_number in range(TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        at_hand = load_task(ports.store, tenant_id, task_id)
        if not _means(at_hand, epoch):
            return at_hand.status.value
        if end_dead(ports, pusher, at_hand, Status.FAILED, _discarded(at_hand, reason)):
            return Status.FAILED.value
    raise TurnContended(f"task {task_id} changed faster than it could be discarded; deliver again")


def end_dead(ports: TurnPorts, pusher: Pusher, at_hand: TaskAtHand, status: Status, error: ErrorDetail) -> bool:
    """End a dead-lettered task as `status`, and tell those who wait for that; False when it has changed meanwhile."""
    now_ms, pool, entry = ports.clock.now_ms(), at_hand.task.pool, _entry(ports, at_hand)
    if not _applied(ports, give_up(entry, pool, at_hand.stored, status, error, now_ms)):
        return False
    if entry.tells:
        carry_out(ports, pusher, [Duty(kind=ENDED, subject_id=entry.task_id, due_ms=now_ms, pool=pool)])
    return True


def redrive_due(ports: TurnPorts, pool: str) -> int:
    """What the pool's policy brings back in this minute, spread over it; returns how many. The next turns take them.

    Called as often as you like: each minute is taken once. A few windows of the dead are looked at; those that have
    used up their times are passed over, and the next minute goes on behind them.
    """
    rule = ports.policies.current().pool(pool).redrive
    if rule is None:
        return 0
    now_ms = ports.clock.now_ms()
    behind = take_minute(ports.store, pool, now_ms // MINUTE_MS)
    if behind is None:
        return 0
    moved, began = 0, behind
    for _ in range(_WINDOWS_MAX):
        dead = graves(ports.store, pool, _WINDOW_MAX, behind)
        old = [one for one in dead if old_enough(one.died_at_ms, rule, now_ms)]
        moved += _bring_back(ports, pool, old, rule, now_ms, moved)
        if moved >= rule.per_minute:
            break
        behind = old[-1].place if len(old) == _WINDOW_MAX else ""
        if not behind:
            break
    if behind != began:
        go_on_behind(ports.store, pool, behind)
    return moved


def _bring_back(ports: TurnPorts, pool: str, old: Sequence[Grave], rule: Redrive, now_ms: int, taken: int) -> int:
    stored = load_task_items(ports.store, [one.task_id for one in old])
    policy = ports.policies.current()
    dead = [
        Dead(task_id=one.task_id, died_at_ms=one.died_at_ms, redrives=redrives_of(stored[one.task_id]))
        for one in old
        if one.task_id in stored
    ]
    moved = 0
    for one in redriven_now(dead, rule, now_ms, taken):
        found = stored[one.dead.task_id]
        epoch = number(found, "epoch")
        entry = entry_of(task_of(found), policy, epoch, epoch)
        moved += _applied(ports, bring_back(entry, pool, found, one.due_ms, now_ms))
    return moved


def _means(at_hand: TaskAtHand, epoch: int | None) -> bool:
    return at_hand.status is Status.DEAD_LETTERED and epoch in (None, at_hand.epoch)


def _entry(ports: TurnPorts, at_hand: TaskAtHand) -> Entry:
    """As it competes when it is brought back: none of its attempts so far counts any more."""
    return entry_of(at_hand.task, ports.policies.current(), at_hand.epoch, at_hand.epoch)


def _discarded(at_hand: TaskAtHand, reason: str) -> ErrorDetail:
    error = msgspec.json.decode(text(at_hand.stored, "error"), type=ErrorDetail)
    last = f"; it had died of {error.error_type}: {error.message}"
    return ErrorDetail(error_type="Discarded", message=f"{reason}{last}", retryable=False)


def _applied(ports: TurnPorts, operations: Sequence[Write]) -> bool:
    """Whether the transaction was applied; if not, the task is no longer as it was read."""
    try:
        ports.store.transact(operations, ports.new_token())
    except TransactionCancelled:
        return False
    return True
