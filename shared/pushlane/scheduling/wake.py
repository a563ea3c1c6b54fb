"""Tickless: when a pool has to be looked at again although no message may come."""

from collections.abc import Iterable, Sequence

from pushlane.scheduling.decisions import Block, Decision, Dispatch, Park, ParkReason, Repush, Retry
from pushlane.scheduling.preemption import asks_at_ms
from pushlane.scheduling.snapshot import PoolSnapshot


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
    match decision:
        case Dispatch(lease_until_ms=due_ms) | Repush(lease_until_ms=due_ms) | Retry(due_ms=due_ms):
            return [due_ms]
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
