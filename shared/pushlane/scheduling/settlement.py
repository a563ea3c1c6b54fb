"""What an attempt that gives its reservation back really used, against what it had reserved."""

from msgspec import Struct

from pushlane.model.attempt import Hold, Settled, Usage
from pushlane.model.policy import Policy, Rate, RateUnit
from pushlane.scheduling.entry import cost_ms
from pushlane.scheduling.rates import gcra_of
from pushlane.scheduling.snapshot import Finished, GivesBack, LeaseExpired, Releasing, held_by, waited_of


class Settlement(Struct, frozen=True, kw_only=True):
    """Actual less reserved: cost, tokens, and draws of rates in microseconds (below zero: refunded)."""

    cost_ms: int = 0
    tokens: int = 0
    draws_us: tuple[tuple[Hold, int], ...] = ()


class _Used(Struct, frozen=True):
    """What was used of one reservation; what was not reported is None, or not there."""

    runtime_ms: int
    usage: Usage


def settlement(over: Releasing, policy: Policy, now_ms: int) -> Settlement:
    """What reconciling the attempt changes. One that fell silent is taken at its estimate."""
    held = held_by(over)
    if isinstance(over, LeaseExpired) or not held.slots:
        return Settlement()
    used = _since_reserved(over, now_ms)
    tokens = held.tokens if used.usage.tokens is None else used.usage.tokens
    runtime_ms = used.runtime_ms
    draws = tuple(
        (hold, draw_us)
        for hold in held.holds
        if (draw_us := _draw_us(hold, used.usage, policy, now_ms - held.reserved_at_ms)) != 0
    )
    return Settlement(
        cost_ms=cost_ms(runtime_ms, tokens, policy) - held.cost_ms, tokens=tokens - held.tokens, draws_us=draws
    )


class Spent(Struct, frozen=True, kw_only=True):
    """What an attempt took in all: time of its slot, tokens, and the tokens that were reserved for it."""

    slot_ms: int = 0
    tokens: int = 0
    reserved_tokens: int = 0


def spent_by(over: Finished | LeaseExpired) -> Spent:
    """What an attempt that ended took over all of its reservations. One that fell silent is taken at its estimate, one
    that no agent started at nothing.
    """
    held, before = held_by(over), waited_of(over).settled
    reserved = max(held.tokens, before.tokens)
    if isinstance(over, Finished):
        used = _since_reserved(over, over.outcome.finished_at_ms)
        slot_ms = before.runtime_ms + (used.runtime_ms if held.slots else 0)
        said = over.outcome.usage.tokens
        tokens = before.tokens + held.tokens if said is None else said
        return Spent(slot_ms=slot_ms, tokens=tokens, reserved_tokens=reserved)
    attempt = over.attempt
    if attempt.started_at_ms is None or not held.slots:
        return Spent(slot_ms=before.runtime_ms, tokens=before.tokens, reserved_tokens=reserved)
    begun_at_ms = max(attempt.started_at_ms, held.reserved_at_ms) if before.runtime_ms else attempt.started_at_ms
    slot_ms = before.runtime_ms + max(0, attempt.lease_until_ms - begun_at_ms)
    return Spent(slot_ms=slot_ms, tokens=before.tokens + held.tokens, reserved_tokens=reserved)


def settled_with(over: GivesBack, now_ms: int) -> Settled:
    """All that is trued up of the attempt once this has been given back."""
    before, used = over.attempt.waited.settled, _since_reserved(over, now_ms)
    return Settled(
        runtime_ms=before.runtime_ms + used.runtime_ms,
        tokens=before.tokens + (used.usage.tokens or 0),
        resources=before.resources | over.usage.resources,
    )


def _since_reserved(over: Finished | GivesBack, now_ms: int) -> _Used:
    """An agent reports all that its attempt used; what came before the last wait was trued up then."""
    waited, reserved_at_ms = waited_of(over), held_by(over).reserved_at_ms
    if isinstance(over, Finished):
        started_at_ms, until_ms, said = over.outcome.started_at_ms, over.outcome.finished_at_ms, over.outcome.usage
    else:
        # No tokens reported so far: it has used none yet, and has the whole estimate before it.
        said = Usage(tokens=over.usage.tokens or 0, resources=over.usage.resources)
        started_at_ms, until_ms = over.attempt.started_at_ms or reserved_at_ms, now_ms
    begun_at_ms = max(started_at_ms, reserved_at_ms) if waited.gave_back else started_at_ms
    before = waited.settled
    return _Used(
        max(0, until_ms - begun_at_ms),
        Usage(
            tokens=None if said.tokens is None else max(0, said.tokens - before.tokens),
            resources={name: max(0, all_ - before.resources.get(name, 0)) for name, all_ in said.resources.items()},
        ),
    )


def _draw_us(hold: Hold, usage: Usage, policy: Policy, age_ms: int) -> int:
    """Debt always; a refund only inside the charge's own window, or it would add to a later one's burst."""
    rule = policy.resources.get(hold.resource)
    if not isinstance(rule, Rate) or hold.slots or hold.shard >= rule.shards:
        return 0  # the policy has made something else of the resource meanwhile
    by_tokens = usage.tokens if rule.unit is RateUnit.TOKENS else None
    used = usage.resources.get(hold.resource, by_tokens)
    if used is None or used == hold.amount:
        return 0
    rate = gcra_of(rule)
    if used > hold.amount:
        return rate.time_of(used - hold.amount)
    return -rate.time_of(hold.amount - used) if age_ms * 1_000 <= rate.burst_us else 0
