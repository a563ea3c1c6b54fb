"""Tickless: when a pool has to be looked at again although no message may come."""

from collections.abc import Iterable, Sequence
from typing import Final

from pushlane.scheduling.decisions import Block, Decision, Dispatch, Park, ParkReason, Repush, Retry, Suspend, tells
from pushlane.scheduling.preemption import asks_at_ms
from pushlane.scheduling.snapshot import PoolSnapshot

# Whoever ends a task tells those who wait for it at once; should it die before, a wake-up sees to it this much later.
TELL_AGAIN_MS: Final = 5_000


def wake_due_ms(
    snapshot: PoolSnapshot, decisions: Sequence[Decision], blocks: Iterable[Block], now_ms: int
) -> int | None:
    """The earliest of lease ends, retries, refills, hard deadlines and claims to preempt; None when nothing falls due,
    or an armed wake-up comes no later.
    """
    dues = [due for decision in decisions for due in _dues(decision, snapshot, now_ms)]
    dues += [block.until_ms for block in blocks if block.until_ms is not None]
    dues += [due for waiter in snapshot.claimants if (due := asks_at_ms(waiter, snapshot)) > now_ms]
    if snapshot.next_due_ms is not None:
        dues.append(snapshot.next_due_ms)
    if not dues:
        return None
    earliest, armed = max(min(dues), now_ms), snapshot.wake.due_ms
    # One whose time has come may have run already, so only one that is still ahead is relied on.
    covered = armed is not None and now_ms < armed <= earliest
    return None if covered else earliest


def _dues(decision: Decision, snapshot: PoolSnapshot, now_ms: int) -> list[int]:
    if tells(decision) is not None:
        return [now_ms + TELL_AGAIN_MS]
    match decision:
        case Suspend(entry=entry, due_ms=resume_ms):
            expires = [entry.start_by_ms + 1] if entry.hard else []
            return expires if resume_ms is None else [*expires, resume_ms]
        case Dispatch(entry=entry, lease_until_ms=lease_until_ms):
            return [min(lease_until_ms, now_ms + _silence_ms(snapshot, entry.task_type))]
        case Repush(expired=expired, lease_until_ms=lease_until_ms):
            return [min(lease_until_ms, now_ms + _silence_ms(snapshot, expired.attempt.task_type))]
        case Retry(due_ms=due_ms, pool=pool):
            return [due_ms] if pool is None else []  # the other pool is woken for it
        case Park(entry=entry, block=block):
            dues = [entry.start_by_ms + 1] if entry.hard else []
            if block.reason is ParkReason.CONTENTION:
                dues.append(now_ms)
            rules = snapshot.policy.preemption
            asks = rules.enabled and entry.tier in rules.waiters
            if asks and (due_ms := asks_at_ms(entry, snapshot)) > now_ms:  # else the next look asks
                dues.append(due_ms)
            return dues if block.until_ms is None else [*dues, block.until_ms]
        case _:
            return []


def _silence_ms(snapshot: PoolSnapshot, task_type: str) -> int:
    """How soon an attempt of this type may be over without a word, once it has started: nobody tells of its start, so
    its lease is looked up then, and from there on whenever the shortest lease of the pool ends.
    """
    watched = snapshot.policy.task_type(task_type)
    seconds = (watched.lease_seconds, watched.stall_seconds or watched.lease_seconds)
    return round(min(seconds) * 1_000)
