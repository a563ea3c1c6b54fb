"""The guaranteed bounds, by hand and by their own laws."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.policy import DEFAULT_TIERS, Policy, TierPolicy
from pushlane.model.task import Tier
from pushlane.scheduling.bounds import (
    Contender,
    WaitTerms,
    guaranteed_share,
    service_gap_bound_ms,
    tenant_share,
    wait_bound_ms,
)
from pushlane.scheduling.fairness import OWED_MAX_MS

# Two tiers with work, the lower one guaranteed a quarter; no credit, no late work.
PLAIN = Policy(
    urgency_credit_seconds=0,
    tiers={tier: TierPolicy(min_share=0, feasible_first=False) for tier in Tier}
    | {Tier.NORMAL: TierPolicy(min_share=0.25, feasible_first=False)},
)
ONE = Contender(weight=1, largest_ms=10_000)


def terms(**changed: Any) -> WaitTerms:
    return msgspec.structs.replace(WaitTerms(tier=Tier.NORMAL, slots=10, tenant=ONE), **changed)


def bound(policy: Policy, **changed: Any) -> int:
    found = wait_bound_ms(policy, terms(**changed))
    assert found is not None
    return found


def test_alone_in_its_tier_it_waits_for_what_is_ahead_over_the_tiers_slots() -> None:
    # 50 s ahead at a quarter of ten slots.
    assert bound(PLAIN, ahead_ms=50_000) == 20_000
    assert bound(PLAIN, ahead_ms=50_000, longest_runtime_ms=7_000) == 27_000


def test_each_tenant_adds_what_is_ahead_by_its_weight_and_its_largest_cost() -> None:
    others = (Contender(weight=2, largest_ms=30_000), Contender(weight=1, largest_ms=5_000))
    # 50 + (2 * 50 + 30) + (1 * 50 + 5) = 235 s of the tier.
    assert bound(PLAIN, ahead_ms=50_000, others=others) == 94_000
    assert tenant_share(ONE, others) == 0.25


def test_the_credit_and_the_tenants_lead_count_for_the_others() -> None:
    policy = msgspec.structs.replace(PLAIN, urgency_credit_seconds=20)
    # 0 + 1 * (0 + 5 + 20) + 10 = 35 s of the tier.
    assert bound(policy, lead_ms=5_000, others=(ONE,)) == 14_000


def test_a_heavier_tenant_waits_less() -> None:
    heavy = Contender(weight=4, largest_ms=10_000)
    assert bound(PLAIN, ahead_ms=40_000, tenant=heavy, others=(ONE,)) < bound(PLAIN, ahead_ms=40_000, others=(ONE,))


def test_the_highest_tier_is_guaranteed_all_that_others_are_not() -> None:
    assert guaranteed_share(PLAIN, Tier.CRITICAL) == 0.75
    assert guaranteed_share(PLAIN, Tier.NORMAL) == 0.25
    # Before that, the lower tier may take what it is owed.
    found = bound(PLAIN, tier=Tier.CRITICAL, ahead_ms=30_000, largest_ms={Tier.NORMAL: 6_000})
    assert found == (30_000 + 0.25 * OWED_MAX_MS + 6_000) / 0.75 / 10


def test_tiers_above_may_take_their_shares_first() -> None:
    tiers = PLAIN.tiers | {Tier.HIGH: TierPolicy(min_share=0.5, feasible_first=False)}
    policy = msgspec.structs.replace(PLAIN, tiers=tiers)
    owed_ms = (0.5 * OWED_MAX_MS + 8_000) / 0.5
    assert bound(policy, ahead_ms=50_000, largest_ms={Tier.HIGH: 8_000}) == 20_000 + owed_ms / 10 + 8_000


def test_one_turn_for_any_other_tiers_makes_it_owed() -> None:
    assert bound(PLAIN, largest_ms={Tier.LOW: 8_000, Tier.NORMAL: 50_000}) == 8_000


def test_late_work_of_the_highest_tier_has_its_guaranteed_share_only() -> None:
    late = TierPolicy(min_share=0.2, late_share=0.1)
    policy = msgspec.structs.replace(PLAIN, tiers={**PLAIN.tiers, Tier.CRITICAL: late})
    assert bound(policy, tier=Tier.CRITICAL, ahead_ms=10_000, late=True) == 10_000 / 0.1 / 0.2 / 10
    none = msgspec.structs.replace(PLAIN, tiers={**PLAIN.tiers, Tier.CRITICAL: TierPolicy(min_share=0)})
    assert wait_bound_ms(none, terms(tier=Tier.CRITICAL, late=True)) is None


def test_late_work_has_its_part_of_the_tier_only() -> None:
    tiers = PLAIN.tiers | {Tier.NORMAL: TierPolicy(min_share=0.25, late_share=0.1)}
    policy = msgspec.structs.replace(PLAIN, tiers=tiers)
    assert bound(policy, ahead_ms=50_000, late=True) == 200_000
    assert bound(policy, ahead_ms=50_000) == pytest.approx((50_000 + 0.1 * OWED_MAX_MS) / 0.9 / 0.25 / 10, abs=1)


@pytest.mark.parametrize(
    ("policy", "changed"),
    [
        (PLAIN, {"slots": 0}),
        (PLAIN, {"tier": Tier.LOW}),
        (msgspec.structs.replace(PLAIN, tiers={Tier.NORMAL: TierPolicy(min_share=0.25, late_share=0)}), {"late": True}),
        (msgspec.structs.replace(PLAIN, tiers={Tier.NORMAL: TierPolicy(min_share=0.25, late_share=1)}), {}),
    ],
)
def test_where_nothing_is_guaranteed_there_is_no_bound(policy: Policy, changed: dict[str, Any]) -> None:
    assert wait_bound_ms(policy, terms(**changed)) is None


contenders = st.builds(Contender, weight=st.floats(0.1, 100), largest_ms=st.integers(1, 10**6))


@given(contenders, st.lists(contenders, max_size=6), st.integers(0, 10**7), st.integers(1, 50))
def test_it_is_never_above_the_formula_that_is_told(
    tenant: Contender, others: list[Contender], ahead_ms: int, slots: int
) -> None:
    """(ahead + largest costs + weight * credit) / (tier share * tenant share * slots)."""
    policy = msgspec.structs.replace(PLAIN, urgency_credit_seconds=120)
    exact = wait_bound_ms(policy, terms(slots=slots, ahead_ms=ahead_ms, tenant=tenant, others=tuple(others)))
    assert exact is not None
    costs = ahead_ms + tenant.largest_ms + sum(one.largest_ms for one in others) + tenant.weight * 120_000
    assert exact <= costs / (0.25 * tenant_share(tenant, others) * slots) * (1 + 1e-9) + 1


def test_the_gap_is_one_largest_cost_of_each_and_the_credit_twice() -> None:
    other = Contender(weight=2, largest_ms=30_000)
    assert service_gap_bound_ms(ONE, other) == 25_000
    assert service_gap_bound_ms(ONE, other, credit_ms=1_000) == 27_000
    assert service_gap_bound_ms(ONE, other, in_flight_max=3) == 100_000


def test_default_shares_leave_something_for_every_tier() -> None:
    assert all(guaranteed_share(Policy(), tier) > 0 for tier in DEFAULT_TIERS)
