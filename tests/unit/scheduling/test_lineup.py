"""Whose turn it is: tiers, their minimum shares, tenants' virtual times, urgency within the credit, late work."""

import msgspec
import pytest

from pushlane.model.policy import Policy, TenantPolicy, TierPolicy
from pushlane.model.task import Tier
from pushlane.scheduling.decisions import Drop
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import AccountView, TierView
from tests.unit.scheduling.situations import (
    FEASIBLE,
    HARD_LATE,
    a_late_line,
    a_line,
    a_pool,
    dispatched,
    dispatches,
)
from tests.unit.values import NOW, a_lane, an_agent, an_arrival, an_entry

COST_MS = an_entry().cost_ms
# No share is owed, and urgency buys nothing: the bare order of virtual times.
PLAIN = Policy(
    tiers={tier: TierPolicy(min_share=0, late_share=0) for tier in Tier},
    urgency_credit_seconds=0,
)
CREDIT = Policy(tiers=PLAIN.tiers, urgency_credit_seconds=120)


def behind(tenant_id: str, virtual_ms: int, tier: Tier = Tier.NORMAL) -> dict[tuple[Tier, str], AccountView]:
    return {(tier, tenant_id): AccountView(virtual_ms=virtual_ms)}


def test_tiers_go_in_their_order() -> None:
    lanes = [a_line("a", n, tier=tier) for n, tier in enumerate(reversed(Tier))]
    assert dispatched(a_pool(an_agent(slots=5), lanes=lanes, policy=PLAIN)) == [4, 3, 2, 1, 0]


def test_a_tier_below_its_guaranteed_share_goes_first_until_it_has_it() -> None:
    policy = Policy(tiers=PLAIN.tiers | {Tier.LOW: TierPolicy(min_share=0.25)})
    lanes = [a_line("a", *range(10, 22), tier=Tier.HIGH), a_line("a", *range(30, 42), tier=Tier.LOW)]
    first = dispatched(a_pool(an_agent(slots=12), lanes=lanes, policy=policy))
    low = [number >= 30 for number in first]
    assert sum(low) == 3
    assert all(sum(low[: n + 1]) >= (n + 1) // 4 for n in range(12))


def test_what_a_tier_was_owed_before_counts() -> None:
    policy = Policy(tiers=PLAIN.tiers | {Tier.LOW: TierPolicy(min_share=0.5)})
    tiers = {Tier.HIGH: TierView(served_ms=10 * COST_MS), Tier.LOW: TierView(share_clock_ms=8 * COST_MS)}
    lanes = [a_line("a", 1, 2, 3, tier=Tier.HIGH), a_line("a", 11, 12, 13, tier=Tier.LOW)]
    pool = a_pool(an_agent(slots=4), lanes=lanes, policy=policy, tiers=tiers)
    assert dispatched(pool) == [11, 12, 1, 13]


def test_the_lane_with_the_lowest_virtual_time_goes_next_and_is_charged_its_cost() -> None:
    lanes = [a_line("a", 1, 2, 3), a_line("b", 11, 12, 13)]
    pool = a_pool(an_agent(slots=4), lanes=lanes, policy=PLAIN, accounts=behind("a", round(1.5 * COST_MS)))
    assert dispatched(pool) == [11, 12, 1, 13]


def test_cost_is_shared_not_the_number_of_tasks() -> None:
    costly = [an_entry(n, tenant_id="a") for n in (1, 2)]
    cheap = [an_entry(n, tenant_id="b") for n in range(11, 17)]
    lanes = [
        a_lane(*[msgspec.structs.replace(entry, cost_ms=30_000) for entry in costly]),
        a_lane(*[msgspec.structs.replace(entry, cost_ms=10_000) for entry in cheap]),
    ]
    first = dispatched(a_pool(an_agent(slots=8), lanes=lanes, policy=PLAIN))
    assert sorted(first[:4]) == [1, 11, 12, 13]


def test_a_tenant_of_twice_the_weight_gets_twice_the_share() -> None:
    policy = Policy(tiers=PLAIN.tiers, urgency_credit_seconds=0, tenants={"b": TenantPolicy(weight=2)})
    lanes = [a_line("a", *range(1, 10)), a_line("b", *range(11, 20))]
    first = dispatched(a_pool(an_agent(slots=9), lanes=lanes, policy=policy))
    assert sum(number > 10 for number in first) == 6


def test_a_returning_tenant_starts_at_the_tiers_virtual_time_not_at_its_own_old_one() -> None:
    """Tenant c was idle since virtual time 0, while a and b were served."""
    lanes = [a_line("a", *range(1, 9)), a_line("b", *range(11, 19))]
    accounts = behind("a", 10 * COST_MS) | behind("b", 10 * COST_MS + 1)
    arrivals = [an_arrival(n, tenant_id="c") for n in range(21, 29)]
    tiers = {Tier.NORMAL: TierView(virtual_ms=10 * COST_MS)}
    pool = a_pool(an_agent(slots=6), lanes=lanes, policy=PLAIN, accounts=accounts, tiers=tiers)
    first = dispatched(pool, arrivals)
    assert [sum(low <= n < low + 10 for n in first) for low in (1, 11, 21)] == [2, 2, 2]


def test_what_a_newcomer_has_in_flight_counts_once_others_wait() -> None:
    lanes = [a_line("a", 1, 2)]
    busy = {(Tier.NORMAL, "c"): AccountView(uncharged_ms=2 * COST_MS)}
    pool = a_pool(an_agent(slots=2), lanes=lanes, policy=PLAIN, accounts=busy)
    assert dispatched(pool, [an_arrival(21, tenant_id="c")]) == [1, 2]


def test_while_nobody_waits_nobody_is_charged() -> None:
    [dispatch] = dispatches(a_pool(an_agent()), [an_arrival(1)])
    assert not dispatch.reservation.charged
    [beside] = dispatches(a_pool(an_agent(), lanes=[a_line("a", 1)]))
    assert beside.reservation.charged


@pytest.mark.parametrize(("ahead_ms", "first"), [(0, 11), (60_000, 11), (119_000, 1), (120_001, 1)])
def test_a_more_urgent_head_goes_first_while_it_is_worth_its_lead(ahead_ms: int, first: int) -> None:
    """Half of the credit is worth a head that has to start in a second; nearly all is not, and beyond it nothing is."""
    lanes = [a_line("a", 1), a_line("b", 11, deadline_ms=NOW + 31_000)]
    pool = a_pool(an_agent(), lanes=lanes, policy=CREDIT, accounts=behind("b", ahead_ms))
    assert dispatched(pool) == [first]


def test_an_older_head_takes_no_credit_from_a_tenant_that_has_had_less() -> None:
    old, new = an_entry(1, tenant_id="a", accepted_at_ms=NOW - 600_000), an_entry(11, tenant_id="b")
    lanes = [a_lane(old), a_lane(new)]
    assert dispatched(a_pool(an_agent(), lanes=lanes, policy=CREDIT, accounts=behind("a", COST_MS))) == [11]


def test_a_tenant_that_returns_stands_ahead_of_the_one_that_holds_the_slots() -> None:
    """Tenant a has four tasks in flight, which moved its clock by their estimates."""
    holds = {(Tier.NORMAL, "a"): AccountView(virtual_ms=4 * COST_MS, charged_ms=4 * COST_MS)}
    pool = a_pool(an_agent(slots=2), lanes=[a_line("a", 1, 2)], policy=PLAIN, accounts=holds)
    assert dispatched(pool, [an_arrival(21, tenant_id="b")]) == [21, 1]


def test_urgency_is_charged_so_that_it_gains_no_more_than_the_credit() -> None:
    calm = a_line("a", *range(1, 21))
    eager = a_line("b", *range(101, 121), deadline_ms=NOW + 31_000)
    first = dispatched(a_pool(an_agent(slots=20), lanes=[calm, eager], policy=CREDIT))
    by_b = [number > 100 for number in first]
    credit = round(CREDIT.urgency_credit_seconds * 1_000 / COST_MS)
    lead = max(2 * sum(by_b[: n + 1]) - (n + 1) for n in range(20))
    assert 1 < lead <= credit + 1


def test_within_a_lane_what_has_to_start_first_goes_first_and_aged_tasks_before_all() -> None:
    aged = an_entry(3, accepted_at_ms=NOW - 2_000_000)
    lane = a_lane(aged, an_entry(2, **FEASIBLE), an_entry(1, deadline_ms=NOW + 400_000), an_entry(4))
    assert dispatched(a_pool(an_agent(slots=4), lanes=[lane], policy=PLAIN)) == [3, 2, 1, 4]


def test_late_work_goes_after_all_that_is_on_time_in_every_tier() -> None:
    lanes = [
        a_late_line("a", 1),
        a_line("b", 2, **FEASIBLE),
        a_line("c", 3, tier=Tier.BACKGROUND),
    ]
    assert dispatched(a_pool(an_agent(slots=3), lanes=lanes, policy=PLAIN)) == [2, 3, 1]


def test_critical_and_high_never_leave_their_order() -> None:
    late = a_lane(an_entry(1, tier=Tier.CRITICAL, deadline_ms=NOW + 10_000))
    lanes = [late, a_line("atlas", 2, tier=Tier.HIGH), a_line("atlas", 3)]
    policy = Policy(tiers={Tier.NORMAL: TierPolicy(min_share=0), Tier.HIGH: TierPolicy(feasible_first=False)})
    assert dispatched(a_pool(an_agent(slots=3), lanes=lanes, policy=policy))[0] == 1


def test_late_work_gets_its_part_of_the_tier_while_others_are_on_time() -> None:
    policy = Policy(tiers=PLAIN.tiers | {Tier.NORMAL: TierPolicy(late_share=0.25)})
    lanes = [a_line("a", *range(1, 17)), a_late_line("b", *range(21, 37))]
    made = dispatches(a_pool(an_agent(slots=16), lanes=lanes, policy=policy))
    late = [dispatch.reservation.late for dispatch in made]
    assert sum(late) == 4
    assert [d.entry.tenant_id == "b" for d in made] == late


def test_late_work_is_shared_by_tenants_in_a_virtual_time_of_its_own() -> None:
    lanes = [a_late_line("a", 1, 2, 3), a_late_line("b", 11, 12, 13)]
    accounts = {(Tier.NORMAL, "a"): AccountView(late_virtual_ms=2 * COST_MS)}
    pool = a_pool(an_agent(slots=4), lanes=lanes, policy=PLAIN, accounts=accounts)
    assert sorted(dispatched(pool)[:2]) == [11, 12]


@pytest.mark.parametrize("slots", [0, 1])
def test_an_arrival_whose_hard_deadline_is_impossible_expires_whatever_is_free(slots: int) -> None:
    arrival = an_arrival(1, **HARD_LATE)
    decided = plan(a_pool(an_agent(slots=1, used=1 - slots)), [arrival], NOW).decisions
    assert decided == (Drop(entry=arrival.entry, origin=arrival),)


def test_a_waiting_task_with_a_hard_deadline_expires_when_its_turn_comes_too_late() -> None:
    lane = a_late_line("a", 1, **HARD_LATE)
    decided = plan(a_pool(an_agent(), lanes=[lane, a_late_line("b", 2)]), [], NOW).decisions
    assert [type(one).__name__ for one in decided] == ["Dispatch", "Drop"]
    assert dispatched(a_pool(an_agent(), lanes=[lane, a_late_line("b", 2)])) == [2]


def test_the_tiers_virtual_time_is_the_lowest_tag_of_those_that_wait() -> None:
    lanes = [a_line("a", 1), a_line("b", 11)]
    accounts = behind("a", 5 * COST_MS) | behind("b", 7 * COST_MS)
    made = dispatches(a_pool(an_agent(slots=2), lanes=lanes, policy=PLAIN, accounts=accounts))
    assert [(d.start_tag_ms, d.floor_tag_ms) for d in made] == [(5 * COST_MS, 5 * COST_MS), (7 * COST_MS, 7 * COST_MS)]
