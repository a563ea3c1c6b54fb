"""`plan`: the one decision of Pushlane. Pure: the router, the sweep, the simulator and the tests run this function."""

from collections.abc import Sequence

import msgspec

from pushlane.scheduling.admission import Admission
from pushlane.scheduling.backpressure import full, over_budget, turn_away
from pushlane.scheduling.claiming import with_claims
from pushlane.scheduling.decisions import (
    Block,
    Decision,
    Dispatch,
    Drop,
    Overflow,
    Park,
    ParkReason,
    Plan,
    Reject,
    Retry,
    released_by,
)
from pushlane.scheduling.endings import Ending, ending, rerouted
from pushlane.scheduling.entry import RANKS, Entry, LaneRef, lane_of
from pushlane.scheduling.fairness import TenantClocks
from pushlane.scheduling.health import found_unavailable
from pushlane.scheduling.lineup import Lineup, Waiting
from pushlane.scheduling.preemption import preemptions
from pushlane.scheduling.retry import RetryBudget
from pushlane.scheduling.snapshot import (
    Arrival,
    DeadlineDue,
    Finished,
    Input,
    OfTask,
    PoolSnapshot,
    Ready,
    Withdraw,
    task_id_of,
)
from pushlane.scheduling.wake import wake_due_ms

_CONTENTION = Block(ParkReason.CONTENTION)
_BEHIND = Block(ParkReason.FAIRNESS)


def plan(snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int, *, dispatch: bool = True) -> Plan:
    """Decide everything that follows from `inputs` on the pool.

    Ended attempts first (they free slots and resources), then everything that waits, in the order of tiers, tenants and
    deadlines: heads of lanes, due retries and arrivals together. `dispatch=False` only parks: the way out of a turn
    that lost all its optimistic attempts.
    """
    snapshot = with_claims(snapshot, inputs)
    budget = RetryBudget(snapshot.policy, snapshot.accounts, now_ms)
    found = [decision for one in inputs if (decision := ending(one, now_ms, moved=rerouted(one, snapshot)))]
    ended = [budget.within(one) if isinstance(one, Retry) else one for one in found]
    admission = Admission(snapshot, now_ms)
    for decision in ended:
        if (over := released_by(decision)) is not None:
            admission.release(over)
    for ref in found_unavailable(snapshot, ended):
        admission.close(ref)
    tenants = TenantClocks(snapshot)
    ended = [_tagged(decision, tenants) for decision in ended]
    arrived, placed = _arrived(inputs, now_ms)
    placed += [Drop(entry=one.entry, origin=one) for one in inputs if isinstance(one, DeadlineDue)]
    placed += [
        Drop(entry=one.entry, origin=one, status=one.status, error=one.error)
        for one in inputs
        if isinstance(one, Withdraw)
    ]
    blocks: dict[LaneRef, Block] = {}
    # What comes in is not also taken from where it waited before.
    decided = {task_id_of(one) for one in inputs if isinstance(one, OfTask)} | snapshot.passed_over
    if dispatch:
        lineup = Lineup(snapshot, arrived, admission, tenants, now_ms, decided)
        placed += lineup.dispatches()
        placed += lineup.expired
        blocks = lineup.blocks
    settled = {one.entry.task_id for one in placed if isinstance(one, Dispatch | Drop)}
    refused = _over_budget([one for one in arrived if one[0].task_id not in settled], admission, now_ms)
    placed += refused
    settled |= {one.arrival.entry.task_id for one in refused}
    waiting = [one for one in arrived if one[0].task_id not in settled]
    placed += _parked(snapshot, waiting, placed, tenants, blocks if dispatch else None)
    orders = preemptions(snapshot, admission, now_ms, decided) if dispatch else []
    decisions = (*ended, *placed, *orders)
    return Plan(
        decisions=decisions,
        wake_due_ms=wake_due_ms(snapshot, decisions, blocks.values(), now_ms),
        blocks=tuple(blocks.items()),
    )


def _tagged(decision: Ending, tenants: TenantClocks) -> Ending:
    """A yielded task's tenant stands in line from where it would if it came now; its true-up comes on top."""
    if not isinstance(decision, Park) or not isinstance(decision.origin, Finished):
        return decision
    held = decision.origin.reservation
    tenants.released(held)
    return msgspec.structs.replace(decision, tag_ms=tenants.tag(held.tier, held.tenant_id))


def _arrived(inputs: Sequence[Input], now_ms: int) -> tuple[list[Waiting], list[Decision]]:
    """What comes in and competes; and what cannot make its hard deadline any more, whatever is free."""
    arrived: list[Waiting] = [(one.entry, one) for one in inputs if isinstance(one, Arrival | Ready)]
    waiting = [one for one in arrived if not (one[0].hard and one[0].late(now_ms))]
    expired: list[Decision] = [
        Drop(entry=entry, origin=origin)
        for entry, origin in arrived
        if isinstance(origin, Arrival | Ready) and entry.hard and entry.late(now_ms)
    ]
    return waiting, expired


def _over_budget(waiting: Sequence[Waiting], admission: Admission, now_ms: int) -> list[Reject]:
    """Arrivals of tenants without tokens left in this window; what was accepted before waits for the next one."""
    refused: list[Reject] = []
    for entry, origin in waiting:
        until_ms = admission.budget_spent_until_ms(entry.tenant_id)
        if isinstance(origin, Arrival) and until_ms is not None:
            refused.append(over_budget(origin, until_ms, now_ms))
    return refused


def _parked(
    snapshot: PoolSnapshot,
    waiting: Sequence[Waiting],
    placed: Sequence[Decision],
    tenants: TenantClocks,
    blocks: dict[LaneRef, Block] | None,
) -> list[Park | Overflow | Reject]:
    """What waits from now on: every arrival and retry that neither runs nor expired."""
    depths = {ref: state.depth for ref, state in snapshot.lane_states.items()}
    rules = snapshot.policy.pool(snapshot.pool)
    decided: list[Park | Overflow | Reject] = []
    for entry, origin in waiting:
        ref = lane_of(entry)
        if isinstance(origin, Arrival) and full(depths.get(ref, 0), rules):
            decided.append(turn_away(origin, snapshot, depths[ref]))
            continue
        depths[ref] = depths.get(ref, 0) + 1
        block = _CONTENTION if blocks is None else _why(entry, blocks.get(ref, _BEHIND), placed)
        if isinstance(origin, Arrival | Ready):  # which is all that arrives
            tag_ms = tenants.tag(entry.tier, entry.tenant_id)
            decided.append(Park(entry=entry, block=block, origin=origin, tag_ms=tag_ms))
    return decided


def _why(entry: Entry, block: Block, placed: Sequence[Decision]) -> Block:
    """No free slot can mean that another tier or tenant took the last one."""
    if block.reason is not ParkReason.CAPACITY:
        return block
    took = [one.entry for one in placed if isinstance(one, Dispatch)]
    if any(RANKS[one.tier] < RANKS[entry.tier] for one in took):
        return Block(ParkReason.PRIORITY)
    if any(one.tier is entry.tier and one.tenant_id != entry.tenant_id for one in took):
        return Block(ParkReason.FAIRNESS)
    return block
