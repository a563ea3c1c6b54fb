"""Shares between tiers and between tenants, the credit of urgency, and the bound of a wait, for any sequence of tasks.

Everybody who is compared waits all the time; costs are as estimated. Cost counts when it is dispatched.
"""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pushlane.model.policy import Policy, TenantPolicy, TierPolicy
from pushlane.model.task import Tier
from pushlane.scheduling.bounds import Contender, WaitTerms, guaranteed_share, service_gap_bound_ms, wait_bound_ms
from pushlane.scheduling.entry import RANKS, TIERS
from pushlane.scheduling.snapshot import TierView
from tests.simulation.backlog import START_MS, Backlog, Served, Work

TENANTS = ("atlas", "birch", "cedar", "delta")
COSTS = (200, 1_000, 5_000, 30_000)
SHARES = (0.0, 0.05, 0.1, 0.2)


def repeatable(max_examples: int) -> settings:
    return settings(max_examples=max_examples, deadline=None, derandomize=True, print_blob=True)


@st.composite
def policies(draw: st.DrawFn, *, feasible_first: bool | None = None) -> Policy:
    weights = {name: TenantPolicy(weight=draw(st.sampled_from((0.5, 1.0, 4.0)))) for name in TENANTS}
    late_waits = st.booleans() if feasible_first is None else st.just(feasible_first)
    tiers = {
        tier: TierPolicy(min_share=draw(st.sampled_from(SHARES)), feasible_first=draw(late_waits)) for tier in Tier
    }
    return Policy(tenants=weights, tiers=tiers, urgency_credit_seconds=draw(st.sampled_from((0.0, 5.0, 60.0))))


@st.composite
def backlogs(draw: st.DrawFn, tiers: Sequence[Tier], laxities: Sequence[int] = (10**9, 10**6)) -> list[Work]:
    """Many tasks of every tenant in each tier, all there from the beginning; each lane has its own mix."""
    works: list[Work] = []
    for tier in tiers:
        for tenant_id in TENANTS:
            costs = draw(st.lists(st.sampled_from(COSTS), min_size=1, max_size=3))
            laxity_ms = draw(st.sampled_from(laxities))
            works += [
                Work(number=len(works) + n, tenant_id=tenant_id, tier=tier, cost_ms=cost, laxity_ms=laxity_ms + n)
                for n, cost in enumerate((costs * 30)[: draw(st.integers(10, 30))])
            ]
    return works


def while_waiting(served: Sequence[Served], tier: Tier, tenant_ids: Sequence[str], works: Sequence[Work]) -> int:
    """How many dispatches there are until the first of these tenants has nothing left in the tier."""
    left = {name: sum(w.tenant_id == name and w.tier is tier for w in works) for name in tenant_ids}
    for at, one in enumerate(served):
        if one.work.tier is tier and one.work.tenant_id in left:
            left[one.work.tenant_id] -= 1
            if not left[one.work.tenant_id]:
                return at
    return len(served)


def largest(works: Sequence[Work], tier: Tier, tenant_id: str | None = None) -> int:
    of = [w.cost_ms for w in works if w.tier is tier and tenant_id in (None, w.tenant_id)]
    return max(of, default=0)


def lag_ms(policy: Policy, works: Sequence[Work], tier: Tier, slots: int) -> float:
    """For how much cost a tier that is owed may have to let others go: what the turn dispatches by which it becomes
    owed, and the tiers above it that are owed as well, by rank.
    """
    above = [one for one in TIERS[: RANKS[tier]] if policy.tier(one).min_share > 0]
    shares = [policy.tier(one).min_share for one in above]
    theirs = sum(
        share * lag_ms(policy, works, one, slots) + 2 * largest(works, one)
        for share, one in zip(shares, above, strict=True)
    )
    return (slots * max(w.cost_ms for w in works) + theirs) / (1 - sum(shares))


@repeatable(40)
@given(
    policy=policies(),
    works=backlogs((Tier.CRITICAL, Tier.NORMAL, Tier.LOW), laxities=(10**9, 10**5, -1)),
    slots=st.integers(1, 7),
)
def test_every_tier_that_waits_gets_its_share_over_any_time(policy: Policy, works: list[Work], slots: int) -> None:
    served = Backlog(policy, slots, works).run()
    for tier in (Tier.CRITICAL, Tier.NORMAL, Tier.LOW):
        share = policy.tier(tier).min_share
        total = own = best = 0.0
        counts = sum(w.tier is tier for w in works)
        for one in served:
            if not one.waited:  # nobody waited, so there was nothing to share
                counts -= one.work.tier is tier
                continue
            total += one.work.cost_ms
            if one.work.tier is tier:
                own, counts = own + one.work.cost_ms, counts - 1
            if not counts:
                break
            best = max(best, own - share * total)
            missing = best - (own - share * total)
            allowed = largest(works, tier) + share * lag_ms(policy, works, tier, slots)
            assert missing <= allowed + 1, f"{tier} is {missing} ms short of {share} of {total}, {allowed} are allowed"


def check_gap(policy: Policy, works: Sequence[Work], served: Sequence[Served], one: str, other: str) -> None:
    tier = works[0].tier
    credit_ms = policy.urgency_credit_seconds * 1_000
    pair = [
        Contender(weight=policy.tenant(name).weight, largest_ms=largest(works, tier, name)) for name in (one, other)
    ]
    bound = service_gap_bound_ms(pair[0], pair[1], credit_ms)
    gap = low = high = 0.0
    for made in served[: while_waiting(served, tier, (one, other), works)]:
        if not made.waited:
            continue
        sign = {one: 1, other: -1}.get(made.work.tenant_id, 0)
        gap += sign * made.work.cost_ms / policy.tenant(made.work.tenant_id).weight
        low, high = min(low, gap), max(high, gap)
    assert high - low <= bound + len(served), f"{one} and {other} are {high - low} ms apart, the bound is {bound}"


@repeatable(40)
@given(
    policy=policies(feasible_first=False), works=backlogs((Tier.NORMAL,), (10**9, 10**5, -1)), slots=st.integers(1, 7)
)
def test_two_tenants_that_wait_are_never_further_apart_than_the_bound(
    policy: Policy, works: list[Work], slots: int
) -> None:
    served = Backlog(policy, slots, works).run()
    for at, one in enumerate(TENANTS):
        for other in TENANTS[at + 1 :]:
            check_gap(policy, works, served, one, other)


@repeatable(40)
@given(policy=policies(feasible_first=False), works=backlogs((Tier.NORMAL,)), slots=st.integers(1, 7))
def test_a_tenant_to_whom_everything_is_urgent_gains_no_more_than_the_credit(
    policy: Policy, works: list[Work], slots: int
) -> None:
    """Against every other tenant, from the beginning on: its credit and one task. Here nothing is ever set aside as
    late, so that what is urgent stays so.
    """
    pressing = [
        Work(number=w.number, tenant_id=w.tenant_id, tier=w.tier, cost_ms=w.cost_ms, laxity_ms=1)
        if w.tenant_id == "atlas"
        else Work(number=w.number, tenant_id=w.tenant_id, tier=w.tier, cost_ms=w.cost_ms)
        for w in works
    ]
    served = Backlog(policy, slots, pressing).run()
    allowed = (
        policy.urgency_credit_seconds * 1_000 + largest(works, Tier.NORMAL, "atlas") / policy.tenant("atlas").weight
    )
    for other in TENANTS[1:]:
        got = {"atlas": 0.0, other: 0.0}
        for made in served[: while_waiting(served, Tier.NORMAL, ("atlas", other), works)]:
            if made.work.tenant_id in got:
                got[made.work.tenant_id] += made.work.cost_ms / policy.tenant(made.work.tenant_id).weight
            gain = got["atlas"] - got[other]
            assert gain <= allowed + len(served), f"atlas is {gain} ms ahead of {other}, {allowed} are allowed"


@st.composite
def arrivals(draw: st.DrawFn) -> list[Work]:
    """Any sequence: bursts and pauses, every tier and tenant, deadlines that are far, near or past."""
    works: list[Work] = []
    at_ms = 0
    for _ in range(draw(st.integers(1, 12))):
        at_ms += draw(st.sampled_from((0, 500, 20_000)))
        tier, tenant_id = draw(st.sampled_from(tuple(Tier))), draw(st.sampled_from(TENANTS))
        laxity_ms = draw(st.sampled_from((10**9, 10**9, 60_000, -1)))
        cost = draw(st.sampled_from(COSTS))
        works += [
            Work(
                number=len(works) + n,
                tenant_id=tenant_id,
                tier=tier,
                cost_ms=cost,
                arrives_ms=at_ms,
                laxity_ms=laxity_ms,
            )
            for n in range(draw(st.integers(1, 12)))
        ]
    return works


def terms_of(policy: Policy, one: Served, served: Sequence[Served], works: Sequence[Work], slots: int) -> WaitTerms:
    tier, tenant_id = one.work.tier, one.work.tenant_id
    mine, clocks, late = one.accounts[tier, tenant_id], one.tiers.get(tier, TierView()), one.work.laxity_ms < 0
    lowest = min(one.accounts[ref].virtual_ms for ref in one.backlog if ref[0] is tier)
    begun_ms = START_MS + one.work.arrives_ms
    ahead = [
        made.work.cost_ms
        for made in served[: served.index(one)]
        if (made.work.tier, made.work.tenant_id) == (tier, tenant_id) and made.started_ms >= begun_ms
    ]
    total = sum(view.served_ms for view in one.tiers.values())
    names = {w.tenant_id for w in works if w.tier is tier}
    contenders = {
        name: Contender(weight=policy.tenant(name).weight, largest_ms=largest(works, tier, name)) for name in names
    }
    return WaitTerms(
        tier=tier,
        slots=slots,
        tenant=contenders[tenant_id],
        others=[contender for name, contender in contenders.items() if name != tenant_id],
        ahead_ms=sum(ahead),
        lead_ms=max(0, mine.late_virtual_ms - clocks.late_virtual_ms) if late else mine.virtual_ms - lowest,
        tier_lead_ms=max(0, clocks.share_clock_ms - total),
        late_lead_ms=max(0, clocks.late_clock_ms - clocks.served_ms),
        largest_ms={each: largest(works, each) for each in Tier},
        longest_runtime_ms=max(w.cost_ms for w in works),
        late=late and policy.tier(tier).feasible_first,
    )


@repeatable(150)
@given(policy=policies(), works=arrivals(), slots=st.integers(1, 5))
def test_no_task_waits_longer_than_the_bound(policy: Policy, works: list[Work], slots: int) -> None:
    """Tasks that have time enough, and those that come too late; not those that become late while they wait."""
    served = Backlog(policy, slots, works).run()
    for one in served:
        if not one.waited or 0 < one.work.laxity_ms < 10**9:
            continue
        bound_ms = wait_bound_ms(policy, terms_of(policy, one, served, works, slots))
        waited_ms = one.started_ms - START_MS - one.work.arrives_ms
        late = one.work.laxity_ms < 0 and policy.tier(one.work.tier).feasible_first
        share = policy.tier(one.work.tier).min_share if late else guaranteed_share(policy, one.work.tier)
        assert share <= 0 or bound_ms is not None
        assert bound_ms is None or waited_ms <= bound_ms, f"{one.work} waited {waited_ms} ms, the bound is {bound_ms}"


def test_a_tier_becomes_owed_only_by_another_tiers_dispatch() -> None:
    """The bound needs that one cost a slot: the slot that is free first goes to the tier above."""
    share = {Tier.NORMAL: 0.05}
    tiers = {tier: TierPolicy(min_share=share.get(tier, 0.0), feasible_first=False) for tier in Tier}
    works = [Work(number=n, tenant_id="atlas", tier=Tier.CRITICAL, cost_ms=30_000) for n in range(5)]
    works.append(Work(number=5, tenant_id="birch", tier=Tier.NORMAL, cost_ms=200, arrives_ms=1_000))
    policy = Policy(tiers=tiers)
    served = Backlog(policy, 1, works).run()
    [one] = [made for made in served if made.work.tier is Tier.NORMAL]
    assert one.started_ms - START_MS - 1_000 == 59_000
    assert wait_bound_ms(policy, terms_of(policy, one, served, works, 1)) == 60_000
