"""No task waits beyond its bound, and no tier is starved, in runs of the product's own plan."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.bounds import Contender, WaitTerms, wait_bound_ms
from pushlane.scheduling.fairness import TierClocks
from pushlane.simulator import TraceTask, one_pool, simulate
from pushlane.simulator.policies import PUSHLANE, policy_named
from pushlane.simulator.run import Ran
from pushlane.simulator.tasks import tasks_of

POLICY = Policy()
# Far away, so that nothing turns late, and apart from each other, so that urgency differs.
FAR_S = 1_000_000.0

tasks = st.tuples(
    st.integers(0, 120),
    st.sampled_from(("atlas", "birch", "cedar")),
    st.sampled_from(tuple(Tier)),
    st.integers(1, 40),
    st.integers(0, 1_000),
)


def trace_of(drawn: Sequence[tuple[int, str, Tier, int, int]]) -> list[TraceTask]:
    return [
        TraceTask(
            arrival_s=arrival_s,
            tenant=tenant,
            tier=tier,
            tokens_in=0,
            tokens_out=0,
            runtime_s=runtime_s,
            deadline_s=FAR_S + urgency,
            task_type="task",
            task_id=f"t{number}",
        )
        for number, (arrival_s, tenant, tier, runtime_s, urgency) in enumerate(sorted(drawn))
    ]


def bound_of(one: Ran, ran: Sequence[Ran], slots: int) -> int:
    """Its bound from when it came, of what really went before it."""
    tier = one.task.tier
    largest = {each: max((o.task.runtime_ms for o in ran if o.task.tier is each), default=0) for each in Tier}
    mine = [other for other in ran if other.task.tier is tier and other.task.tenant == one.task.tenant]
    ahead = [o for o in mine if o is not one and one.task.ready_ms <= o.started_ms <= one.started_ms]
    in_flight = [o for o in mine if o.started_ms < one.task.ready_ms < o.finished_ms]
    tenants = {o.task.tenant for o in ran if o.task.tier is tier} - {one.task.tenant}
    own = Contender(largest_ms=largest[tier])
    rules = POLICY.tier(tier)
    found = wait_bound_ms(
        POLICY,
        WaitTerms(
            tier=tier,
            slots=slots,
            tenant=own,
            others=tuple(own for _ in tenants),
            ahead_ms=sum(other.task.runtime_ms for other in ahead),
            lead_ms=round(POLICY.urgency_credit_seconds * 1_000)
            + largest[tier]
            + sum(other.task.runtime_ms for other in in_flight),
            tier_lead_ms=round(largest[tier] / rules.min_share),
            largest_ms=largest,
            longest_runtime_ms=max(largest.values()),
        ),
    )
    assert found is not None
    return found


@settings(max_examples=40)
@given(st.lists(tasks, min_size=5, max_size=120), st.integers(1, 4))
def test_no_wait_is_beyond_its_bound(drawn: list[tuple[int, str, Tier, int, int]], slots: int) -> None:
    setting = one_pool(slots)
    run = simulate(tasks_of(trace_of(drawn), setting, 0.0, 7), setting, policy_named(PUSHLANE))
    for one in run.ran:
        assert one.started_ms - one.task.ready_ms <= bound_of(one, run.ran, slots)


def test_a_tier_that_had_the_pool_for_itself_keeps_its_share_when_a_higher_one_comes() -> None:
    """An hour of normal work alone; then critical work without end: normal goes on, at its guaranteed 5 %."""
    alone = [(0, "atlas", Tier.NORMAL, 30, 0)] * 300
    flood = [(3_000, "birch", Tier.CRITICAL, 30, 0)] * 300
    setting = one_pool(2)
    run = simulate(tasks_of(trace_of([*alone, *flood]), setting, 0.0, 7), setting, policy_named(PUSHLANE))
    flooded = [one for one in run.ran if one.started_ms >= 3_030_000]
    last_critical_ms = max(one.started_ms for one in flooded if one.task.tier is Tier.CRITICAL)
    served = [one for one in flooded if one.started_ms <= last_critical_ms]
    normal = [one for one in served if one.task.tier is Tier.NORMAL]
    assert len(normal) / len(served) >= 0.045


def test_share_clocks_hold_no_more_than_one_cost_against_a_tier() -> None:
    clocks = TierClocks(POLICY, {})
    for _ in range(1_000):
        clocks.charge(Tier.NORMAL, 30_000, late=False)
    critical = 0
    while clocks.first(Tier) is Tier.CRITICAL:
        clocks.charge(Tier.CRITICAL, 30_000, late=False)
        critical += 1
        assert critical < 100
    assert critical <= 20
