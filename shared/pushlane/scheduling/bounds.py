"""What the order of `lineup` guarantees: how long a task can wait at most, and how far apart two tenants can get.

Sources: start-time fair queuing, P. Goyal, H. M. Vin and H. Cheng, SIGCOMM 1996 (theorem 1, the gap; theorem 4, the
delay); several servers, W. Jin, J. S. Chase and J. Kaur, SIGMETRICS 2004 (SFQ(D)). The derivation of the wait, for a
task of tenant f in tier t from an instant at which it waits:

1. A tenant j is served only while its tag is at most the credit C above the lowest, and f's own tag is at most
   `lead + ahead / w_f` above the lowest of now when the task's turn comes. So before the task starts, j gets at most
   w_j * (ahead / w_f + lead + C) plus its last, largest cost. Summed over tenants this is the tier's on-time work Y.
2. The tier's late work takes at most its `late_share`, what that was owed, and one cost.
3. While the tier is not owed it has had its `min_share` since its own clock was passed (`tier_lead`), and the turn
   that passes its clock fills its slots from what it has read: at most one cost a slot. While it is owed, only tiers
   above it that are owed go before: their shares, what they were owed, and one cost of each. The highest tier needs no
   clock for its work on time: it goes whenever no other is owed. Late work goes before other tiers' work on time only
   while its tier is owed.
4. All slots are busy while it waits, and cost is at least slot time: total cost moves by `slots` a millisecond, after
   one runtime in which no slot may end.

It assumes: agents that can run any task of the pool, no resource, cap or window that blocks, costs as estimated. Tasks
that come later and have to start earlier count as ahead. Shares are floors: while higher tiers are idle, waits are
shorter.
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.entry import RANKS, TIERS
from pushlane.scheduling.fairness import OWED_MAX_MS


class Contender(Struct, frozen=True, kw_only=True):
    """A tenant that has, or may get, work in the tier: its weight, and the largest cost of one of its tasks."""

    weight: float = 1.0
    largest_ms: int = 0

    @property
    def largest_virtual_ms(self) -> float:
        """By how much its largest cost advances its virtual time."""
        return self.largest_ms / self.weight


class WaitTerms(Struct, frozen=True, kw_only=True):
    """What a wait depends on, all in milliseconds of cost (slot time), but `slots` and `longest_runtime_ms`.

    `ahead_ms`: of its own tenant in the tier, before it, late work included. `others`: the other tenants. `lead_ms`:
    its tenant's virtual time less the tier's lowest. `tier_lead_ms`: the tier's share clock less all that was served,
    when that is positive. `largest_ms`: the largest cost in each tier. `late`: it can no longer make its deadline, and
    its tier lets such tasks wait; then the tier is taken to have work on time, too.
    """

    tier: Tier
    slots: int
    tenant: Contender = Contender()
    others: Sequence[Contender] = ()
    ahead_ms: int = 0
    lead_ms: int = 0
    tier_lead_ms: int = 0
    late_lead_ms: int = 0
    largest_ms: Mapping[Tier, int] = {}
    longest_runtime_ms: int = 0
    late: bool = False


def guaranteed_share(policy: Policy, tier: Tier) -> float:
    """The part of the pool's cost that a tier gets while it has work, whatever the other tiers ask for.

    Its `min_share`; the highest tier gets all that is not guaranteed to others.
    """
    rest = 1 - sum(policy.tier(other).min_share for other in TIERS if other is not tier)
    return max(rest, 0.0) if tier is TIERS[0] else policy.tier(tier).min_share


def tenant_share(tenant: Contender, others: Sequence[Contender]) -> float:
    """The part of its tier that a tenant gets while all of them have work."""
    return tenant.weight / (tenant.weight + sum(other.weight for other in others))


def wait_bound_ms(policy: Policy, terms: WaitTerms) -> int | None:
    """The longest that the task may still wait, in milliseconds; None when nothing is guaranteed (no slot, no share).

    At most (ahead + one largest cost of each tenant + weight * (credit + lead)) / (tier share * tenant share * slots)
    plus what other tiers and late work are owed, one cost a slot until the tier becomes owed itself, and one runtime.
    """
    if terms.slots <= 0:
        return None
    needed_ms = _tier_cost_ms(policy, terms)
    served_ms = None if needed_ms is None else _pool_cost_ms(policy, terms, needed_ms)
    return None if served_ms is None else math.ceil(served_ms / terms.slots) + terms.longest_runtime_ms


def tenant_cost_ms(policy: Policy, terms: WaitTerms) -> float:
    """The most that the tenants of the tier are served before the task starts, its own included."""
    credit_ms = policy.urgency_credit_seconds * 1_000
    virtual_ms = terms.ahead_ms / terms.tenant.weight + terms.lead_ms + credit_ms
    return terms.ahead_ms + sum(other.weight * virtual_ms + other.largest_ms for other in terms.others)


def _tier_cost_ms(policy: Policy, terms: WaitTerms) -> float | None:
    """The most that the tier is served before the task starts."""
    rules, cost_ms = policy.tier(terms.tier), tenant_cost_ms(policy, terms)
    if not rules.feasible_first:
        return cost_ms
    if terms.late:
        passed_ms = terms.late_lead_ms + terms.largest_ms.get(terms.tier, 0)
        return cost_ms / rules.late_share + passed_ms if rules.late_share > 0 else None
    if rules.late_share >= 1:
        return None
    owed_ms = rules.late_share * OWED_MAX_MS + terms.largest_ms.get(terms.tier, 0) if rules.late_share > 0 else 0
    return (cost_ms + owed_ms) / (1 - rules.late_share)


def _pool_cost_ms(policy: Policy, terms: WaitTerms, needed_ms: float) -> float | None:
    """The most that the pool serves until the tier has got so much."""
    late = terms.late and policy.tier(terms.tier).feasible_first
    if terms.tier is TIERS[0] and not late:
        rest = guaranteed_share(policy, terms.tier)
        return (needed_ms + _owed_ms(policy, terms, TIERS[1:])) / rest if rest > 0 else None
    share = policy.tier(terms.tier).min_share
    if share <= 0:
        return None
    above = TIERS[: RANKS[terms.tier]]
    left = 1 - sum(policy.tier(tier).min_share for tier in above)
    others = [cost for tier, cost in terms.largest_ms.items() if tier is not terms.tier]
    passed_ms = terms.tier_lead_ms + terms.slots * max(others, default=0)
    return needed_ms / share + passed_ms + _owed_ms(policy, terms, above) / max(left, share)


def _owed_ms(policy: Policy, terms: WaitTerms, tiers: Sequence[Tier]) -> float:
    """The most that other tiers may take at once, before their shares count."""
    shares = [(policy.tier(tier).min_share, terms.largest_ms.get(tier, 0)) for tier in tiers]
    return sum(share * OWED_MAX_MS + largest for share, largest in shares if share > 0)


def service_gap_bound_ms(one: Contender, other: Contender, credit_ms: float = 0, in_flight_max: int = 0) -> float:
    """The most by which the normalised service W / w of two tenants can differ over any time in which both wait.

    Goyal et al.: c_one / w_one + c_other / w_other, when served at once and in strict order. Urgency within a credit
    adds the credit twice: one of them may be ahead by it when the time begins, the other when it ends. Cost is charged
    when an attempt starts; counted when it ends (Jin et al.), each may have `in_flight_max` of its own on the way.
    """
    return (in_flight_max + 1) * (one.largest_virtual_ms + other.largest_virtual_ms) + 2 * credit_ms
