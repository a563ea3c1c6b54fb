"""What an attempt needs, taken all or nothing: the agent, the tenant's limits and budgets, the shared resources."""

from typing import Any

import msgspec
import pytest

from pushlane.model.agent import AgentStatus
from pushlane.model.attempt import Hold
from pushlane.model.policy import Policy, Rate, RateUnit, SlotsOf, TaskTypePolicy, TenantPolicy, TokenBudget
from pushlane.model.task import Estimate
from pushlane.scheduling.admission import Admission
from pushlane.scheduling.decisions import Block, ParkReason
from pushlane.scheduling.entry import Entry, entry_of
from pushlane.scheduling.snapshot import PoolSnapshot, ResourceView, TenantView
from pushlane.scheduling.windows import day_of, month_of, next_day_ms, next_month_ms
from tests.unit.values import NOW, POOL, a_finish, a_task, an_agent, an_entry

CPU, GPU = frozenset({"cpu"}), frozenset({"cpu", "gpu"})


def an_admission(*agents: Any, policy: Policy | None = None, **more: Any) -> Admission:
    pool = PoolSnapshot(pool=POOL, agents=agents or (an_agent(slots=9),), policy=policy or Policy(), **more)
    return Admission(pool, NOW)


def under(policy: Policy, number: int = 1, **changed: Any) -> Entry:
    return entry_of(a_task(number, **changed), policy)


def take(admission: Admission, entry: Entry) -> tuple[str, tuple[Hold, ...]]:
    assert admission.can_admit(entry) is None
    reservation, _ = admission.reserve(entry, charged=True, late=False)
    return reservation.agent_id, reservation.holds


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (an_agent(used=1), ParkReason.CAPACITY),
        (an_agent(capabilities=frozenset({"other"})), ParkReason.NO_AGENT),
        (an_agent(status=AgentStatus.DRAINING), ParkReason.NO_AGENT),
    ],
)
def test_without_a_free_agent_that_can_do_it_nothing_is_admitted(agent: Any, reason: ParkReason) -> None:
    assert an_admission(agent).can_admit(an_entry()) == Block(reason)


def test_a_specialist_is_taken_before_a_generalist_among_equally_loaded() -> None:
    admission = an_admission(
        an_agent("general", slots=2, capabilities=GPU), an_agent("special", slots=2, capabilities=CPU)
    )
    assert take(admission, an_entry(capabilities=("cpu",)))[0] == "special"


def test_the_least_loaded_agent_is_taken() -> None:
    admission = an_admission(an_agent("busy", slots=4, used=2), an_agent("idle", slots=2))
    assert [take(admission, an_entry(n))[0] for n in range(4)] == ["idle", "busy", "idle", "busy"]


def test_the_pools_own_agent_is_taken_before_one_that_is_lent() -> None:
    admission = an_admission(an_agent("lent", slots=9, pool="other"), an_agent("own", slots=9, used=8))
    assert [take(admission, an_entry(n))[0] for n in range(2)] == ["own", "lent"]


def test_affinity_is_how_exactly_the_best_free_agent_fits() -> None:
    admission = an_admission(an_agent("general", capabilities=GPU), an_agent("special", capabilities=CPU, used=1))
    assert admission.affinity(("cpu",)) == 0.5
    assert admission.affinity(("cpu", "gpu")) == 1.0
    assert admission.affinity(("other",)) == 0.0


def test_a_tenants_cap_counts_what_this_plan_gives_and_what_it_gets_back() -> None:
    policy = Policy(tenants={"atlas": TenantPolicy(in_flight_max=2)})
    admission = an_admission(policy=policy, tenants={"atlas": TenantView(in_flight=1)})
    take(admission, an_entry(1))
    assert admission.can_admit(an_entry(2)) == Block(ParkReason.TENANT_QUOTA)
    assert admission.spent("atlas")
    assert admission.can_admit(an_entry(3, tenant_id="boreas")) is None
    admission.release(a_finish(9, counted=True))
    take(admission, an_entry(2))


def test_a_tenants_rate_says_when_it_admits_again() -> None:
    policy = Policy(tenants={"atlas": TenantPolicy(tasks_per_minute=60, task_burst=2)})
    admission = an_admission(policy=policy)
    take(admission, an_entry(1))
    take(admission, an_entry(2))
    assert admission.can_admit(an_entry(3)) == Block(ParkReason.TENANT_QUOTA, NOW + 1_000)


@pytest.mark.parametrize(
    ("window", "ends_ms"), [("tokens_per_day", next_day_ms(NOW)), ("tokens_per_month", next_month_ms(NOW))]
)
def test_past_a_hard_budget_a_task_waits_for_the_next_window(window: str, ends_ms: int) -> None:
    policy = Policy(
        tenants={"atlas": msgspec.structs.replace(TenantPolicy(), **{window: TokenBudget(soft=10, hard=1_000)})}
    )
    view = TenantView(day=day_of(NOW), day_tokens=400, month=month_of(NOW), month_tokens=400)
    admission = an_admission(policy=policy, tenants={"atlas": view})
    take(admission, under(policy, 1, estimate=Estimate(tokens=600)))
    assert admission.can_admit(under(policy, 2, estimate=Estimate(tokens=1))) == Block(ParkReason.WINDOW, ends_ms)


def test_a_new_day_begins_with_the_whole_budget() -> None:
    policy = Policy(tenants={"atlas": TenantPolicy(tokens_per_day=TokenBudget(hard=1_000))})
    yesterday = TenantView(day=day_of(NOW - 86_400_000), day_tokens=1_000)
    admission = an_admission(policy=policy, tenants={"atlas": yesterday})
    assert admission.can_admit(under(policy, estimate=Estimate(tokens=1_000))) is None


@pytest.mark.parametrize(
    ("now_ms", "day", "month", "next_day", "next_month"),
    [
        (1_700_000_000_000, 20231114, 202311, 1_700_006_400_000, 1_701_388_800_000),
        (1_704_067_199_999, 20231231, 202312, 1_704_067_200_000, 1_704_067_200_000),
        (1_709_164_800_000, 20240229, 202402, 1_709_251_200_000, 1_709_251_200_000),
    ],
)
def test_windows_are_days_and_months_of_utc(now_ms: int, day: int, month: int, next_day: int, next_month: int) -> None:
    assert (day_of(now_ms), month_of(now_ms)) == (day, month)
    assert (next_day_ms(now_ms), next_month_ms(now_ms)) == (next_day, next_month)


def with_resources(**resources: Any) -> Policy:
    return Policy(resources=resources, task_types={"work": TaskTypePolicy(resources=tuple(resources))})


def test_slots_of_a_resource_are_taken_and_given_back() -> None:
    policy = with_resources(browsers=SlotsOf(slots=2))
    admission = an_admission(policy=policy, resources=(ResourceView(name="browsers", used=1),))
    assert take(admission, under(policy, 1))[1] == (Hold("browsers", 1, slots=True),)
    assert admission.can_admit(under(policy, 2)) == Block(ParkReason.RATE, None, "browsers")
    other = an_admission(policy=policy, resources=(ResourceView(name="browsers", used=2),))
    other.release(a_finish(9, holds=(Hold("browsers", 1, slots=True),)))
    assert other.can_admit(under(policy, 2)) is None


def test_a_task_that_needs_more_slots_than_there_are_runs_alone() -> None:
    policy = with_resources(browsers=SlotsOf(slots=2))
    greedy = under(policy, resources={"browsers": 5})
    assert an_admission(policy=policy).can_admit(greedy) is None
    busy = an_admission(policy=policy, resources=(ResourceView(name="browsers", used=1),))
    assert busy.can_admit(greedy) == Block(ParkReason.RATE, None, "browsers")


def test_a_rate_is_drawn_by_tokens_or_by_one_and_says_when_it_admits_again() -> None:
    policy = with_resources(tpm=Rate(per_minute=60_000, burst=1_000), rpm=Rate(per_minute=600, unit=RateUnit.REQUESTS))
    admission = an_admission(policy=policy)
    entry = under(policy, estimate=Estimate(tokens=600))
    assert take(admission, entry)[1] == (Hold("rpm", 1), Hold("tpm", 600))
    assert admission.can_admit(entry) == Block(ParkReason.RATE, NOW + 200, "tpm")


def test_a_draw_goes_to_the_shard_that_has_most() -> None:
    policy = with_resources(rpm=Rate(per_minute=120, burst=2, shards=2, unit=RateUnit.REQUESTS))
    admission = an_admission(policy=policy)
    assert {take(admission, under(policy, n))[1] for n in range(2)} == {(Hold("rpm", 1, 0),), (Hold("rpm", 1, 1),)}
    assert admission.can_admit(under(policy, 3)) == Block(ParkReason.RATE, NOW + 1_000, "rpm")


def test_a_paused_resource_admits_nobody_until_its_provider_is_ready() -> None:
    policy = with_resources(rpm=Rate(per_minute=600, unit=RateUnit.REQUESTS))
    paused = ResourceView(name="rpm", paused_until_ms=NOW + 7_000)
    admission = an_admission(policy=policy, resources=(paused,))
    assert admission.can_admit(under(policy)) == Block(ParkReason.RATE, NOW + 7_000, "rpm")


def test_who_waits_for_a_resource_is_not_overtaken_by_a_smaller_draw() -> None:
    policy = with_resources(tpm=Rate(per_minute=60_000, burst=1_000))
    view = ResourceView(name="tpm", tat_us=NOW * 1_000 + 500_000)
    admission = an_admission(policy=policy, resources=(view,))
    large, small = (under(policy, n, estimate=Estimate(tokens=tokens)) for n, tokens in ((1, 900), (2, 10)))
    assert admission.can_admit(large) == Block(ParkReason.RATE, NOW + 400, "tpm")
    assert admission.can_admit(small) == Block(ParkReason.RATE, NOW + 400, "tpm")


def test_a_resource_that_the_policy_does_not_know_limits_nobody() -> None:
    assert take(an_admission(), an_entry(resources={"unknown": 5}))[1] == ()


def test_a_slot_that_an_ended_attempt_gave_is_handed_on_once() -> None:
    admission = an_admission(an_agent(slots=2, used=1))
    admission.release(a_finish(9))
    handed = [admission.reserve(an_entry(n), charged=False, late=False)[1] for n in (1, 2)]
    assert handed == ["t-0009", None]
    assert admission.can_admit(an_entry(3)) == Block(ParkReason.CAPACITY)
