"""A critical task without a slot asks the cheapest running one to yield: over the real turn, with agents by hand."""

from collections.abc import Sequence

import pytest

from pushlane.model.agent import Agent
from pushlane.model.attempt import Reservation
from pushlane.model.endpoint import sqs
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Tier
from pushlane.ports import Update, Write
from pushlane.scheduling.admission import Admission
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.preemption import preemptions
from pushlane.scheduling.snapshot import PoolSnapshot, Running
from tests.unit.router.by_hand import a_dispatcher, marks, orders, put, running
from tests.unit.router.faults import Beside


def gives_order(operations: Sequence[Write]) -> bool:
    return any(isinstance(one, Update) and "order_for" in one.set for one in operations)


def test_a_critical_task_without_a_slot_orders_one_running_task_to_yield_and_both_ends_say_so() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    assert victim.order_for == waiter
    assert marks(dispatcher) == {waiter: victim.task_id}
    assert dispatcher.statuses(victim.task_id, waiter) == ["DISPATCHED", "PARKED"]
    assert dispatcher.used("one") == 1


@pytest.mark.parametrize("tier", ["high", "normal", "background"])
def test_no_other_tier_asks(tier: str) -> None:
    dispatcher = a_dispatcher()
    running(dispatcher, "victim", tier="low")
    put(dispatcher, "waiter", tier=tier)
    assert orders(dispatcher) == {}


@pytest.mark.parametrize("tier", ["critical", "high"])
def test_nobody_of_a_protected_tier_is_asked(tier: str) -> None:
    dispatcher = a_dispatcher()
    running(dispatcher, "victim", tier=tier)
    put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {}


def test_the_victim_is_of_the_lowest_tier_and_among_those_the_one_that_has_done_least() -> None:
    dispatcher = a_dispatcher(slots=4)
    for key, tier in (("n", "normal"), ("old", "background"), ("young", "background"), ("h", "high")):
        running(dispatcher, key, tier=tier)
        dispatcher.advance(5)
    put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {keyed_task_id("atlas", "young"): keyed_task_id("atlas", "waiter")}


def test_one_that_was_pushed_and_has_not_started_yet_is_asked_too() -> None:
    dispatcher = a_dispatcher()
    victim = put(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {victim: waiter}
    assert dispatcher.take("one").order_for == waiter


def test_each_waiter_has_one_order_out_and_each_victim_gets_one() -> None:
    dispatcher = a_dispatcher(slots=3)
    for key in "abc":
        running(dispatcher, key)
        dispatcher.advance(1)
    first, second = (put(dispatcher, key, tier="critical") for key in ("w1", "w2"))
    for _ in range(3):
        dispatcher.sweep()
    assert sorted(orders(dispatcher).values()) == sorted([first, second])
    assert marks(dispatcher) == {waiter: victim for victim, waiter in orders(dispatcher).items()}


def test_of_two_turns_that_choose_different_victims_for_one_waiter_one_asks() -> None:
    beside = Beside(gives_order)
    dispatcher = a_dispatcher(slots=2, faults=beside)
    dispatcher.register(None, agent_id="one", slots=2, capabilities=("echo", "other"))
    chosen_there = running(dispatcher, "older", task_type="other")
    dispatcher.advance(5)
    chosen_here = running(dispatcher, "younger")

    def another_turn() -> None:
        dispatcher.set_policy(task_types={"echo": {"preemptible": False}})
        dispatcher.sweep()

    beside.early = another_turn
    waiter = put(dispatcher, "waiter", tier="critical")
    assert beside.over
    assert (chosen_there.order_for, chosen_here.order_for) == (waiter, None)
    assert marks(dispatcher) == {waiter: chosen_there.task_id}


def test_a_turn_that_serves_the_waiter_while_another_orders_for_it_leaves_no_order() -> None:
    beside = Beside(gives_order)
    dispatcher = a_dispatcher(slots=2, faults=beside)
    victim = running(dispatcher, "victim", tier="background")
    other = running(dispatcher, "other")

    def a_slot_frees() -> None:
        other.succeed()
        dispatcher.run_until_idle()

    beside.early = a_slot_frees
    waiter = put(dispatcher, "waiter", tier="critical")
    assert dispatcher.status(waiter) == "DISPATCHED"
    assert (victim.order_for, marks(dispatcher)) == (None, {})


def test_a_waiter_with_a_deadline_asks_only_when_little_of_its_laxity_is_left() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    now_ms = dispatcher.clock.now_ms()
    waiter = put(dispatcher, "waiter", tier="critical", deadline_ms=now_ms + 70_000, estimate={"runtime_seconds": 10})
    dispatcher.advance(54)  # it has to start at 60 s, and asks five seconds before
    assert victim.order_for is None
    dispatcher.advance(2)
    assert victim.order_for == waiter


def test_a_type_that_may_not_be_preempted_is_not_and_the_policy_can_switch_it_all_off() -> None:
    dispatcher = a_dispatcher()
    dispatcher.set_policy(task_types={"echo": {"preemptible": False}})
    running(dispatcher, "victim")
    put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {}
    dispatcher.set_policy(preemption={"enabled": False})
    dispatcher.sweep()
    assert orders(dispatcher) == {}
    dispatcher.set_policy()
    dispatcher.sweep()
    assert len(orders(dispatcher)) == 1


def test_nobody_yields_for_a_task_that_could_not_run_even_then() -> None:
    dispatcher = a_dispatcher(slots=2)
    dispatcher.set_policy(tenants={"atlas": {"in_flight_max": 1}}, resources={"gpu": {"kind": "slots", "slots": 1}})
    running(dispatcher, "a", tenant_id="atlas")
    gpu = running(dispatcher, "b", tenant_id="borea", resources={"gpu": 1}, tier="high")
    put(dispatcher, "capped", tenant_id="atlas", tier="critical")
    needs_gpu = put(dispatcher, "gpu", tenant_id="cedar", tier="critical", resources={"gpu": 1})
    assert orders(dispatcher) == {}
    gpu.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(needs_gpu) == "DISPATCHED"


def test_nobody_on_an_agent_that_takes_nothing_more_is_asked() -> None:
    dispatcher = a_dispatcher(slots=2)
    running(dispatcher, "a")
    running(dispatcher, "b")
    dispatcher.register(None, agent_id="one", slots=1, capabilities=("echo",))  # one slot fewer than it runs
    put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {}


def test_a_task_that_gets_the_slot_before_the_waiter_by_its_tiers_share_is_asked_to_yield_it() -> None:
    dispatcher = a_dispatcher()
    dispatcher.set_policy(tiers={"low": {"min_share": 0.6, "longest_wait_seconds": 7_200}})
    held = running(dispatcher, "held", tier="high")
    put(dispatcher, "high", tier="high")
    shares = [put(dispatcher, f"low-{number}", "borea", tier="low") for number in range(3)]
    waiter = put(dispatcher, "waiter", tier="critical")
    for _ in range(4):
        held.succeed()
        dispatcher.run_until_idle()
        held = dispatcher.take("one")
        if held.task_id in shares and dispatcher.status(waiter) == "PARKED":
            break
        if held.task_id == waiter:
            waiter = put(dispatcher, "another", tier="critical")
    assert held.task_id in shares
    assert held.order_for == waiter


def test_of_an_attempt_that_something_is_decided_of_already_nothing_more_is_asked() -> None:
    waiter = an_entry("waiter", tier=Tier.CRITICAL)
    held = Reservation(agent_id="one", agent_pool="default", tenant_id="atlas", tier=Tier.LOW, reserved_at_ms=0)
    agent = Agent(agent_id="one", capabilities=frozenset(waiter.capabilities), slots=1, used=1, endpoint=sqs("q"))
    victim = Running(task_id="victim", epoch=1, reservation=held)
    snapshot = PoolSnapshot(pool="default", agents=(agent,), claimants=(waiter,), running=(victim,))
    admission = Admission(snapshot, 10)
    assert [one.victim for one in preemptions(snapshot, admission, 10)] == [victim]
    assert preemptions(snapshot, admission, 10, {"victim"}) == preemptions(snapshot, admission, 10, {"waiter"}) == []


def an_entry(task_id: str, tier: Tier) -> Entry:
    return Entry(
        task_id=task_id,
        tenant_id="atlas",
        task_type="echo",
        tier=tier,
        capabilities=("echo",),
        enqueued_at_ms=0,
        start_by_ms=60_000,
        runtime_ms=1_000,
    )
