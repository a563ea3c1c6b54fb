"""Lanes under pressure: producers are told once each way, the tenant steps aside, nobody else does, nothing is lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import Fact, FactName
from pushlane.model.task import DEFAULT_POOL, Tier
from pushlane.ports import Table, Update, Write
from pushlane.router.held import HeldTenants
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import HELD

TENANTS = ("noisy", "quiet")


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return payload


def a_dispatcher(lane_max: int = 10, slots: int = 1, *, by_hand: bool = True, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=TENANTS, **more)
    dispatcher.register(None if by_hand else echo, agent_id="one", slots=slots, capabilities=("echo",))
    dispatcher.set_policy(pools={DEFAULT_POOL: {"lane_max": lane_max}})
    return dispatcher


def flood(dispatcher: InMemoryDispatcher, count: int, tenant_id: str = "noisy", **data: Any) -> list[str]:
    tasks = [dispatcher.submit(tenant_id=tenant_id, **data) for _ in range(count)]
    dispatcher.run_until_idle()
    return tasks


def told(dispatcher: InMemoryDispatcher) -> list[Fact]:
    return dispatcher.facts_of(FactName.BACKPRESSURE_CHANGED)


def words(dispatcher: InMemoryDispatcher) -> list[str]:
    return [str(fact.data.reason).partition(":")[0] for fact in told(dispatcher)]


def finish_one(dispatcher: InMemoryDispatcher) -> None:
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()


# The facts


def test_producers_are_told_to_slow_down_at_one_mark_and_to_go_on_below_another() -> None:
    dispatcher = a_dispatcher(lane_max=10)  # on at 8, off at 5
    flood(dispatcher, 1 + 7)
    assert words(dispatcher) == []
    flood(dispatcher, 1)
    assert words(dispatcher) == ["slow down"]
    for _ in range(2):
        finish_one(dispatcher)
    assert dispatcher.waiting() == 6
    assert words(dispatcher) == ["slow down"]
    finish_one(dispatcher)
    assert words(dispatcher) == ["slow down", "go on"]
    [first, _] = told(dispatcher)
    assert (first.data.tenant_id, first.data.pool) == ("noisy", DEFAULT_POOL)
    assert "8 tasks of tier normal" in str(first.data.reason)


def test_a_lane_that_swings_between_the_marks_says_nothing_more() -> None:
    dispatcher = a_dispatcher(lane_max=10)
    flood(dispatcher, 1 + 8)
    for _ in range(6):
        finish_one(dispatcher)
        dispatcher.advance(20)  # no longer held back
        flood(dispatcher, 1)
    assert 5 < dispatcher.waiting() <= 8
    assert words(dispatcher) == ["slow down"]


def test_one_batch_that_crosses_both_marks_of_different_lanes_tells_each() -> None:
    dispatcher = a_dispatcher(lane_max=4)
    for tier in ("low", "normal"):
        for _ in range(4):
            dispatcher.submit(tenant_id="noisy", tier=tier)
    dispatcher.run_until_idle()
    assert words(dispatcher) == ["slow down"]  # one of the eight runs
    dispatcher.advance(20)
    flood(dispatcher, 1, tier="normal")
    assert len(told(dispatcher)) == len({fact.metadata.fact_id for fact in told(dispatcher)})


def test_of_turns_side_by_side_that_cross_a_mark_one_says_so() -> None:
    class Beside:
        """Another router parks one, too, right before the transaction that says it."""

        def __init__(self) -> None:
            self.dispatcher: InMemoryDispatcher | None = None

        @property
        def over(self) -> bool:
            return self.dispatcher is None

        def before(self, name: str, operations: Sequence[Write]) -> None:
            crosses = any(isinstance(one, Update) and "pressed" in one.set for one in operations)
            if name == "transact" and crosses and self.dispatcher is not None:
                dispatcher, self.dispatcher = self.dispatcher, None
                dispatcher.clock.advance(1)
                dispatcher.submit(tenant_id="noisy")
                dispatcher._deliver_intake()

        def after(self, name: str, operations: Sequence[Write]) -> None:
            """Nothing happens."""

    beside = Beside()
    dispatcher = a_dispatcher(lane_max=10, faults=beside)
    flood(dispatcher, 1 + 7)
    beside.dispatcher = dispatcher
    flood(dispatcher, 1)
    assert beside.over
    assert dispatcher.waiting() == 9
    assert words(dispatcher) == ["slow down"]


# The shunt


def test_a_tenant_under_pressure_is_held_before_anything_is_written_and_comes_back() -> None:
    dispatcher = a_dispatcher(lane_max=10)
    flood(dispatcher, 1 + 8)
    before = len(dispatcher.store.items(Table.TASKS))
    held = flood(dispatcher, 5)
    assert len(dispatcher.store.items(Table.TASKS)) == before
    assert dispatcher.statuses(*held) == [None] * 5
    assert dispatcher.sender.next_visible_of(HELD) == dispatcher.clock.now_ms() + 15_000
    for _ in range(6):
        finish_one(dispatcher)
    dispatcher.advance(15)
    assert dispatcher.statuses(*held) == ["PARKED"] * 5


def test_quiet_tenants_and_the_tenants_other_tiers_are_not_held() -> None:
    dispatcher = a_dispatcher(lane_max=4)
    flood(dispatcher, 1 + 4, tier="background")
    assert flood(dispatcher, 1, tier="background") != []
    quiet, urgent = flood(dispatcher, 1, "quiet"), flood(dispatcher, 1, tier="critical")
    assert dispatcher.statuses(*quiet, *urgent) == ["PARKED", "PARKED"]
    assert [fields["tenants"] for event, fields in dispatcher.logged if event == "held"] == [1]


def test_a_tenant_whose_lane_is_full_is_held_by_a_router_that_met_the_full_lane() -> None:
    dispatcher = a_dispatcher(lane_max=4)
    flood(dispatcher, 1 + 4)
    dispatcher.held = HeldTenants()
    dispatcher.router = dispatcher.new_router(dispatcher.held)  # another environment, which knows nothing yet
    flood(dispatcher, 1)
    assert [one["code"] for one in dispatcher.quarantined()] == ["lane_full"]
    flood(dispatcher, 3)
    assert dispatcher.quarantined() == []  # stepped aside: refused only if the lane is still full then


def test_holding_one_tier_is_not_holding_all() -> None:
    held = HeldTenants()
    held.note("p", "noisy", 10_000, Tier.LOW)
    assert held.over("p", "noisy", 0, Tier.LOW) == 10
    assert held.over("p", "noisy", 0, Tier.HIGH) is None
    held.note("p", "noisy", 20_000)
    assert held.over("p", "noisy", 0, Tier.LOW) == held.over("p", "noisy", 0, Tier.HIGH) == 20


@pytest.mark.parametrize("routers", [1, 3])
def test_nothing_is_lost_under_a_burst_far_over_the_bound(routers: int) -> None:
    """400 tasks for a lane of 20: each is done, or lies in quarantine with the time after which to try again."""
    dispatcher = a_dispatcher(lane_max=20, slots=4, by_hand=False)
    others = [dispatcher.new_router() for _ in range(routers - 1)]
    tasks = [dispatcher.submit(tenant_id="noisy", idempotency_key=f"k{number}") for number in range(400)]
    turns = 0
    while dispatcher._deliver_intake():
        turns += 1
        dispatcher.router = [dispatcher.router, *others][turns % routers]
        if turns % 7 == 0:
            dispatcher.step()
    dispatcher.run_until_idle()
    quiet = [dispatcher.submit(tenant_id="quiet") for _ in range(10)]
    dispatcher.run_until_idle()
    assert set(dispatcher.statuses(*quiet)) == {"SUCCEEDED"}
    for _ in range(40):
        dispatcher.advance(60)
    refused = dispatcher.quarantined()
    done = [task_id for task_id in tasks if dispatcher.status(task_id) == "SUCCEEDED"]
    assert len(done) + len(refused) == 400
    assert len(done) == len({fact.data.task_id for fact in dispatcher.facts_of(FactName.TASK_SUCCEEDED)}) - 10
    assert all(one["code"] == "lane_full" and one["retry_after_seconds"] >= 1 for one in refused)
    assert (dispatcher.waiting(), dispatcher.used("one"), dispatcher.sender.queue_urls()) == (0, 0, [])


def test_the_lane_never_holds_more_than_its_bound() -> None:
    dispatcher = a_dispatcher(lane_max=10)
    for _ in range(4):
        dispatcher.held = HeldTenants()
        dispatcher.router = dispatcher.new_router(dispatcher.held)
        flood(dispatcher, 7)
        assert dispatcher.waiting() <= 10
    assert dispatcher.waiting() == 10
    assert len(dispatcher.quarantined()) == 4 * 7 - 1 - 10


def test_going_back_to_a_lane_is_never_refused() -> None:
    """A retry, or a yielded task, was accepted before: a full lane takes it over its bound."""
    dispatcher = a_dispatcher(lane_max=2)
    flood(dispatcher, 1)
    attempt = dispatcher.take("one")
    flood(dispatcher, 2)
    urgent = flood(dispatcher, 1, "quiet", tier="critical")
    assert attempt.order_for == urgent[0]
    attempt.give_way()
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "PARKED"
    lane = [item for item in dispatcher.store.items(Table.SCHEDULER) if item.key.pk.startswith("LANES#")]
    assert max(int(str(item.attributes["depth"])) for item in lane) == 3
