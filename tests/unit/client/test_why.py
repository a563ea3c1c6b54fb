"""Why a task is where it is, against a dispatcher in memory."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.client.errors import TaskUnknown
from pushlane.client.why import Why, why
from pushlane.inmemory import Faults
from pushlane.model.policy import Policy, Rate, SlotsOf, TenantPolicy, TokenBudget
from pushlane.state import policies
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.dispatcher import START_MS
from tests.unit.values import CountedCalls


@agent(task_types=("work", "fail", "flaky"))
def worker(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.task_type == "fail":
        raise Permanent("no such document")
    if ctx.task_type == "flaky":
        raise ValueError("not now")
    return {}


class World:
    """A dispatcher whose agents never get round to their work, so that what is submitted waits."""

    def __init__(self, *, slots: int = 1, policy: Policy | None = None, faults: Faults | None = None) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "birch"), faults=faults)
        self.dispatcher.register(worker, agent_id="one", slots=slots)
        if policy is not None:
            change = policies.PolicyChange(document=msgspec.json.encode(policy), change_id="c", changed_by="test")
            policies.set_policy(self.dispatcher.store, change, START_MS)

    def submit(self, runtime_seconds: float = 30.0, task_type: str = "work", **data: Any) -> str:
        estimate = {"runtime_seconds": runtime_seconds, "tokens": data.pop("tokens", 0)}
        task_id = self.dispatcher.submit(task_type=task_type, payload={}, estimate=estimate, **data)
        while self.dispatcher.task(task_id) is None:
            self.dispatcher._deliver_intake()
        return task_id

    def submit_in_order(self, count: int, runtime_seconds: float = 30.0) -> list[str]:
        """A millisecond apart, so that the first to come is the first in its lane."""
        ids = []
        for _ in range(count):
            ids.append(self.submit(runtime_seconds))
            self.dispatcher.clock.advance(1)
        return ids

    def why(self, task_id: str) -> Why:
        return why(self.dispatcher.store, task_id, self.dispatcher.clock.now_ms())


def test_a_busy_pool_is_told_with_place_estimate_and_bound() -> None:
    world = World(slots=2)
    for _ in range(2):
        world.submit(60.0)
    waiting = world.submit_in_order(3, 20.0)
    said = world.why(waiting[2])
    assert (said.status, said.reason, said.until_ms) == ("PARKED", "capacity", None)
    assert said.place is not None
    assert said.shares is not None
    assert said.wait is not None
    assert (said.place.in_lane, said.place.exact, said.place.lane_depth, said.place.lanes_before) == (3, True, 3, 0)
    assert (said.shares.slots, said.shares.tenants, said.shares.tenant_share, said.shares.tier_share) == (2, 1, 1, 0.05)
    # Two times 60 s run, and two times 20 s go before, on two slots.
    assert said.wait.estimated_start_ms == START_MS + 80_000
    assert said.wait.bound_ms is not None
    assert said.wait.bound_ms >= 80_000
    assert said.wait.latest_start_ms == said.at_ms + said.wait.bound_ms
    first = world.why(waiting[0])
    assert first.place is not None
    assert first.place.in_lane == 1
    assert first.wait is not None
    assert first.wait.estimated_start_ms == START_MS + 60_000


def test_time_passes_in_the_estimate() -> None:
    world = World()
    world.submit(60.0)
    waiting = world.submit()
    world.dispatcher.clock.advance(45_000)
    said = world.why(waiting)
    assert said.wait is not None
    assert said.wait.estimated_start_ms == START_MS + 60_000


def test_tenants_and_tiers_before_it_are_counted() -> None:
    world = World()
    world.submit()
    quiet = world.submit(tenant_id="birch")
    alone = world.why(quiet)
    for _ in range(5):
        world.submit()
        world.submit(tier="critical")
    shared = world.why(quiet)
    assert alone.place is not None
    assert shared.place is not None
    assert shared.shares is not None
    assert alone.place.lanes_before == 0
    assert shared.place.lanes_before >= 1  # the critical lane, whoever of the two tenants is first
    assert (shared.place.in_lane, shared.shares.tenants, shared.shares.tenant_share) == (1, 2, 0.5)
    assert alone.wait is not None
    assert shared.wait is not None
    assert alone.wait.bound_ms is not None
    assert shared.wait.bound_ms is not None
    assert shared.wait.bound_ms > alone.wait.bound_ms
    assert alone.wait.estimated_start_ms is not None
    assert shared.wait.estimated_start_ms is not None
    assert shared.wait.estimated_start_ms >= alone.wait.estimated_start_ms + 5 * 30_000


def test_no_agent_can_run_it() -> None:
    world = World()
    said = world.why(world.submit(capabilities=["browser"]))
    assert said.reason == "no-agent"
    assert said.wait is not None
    assert (said.wait.bound_ms, said.wait.estimated_start_ms) == (None, None)


def test_a_rate_is_named_with_the_time_of_its_refill() -> None:
    world = World(slots=4, policy=Policy(resources={"llm-tpm": Rate(per_minute=1_000)}))
    world.submit(resources={"llm-tpm": 1_000})
    said = world.why(world.submit(resources={"llm-tpm": 500}))
    assert (said.reason, said.until_ms) == ("rate:llm-tpm", START_MS + 30_000)
    assert said.wait is not None
    assert said.wait.latest_start_ms is not None
    assert said.wait.latest_start_ms >= START_MS + 30_000
    assert said.wait.estimated_start_ms == START_MS + 30_000


def test_slots_of_a_resource_end_with_others_so_nothing_is_promised() -> None:
    world = World(slots=4, policy=Policy(resources={"browser": SlotsOf(slots=1)}))
    world.submit(resources={"browser": 1})
    said = world.why(world.submit(resources={"browser": 1}))
    assert (said.reason, said.until_ms) == ("rate:browser", None)
    assert said.wait is not None
    assert said.wait.latest_start_ms is None


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (TenantPolicy(in_flight_max=1), "tenant-quota"),
        (TenantPolicy(tasks_per_minute=1), "tenant-quota"),
        (TenantPolicy(tokens_per_day=TokenBudget(hard=150)), "window"),
    ],
)
def test_a_tenants_own_limits(rules: TenantPolicy, reason: str) -> None:
    world = World(slots=4, policy=Policy(tenants={"atlas": rules}))
    world.submit(tokens=100)
    assert world.why(world.submit(tokens=100)).reason == reason


def test_what_the_next_turn_dispatches_is_told_so() -> None:
    world = World()
    world.submit()
    waiting = world.submit()
    world.dispatcher.register(worker, agent_id="two")
    said = world.why(waiting)
    assert said.reason == "contention"
    assert said.wait is not None
    assert said.wait.estimated_start_ms == START_MS


def test_what_others_take_is_told_as_fairness_or_priority() -> None:
    world = World()
    world.submit()
    mine = world.submit_in_order(2)
    urgent = World()
    urgent.submit()
    low = urgent.submit(tier="low")
    urgent.submit(tier="critical")
    for one in (world, urgent):
        one.dispatcher.register(worker, agent_id="two")
    assert world.why(mine[1]).reason == "fairness"
    assert urgent.why(low).reason == "priority"


def test_work_that_cannot_make_its_deadline_is_told_apart() -> None:
    world = World()
    world.submit()
    world.submit(deadline_ms=START_MS + 10_000_000)
    late = world.submit(deadline_ms=START_MS + 20_000)
    said = world.why(late)
    assert said.place is not None
    assert (said.place.late, said.place.in_lane, said.place.exact, said.place.lane_depth) == (True, 1, True, 2)


def test_deep_in_its_lane_the_place_is_at_most_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.client.waiting.HEADS_MAX", 3)
    world = World()
    world.submit()
    ids = world.submit_in_order(6)
    deep, near = world.why(ids[5]), world.why(ids[2])
    assert deep.place is not None
    assert near.place is not None
    assert (deep.place.in_lane, deep.place.exact) == (6, False)
    assert (near.place.in_lane, near.place.exact) == (3, True)
    assert deep.wait is not None
    assert near.wait is not None
    assert (deep.wait.bound_ms or 0) > (near.wait.bound_ms or 0)


def test_a_dispatched_task_names_its_agent() -> None:
    world = World()
    said = world.why(world.submit())
    assert (said.status, said.agent_id, said.dispatched_at_ms, said.started_at_ms) == (
        "DISPATCHED",
        "one",
        START_MS,
        None,
    )
    assert "has not started it yet" in said.explanation
    assert said.place is None


def test_a_retrying_task_says_when_it_is_due_and_why() -> None:
    world = World()
    task_id = world.submit(task_type="flaky", capabilities=["work"])
    world.dispatcher.run_until_idle()
    said = world.why(task_id)
    assert said.status == "RETRYING"
    assert said.due_ms is not None
    assert said.due_ms > START_MS
    assert "not now" in said.explanation


@pytest.mark.parametrize(("task_type", "status"), [("work", "SUCCEEDED"), ("fail", "FAILED")])
def test_an_ended_task_says_its_end(task_type: str, status: str) -> None:
    world = World()
    task_id = world.submit(task_type=task_type)
    world.dispatcher.run_until_idle()
    said = world.why(task_id)
    assert (said.status, said.ended_at_ms) == (status, START_MS)
    assert ("no such document" in said.explanation) == (status == "FAILED")


def test_an_unknown_task_is_an_error() -> None:
    with pytest.raises(TaskUnknown, match="t-none"):
        World().why("t-none")


def test_asking_writes_nothing_and_reads_no_more_for_a_longer_queue() -> None:
    def calls(parked: int) -> list[str]:
        counted = CountedCalls()
        world = World(faults=counted)
        ids = world.submit_in_order(1 + parked)
        counted.calls.clear()
        world.why(ids[-1])
        return counted.calls

    few = calls(2)
    assert set(few) == {"get", "query"}
    assert calls(40) == few


def test_the_json_leaves_out_what_does_not_apply() -> None:
    world = World()
    plain = json.loads(world.why(world.submit()).to_json())
    assert "place" not in plain
    assert plain["status"] == "DISPATCHED"
