"""What an ended attempt really used, against what it had reserved."""

from msgspec import Struct

from pushlane.model.attempt import Hold
from pushlane.model.policy import Policy, Rate, RateUnit
from pushlane.scheduling.entry import cost_ms
from pushlane.scheduling.rates import gcra_of
from pushlane.scheduling.snapshot import Finished, LeaseExpired, held_by


class Settlement(Struct, frozen=True, kw_only=True):
    """Actual less reserved: cost, tokens, and draws of rates in microseconds (below zero: refunded)."""

    cost_ms: int = 0
    tokens: int = 0
    draws_us: tuple[tuple[Hold, int], ...] = ()


def settlement(ended: Finished | LeaseExpired, policy: Policy, now_ms: int) -> Settlement:
    """What reconciling the attempt changes. One that fell silent is taken at its estimate."""
    if isinstance(ended, LeaseExpired):
        return Settlement()
    held, outcome = held_by(ended), ended.outcome
    tokens = held.tokens if outcome.usage.tokens is None else outcome.usage.tokens
    runtime_ms = max(0, outcome.finished_at_ms - outcome.started_at_ms)
    draws = tuple(
        (hold, draw_us)
        for hold in held.holds
        if (draw_us := _draw_us(hold, ended, policy, now_ms - held.reserved_at_ms)) != 0
    )
    return Settlement(
        cost_ms=cost_ms(runtime_ms, tokens, policy) - held.cost_ms, tokens=tokens - held.tokens, draws_us=draws
    )


def _draw_us(hold: Hold, finished: Finished, policy: Policy, age_ms: int) -> int:
    """Debt always; a refund only inside the charge's own window, or it would add to a later one's burst."""
    rule = policy.resources.get(hold.resource)
    if not isinstance(rule, Rate) or hold.slots or hold.shard >= rule.shards:
        return 0  # the policy has made something else of the resource meanwhile
    usage = finished.outcome.usage
    by_tokens = usage.tokens if rule.unit is RateUnit.TOKENS else None
    used = usage.resources.get(hold.resource, by_tokens)
    if used is None or used == hold.amount:
        return 0
    rate = gcra_of(rule)
    if used > hold.amount:
        return rate.time_of(used - hold.amount)
    return -rate.time_of(hold.amount - used) if age_ms * 1_000 <= rate.burst_us else 0
