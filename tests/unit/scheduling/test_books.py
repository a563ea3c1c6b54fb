"""What decisions do to the clocks and counters: the ledger that a commit writes and a simulation applies."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.attempt import Hold, OutcomeKind, Throttled, Usage
from pushlane.model.policy import Policy, Rate, RateUnit, SlotsOf, TenantPolicy, TierPolicy
from pushlane.model.task import Tier
from pushlane.scheduling.books import Advance, Books
from pushlane.scheduling.decisions import Complete, Decision, Dispatch
from pushlane.scheduling.fairness import TierClocks
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import AccountView, PoolSnapshot, TierView
from tests.unit.scheduling.situations import a_late_line, a_line, a_pool
from tests.unit.values import NOW, a_finish, an_agent, an_arrival, an_entry, an_outcome, dispatch_of, park_of

COST_MS = an_entry().cost_ms
ATLAS = (Tier.NORMAL, "atlas")


def booked(snapshot: PoolSnapshot, *decisions: Decision) -> Books:
    books = Books(snapshot, NOW)
    for decision in decisions:
        books.add(decision)
    return books


def waiting(**more: Any) -> PoolSnapshot:
    """A pool in which another tenant waits."""
    return a_pool(an_agent(slots=9), lanes=[a_line("boreas", 50)], **more)


def test_a_clock_catches_up_first_and_moves_then() -> None:
    clock = Advance(5)
    clock.add += 3
    clock.catch_up(4)
    assert (clock.start, clock.add, clock.after) == (None, 3, 8)
    clock.catch_up(20)
    clock.add += 2
    assert (clock.start, clock.add, clock.after) == (20, 2, 22)


def test_a_charged_dispatch_moves_its_tenants_clock_by_cost_over_weight_from_its_start() -> None:
    made = dispatch_of(an_arrival(), charged=True, weight_milli=2_000)
    [change] = booked(waiting(accounts={ATLAS: AccountView(virtual_ms=7)}), made).accounts.values()
    assert (change.virtual.after, change.uncharged.after) == (7 + COST_MS // 2, 0)


def test_an_uncharged_one_is_remembered_while_it_runs() -> None:
    [begun] = booked(a_pool(), dispatch_of(an_arrival())).accounts.values()
    assert (begun.virtual.after, begun.uncharged.after) == (0, COST_MS)
    [ended] = booked(a_pool(), Complete(finished=a_finish(cost_ms=COST_MS))).accounts.values()
    assert (ended.virtual.after, ended.uncharged.after) == (0, -COST_MS)


def test_an_ended_attempt_is_trued_up_to_what_it_really_cost() -> None:
    """It was charged 30 s, and ran for ten."""
    books = booked(
        a_pool(accounts={ATLAS: AccountView(virtual_ms=90_000)}),
        Complete(finished=a_finish(cost_ms=30_000, charged=True, weight_milli=2_000)),
    )
    assert books.account(ATLAS).virtual.after == 90_000 - 10_000


def test_the_tiers_clocks_move_as_those_of_the_plan_did() -> None:
    lanes = [a_line("a", 1, 2, tier=Tier.HIGH), a_line("a", 11, 12), a_late_line("b", 21, 22)]
    policy = Policy(tiers={Tier.NORMAL: TierPolicy(min_share=0.3, late_share=0.2)})
    pool = a_pool(an_agent(slots=6), lanes=lanes, policy=policy, tiers={Tier.HIGH: TierView(served_ms=5)})
    made = [d for d in plan(pool, [], NOW).decisions if isinstance(d, Dispatch)]
    clocks = TierClocks(policy, pool.tiers)
    for one in made:
        clocks.charge(one.entry.tier, one.entry.cost_ms, late=one.reservation.late)
    books = booked(pool, *made)
    assert sum(books.tier(tier).served.after for tier in Tier) == clocks.served_ms
    after = {
        tier: TierView(
            served_ms=books.tier(tier).served.after,
            share_clock_ms=books.tier(tier).share_clock.after,
            late_clock_ms=books.tier(tier).late_clock.after,
        )
        for tier in Tier
    }
    again = TierClocks(policy, after)
    assert [again.owed(tier) for tier in Tier] == [clocks.owed(tier) for tier in Tier]
    assert [again.late_owed(tier) for tier in Tier] == [clocks.late_owed(tier) for tier in Tier]


def test_while_nobody_waits_no_tiers_clock_moves() -> None:
    assert booked(a_pool(), dispatch_of(an_arrival())).tiers == {}


def test_a_tier_that_begins_to_wait_asks_for_nothing_of_the_time_before() -> None:
    tiers = {Tier.HIGH: TierView(served_ms=900), Tier.NORMAL: TierView(served_ms=100, late_clock_ms=40)}
    books = booked(a_pool(tiers=tiers), park_of(an_arrival()))
    normal = books.tier(Tier.NORMAL)
    assert (normal.share_clock.after, normal.late_clock.after) == (1_000, 100)


def test_a_lane_that_opens_puts_its_tenant_at_its_start_tag() -> None:
    books = booked(a_pool(), park_of(an_arrival(), tag_ms=600))
    assert books.account(ATLAS).virtual.after == 600
    open_already = a_pool(lanes=[a_line("atlas", 7)])
    assert not booked(open_already, park_of(an_arrival(), tag_ms=600)).accounts


LIMITED = Policy(
    tenants={"atlas": TenantPolicy(in_flight_max=9, tasks_per_minute=60)},
    resources={
        "tpm": Rate(per_minute=60_000, burst=1_000, shards=2),
        "rpm": Rate(per_minute=60, unit=RateUnit.REQUESTS),
        "browsers": SlotsOf(slots=3),
    },
)
HELD: dict[str, Any] = {
    "counted": True,
    "tokens": 400,
    "holds": (Hold("tpm", 400, 1), Hold("browsers", 2, slots=True)),
}


def test_a_reservation_counts_on_its_tenant_and_on_every_resource_it_draws() -> None:
    books = booked(a_pool(policy=LIMITED), dispatch_of(an_arrival(), **HELD))
    tenant = books.tenants["atlas"]
    assert (tenant.in_flight, tenant.reserved, tenant.draw_us, tenant.day_tokens) == (1, 1, 1_000_000, 400)
    assert (books.resources["browsers", 0].used, books.resources["browsers", 0].reserved_used) == (2, 2)
    assert books.resources["tpm", 1].draw_us == 800_000  # half of the rate is its shard's


def test_the_room_that_draws_ask_for_is_that_of_all_of_them_together() -> None:
    books = booked(a_pool(policy=LIMITED), *[dispatch_of(an_arrival(n), **HELD) for n in (1, 2)])
    assert books.resources["tpm", 1].admit_us == 1_000_000 - 2 * 800_000


def test_an_end_gives_back_slots_and_its_place_in_flight() -> None:
    books = booked(a_pool(policy=LIMITED), Complete(finished=a_finish(**HELD)))
    assert (books.tenants["atlas"].in_flight, books.tenants["atlas"].reserved) == (-1, 0)
    assert (books.resources["browsers", 0].used, books.resources["browsers", 0].reserved_used) == (-2, 0)


def test_a_tenant_that_was_not_limited_when_it_began_is_not_counted_down() -> None:
    assert booked(a_pool(policy=LIMITED), Complete(finished=a_finish())).tenants == {}


def test_tokens_that_were_really_used_true_up_the_budgets() -> None:
    outcome = an_outcome(usage=Usage(tokens=650))
    books = booked(a_pool(policy=LIMITED), Complete(finished=a_finish(1, outcome, **HELD)))
    assert (books.tenants["atlas"].day_tokens, books.tenants["atlas"].month_tokens) == (250, 250)


def test_a_providers_refusal_pauses_the_resource_on_all_its_shards() -> None:
    outcome = an_outcome(OutcomeKind.SUCCEEDED, throttled=Throttled(resource="tpm", retry_after_seconds=2.5))
    books = booked(a_pool(policy=LIMITED), Complete(finished=a_finish(1, outcome)))
    paused = {ref: change.paused_until_ms for ref, change in books.resources.items()}
    assert paused == {("tpm", 0): NOW + 2_500, ("tpm", 1): NOW + 2_500}


@given(st.lists(st.tuples(st.sampled_from(["begin", "end"]), st.integers(1, 3)), max_size=20))
def test_what_begins_and_ends_in_one_commit_leaves_nothing_behind(steps: list[tuple[str, int]]) -> None:
    books = Books(a_pool(policy=LIMITED), NOW)
    flying: list[Dispatch] = []
    for step, amount in steps:
        if step == "begin":
            flying.append(dispatch_of(an_arrival(), counted=True, holds=(Hold("browsers", amount, slots=True),)))
            books.add(flying[-1])
        elif flying:
            held = flying.pop().reservation
            books.add(Complete(finished=a_finish(1, **{name: getattr(held, name) for name in ("counted", "holds")})))
    if books.tenants:
        assert books.tenants["atlas"].in_flight == len(flying)
        used = sum(hold.amount for one in flying for hold in one.reservation.holds)
        assert books.resources["browsers", 0].used == used
