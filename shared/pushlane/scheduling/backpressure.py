"""Backpressure at the door: full lanes, spent budgets, and when producers should be told to slow down."""

import math
from typing import Final

from pushlane.model.policy import PoolPolicy
from pushlane.scheduling.decisions import Overflow, Reject
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot

_RETRY_AFTER_MAX_SECONDS: Final = 900


def full(depth: int, rules: PoolPolicy) -> bool:
    return depth >= rules.lane_max


def pressure_after(depth: int, pressed: bool, rules: PoolPolicy) -> bool:
    """Whether a lane of that depth is under pressure, given whether it was: on at one mark, off at a lower one."""
    mark = rules.pressure_off if pressed else rules.pressure_on
    return depth > mark * rules.lane_max if pressed else depth >= mark * rules.lane_max


def turn_away(arrival: Arrival, snapshot: PoolSnapshot, depth: int) -> Overflow | Reject:
    """What becomes of an arrival whose lane is full. It overflows once: the second full lane refuses it."""
    rules = snapshot.policy.pool(snapshot.pool)
    if rules.overflow_pool is not None and arrival.task.home_pool is None:
        return Overflow(arrival=arrival, pool=rules.overflow_pool)
    reason = f"{depth} tasks of the tenant wait in tier {arrival.entry.tier} already, at most {rules.lane_max} may"
    return Reject(arrival=arrival, reason=reason, retry_after_seconds=retry_after_seconds(arrival, snapshot, depth))


def over_budget(arrival: Arrival, until_ms: int, now_ms: int) -> Reject:
    """The refusal of an arrival whose tenant has used up its tokens of the day or month, until the next one."""
    seconds = max(1, math.ceil((until_ms - now_ms) / 1_000))
    reason = "the tenant's hard token budget of this day or month is used up"
    return Reject(arrival=arrival, reason=reason, retry_after_seconds=seconds, code="budget_spent")


def retry_after_seconds(arrival: Arrival, snapshot: PoolSnapshot, depth: int) -> int:
    """When a tenth of the lane will have gone, if the tenant had all slots: a time before which asking is useless."""
    slots = max(1, sum(agent.slots for agent in snapshot.agents))
    seconds = math.ceil(depth * arrival.entry.cost_ms / slots / 10_000)
    return min(_RETRY_AFTER_MAX_SECONDS, max(1, seconds))
