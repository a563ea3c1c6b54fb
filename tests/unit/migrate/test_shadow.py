"""Shadow: the real plan beside what a polling fleet did, on the same tasks."""

from itertools import pairwise

from pushlane.migrate.records import Ended, Picked, Polled, Record
from pushlane.migrate.shadow import Seen, ShadowAgent, compare, plan_beside, seen_in
from pushlane.model.policy import Policy, TenantPolicy

AT = 1_700_000_000_000


def a_fleet(count: int = 20, every_ms: int = 400, wait_ms: int = 900, run_ms: int = 300) -> list[Record]:
    """A task every so often, each picked up late."""
    found: list[Record] = []
    for n in range(count):
        enqueued, name = AT + n * every_ms, ("atlas", "boreal")[n % 2]
        began = enqueued + wait_ms
        found += [
            Polled(at_ms=began, poller="p", found=1),
            Picked(task_id=f"job/{n}", tenant_id=name, at_ms=began, poller="p", enqueued_at_ms=enqueued),
            Ended(task_id=f"job/{n}", tenant_id=name, at_ms=began + run_ms),
        ]
    return found


def test_with_slots_free_the_plan_begins_every_task_when_it_comes() -> None:
    tasks = seen_in(a_fleet())
    began = plan_beside(tasks, [ShadowAgent(agent_id="one", slots=2)], Policy())
    both = compare(tasks, began)
    assert [one.tenant_id for one in both] == ["atlas", "boreal"]
    assert all(one.polled.p50_ms == 900 and one.planned.max_ms == 0 for one in both)
    assert all(one.sooner == one.tasks == 10 and one.waiting == 0 for one in both)


def test_with_too_few_slots_the_plan_waits_as_it_has_to() -> None:
    tasks = seen_in(a_fleet(count=10, every_ms=10, wait_ms=5_000, run_ms=1_000))
    began = plan_beside(tasks, [ShadowAgent(agent_id="one", slots=1)], Policy())
    starts = sorted(began.values())
    assert len(starts) == 10
    assert all(later - sooner == 1_000 for sooner, later in pairwise(starts))


def test_a_limit_of_the_policy_holds_in_the_plan_too() -> None:
    policy = Policy(tenants={"atlas": TenantPolicy(tasks_per_minute=60, task_burst=1)})
    tasks = [one for one in seen_in(a_fleet(count=10, every_ms=10)) if one.tenant_id == "atlas"]
    began = plan_beside(tasks, [ShadowAgent(agent_id="one", slots=9)], policy)
    starts = sorted(began.values())
    assert len(starts) == 5
    assert starts[-1] - starts[0] >= 3_900


def test_what_no_agent_can_do_waits_in_the_plan() -> None:
    tasks = seen_in(a_fleet(count=4))
    began = plan_beside(tasks, [ShadowAgent(agent_id="one", slots=9, capabilities=("other",))], Policy())
    assert sum(one.waiting for one in compare(tasks, began)) == 4


def test_deadlines_are_judged_both_ways() -> None:
    late = Seen(
        task_id="a",
        tenant_id="atlas",
        task_type="work",
        tier="normal",
        enqueued_at_ms=AT,
        picked_at_ms=AT + 2_000,
        run_ms=500,
        deadline_ms=AT + 1_000,
    )
    [both] = compare([late], plan_beside([late], [ShadowAgent(agent_id="one", slots=1)], Policy()))
    assert (both.polled_late, both.planned_late) == (1, 0)


def test_a_task_that_was_picked_up_twice_counts_once_and_one_of_unknown_age_not_at_all() -> None:
    records: list[Record] = [
        Picked(task_id="a", tenant_id="atlas", at_ms=AT + 50, poller="p", enqueued_at_ms=AT),
        Picked(task_id="a", tenant_id="atlas", at_ms=AT + 20, poller="q", enqueued_at_ms=AT),
        Ended(task_id="a", tenant_id="atlas", at_ms=AT + 70),
        Picked(task_id="b", tenant_id="atlas", at_ms=AT + 20, poller="q"),
    ]
    [one] = seen_in(records)
    assert (one.task_id, one.picked_at_ms, one.run_ms) == ("a", AT + 20, 50)
