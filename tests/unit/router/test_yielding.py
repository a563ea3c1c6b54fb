"""A task that gives its slot up keeps its place; an order is withdrawn when its waiter does not need it."""

from typing import Any

from tests.unit.router.by_hand import a_dispatcher, account, marks, orders, put, running, stored


def test_the_slot_frees_only_when_the_victim_yields_and_goes_to_the_waiter_in_that_transaction() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    dispatcher.advance(20)
    assert dispatcher.status(waiter) == "PARKED"
    victim.give_way({"page": 7})
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["PARKED", "DISPATCHED"]
    assert stored(dispatcher, victim.task_id)["checkpoint"] == '{"page":7}'
    assert dispatcher.used("one") == 1
    assert orders(dispatcher) == marks(dispatcher) == {}


def test_a_yielded_task_keeps_its_place_costs_no_retry_and_is_trued_up() -> None:
    dispatcher = a_dispatcher()
    before = running(dispatcher, "first", tier="high")  # so that the victim waits, and its tenant is charged
    victim_id = put(dispatcher, "victim", retry={"max_attempts": 2}, estimate={"runtime_seconds": 100})
    behind = put(dispatcher, "behind", tenant_id="atlas")
    before.succeed()
    dispatcher.run_until_idle()
    charged_ms = account(dispatcher, "atlas").virtual_ms
    victim = dispatcher.take("one")
    assert victim.task_id == victim_id
    assert charged_ms == 100_000
    for round_ in range(3):  # more often than it may be tried
        put(dispatcher, f"waiter-{round_}", tier="critical")
        dispatcher.advance(1)
        victim.give_way()
        dispatcher.run_until_idle()
        if round_ == 0:
            assert account(dispatcher, "atlas").virtual_ms == 1_000  # what it used
        dispatcher.take("one").succeed()  # the waiter
        dispatcher.run_until_idle()
        victim = dispatcher.take("one")
        assert (victim.task_id, victim.dispatch.epoch) == (victim_id, round_ + 2)  # before the one behind it
    assert stored(dispatcher, victim_id)["uncounted"] == 3
    victim.fail()
    dispatcher.run_until_idle()
    assert dispatcher.status(victim_id) == "RETRYING"  # that was its first counted try
    assert dispatcher.status(behind) == "DISPATCHED"


def test_a_victim_whose_tenant_has_a_backlog_goes_back_into_that_lane() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    for number in range(5):
        dispatcher.advance(1)
        put(dispatcher, f"behind-{number}")
    waiter = put(dispatcher, "waiter", tenant_id="borea", tier="critical")
    victim.give_way()
    dispatcher.run_until_idle()
    assert dispatcher.status(waiter) == "DISPATCHED"
    assert dispatcher.waiting() == 6
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.take("one").task_id == victim.task_id


def test_a_yield_with_nobody_waiting_any_more_runs_on_at_once() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    victim.give_way({"n": 1})
    dispatcher.run_until_idle()
    again = dispatcher.take("one")
    assert (again.task_id, again.dispatch.epoch) == (victim.task_id, 2)
    again.succeed({"done": True})
    dispatcher.run_until_idle()
    assert dispatcher.result(victim.task_id) == {"done": True}
    assert dispatcher.used("one") == 0


def test_its_tenant_gains_nothing_from_having_been_idle_before() -> None:
    dispatcher = a_dispatcher()
    victim = running(
        dispatcher, "victim", tenant_id="cedar", estimate={"runtime_seconds": 50}
    )  # nobody waits: uncharged
    for number in range(4):
        put(dispatcher, f"busy-{number}", tenant_id="borea", tier="normal", estimate={"runtime_seconds": 100})
    dispatcher.register(None, agent_id="two", slots=1, capabilities=("echo",))
    dispatcher.sweep()
    for _ in range(2):
        dispatcher.take("two").succeed()
        dispatcher.run_until_idle()
    floor_ms = account(dispatcher, "borea").virtual_ms
    assert floor_ms > 0
    put(dispatcher, "waiter", tier="critical")
    victim.give_way()
    dispatcher.run_until_idle()
    assert account(dispatcher, "cedar").uncharged_ms == 0
    assert account(dispatcher, "cedar").virtual_ms > 0


def test_yielding_does_not_make_a_task_late() -> None:
    dispatcher = a_dispatcher()
    now_ms = dispatcher.clock.now_ms()
    late: dict[str, Any] = {
        "deadline_ms": now_ms + 60_000,
        "estimate": {"runtime_seconds": 40},
        "deadline_kind": "hard",
    }
    victim = running(dispatcher, "victim", **late)
    waiter = put(dispatcher, "waiter", tier="critical")
    dispatcher.advance(30)  # it had to start ten seconds ago, and it did
    victim.give_way({"half": True})
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["PARKED", "DISPATCHED"]
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.take("one").task_id == victim.task_id


def test_a_hard_victim_that_saved_nothing_and_is_too_late_expires() -> None:
    dispatcher = a_dispatcher()
    now_ms = dispatcher.clock.now_ms()
    late: dict[str, Any] = {
        "deadline_ms": now_ms + 60_000,
        "estimate": {"runtime_seconds": 40},
        "deadline_kind": "hard",
    }
    victim = running(dispatcher, "victim", **late)
    put(dispatcher, "waiter", tier="critical")
    dispatcher.advance(30)
    victim.give_way()
    dispatcher.run_until_idle()
    assert dispatcher.status(victim.task_id) == "EXPIRED"
    assert dispatcher.waiting() == 0


# The waiter is served otherwise, or not at all


def test_the_order_is_withdrawn_when_the_waiter_is_served_otherwise() -> None:
    dispatcher = a_dispatcher(slots=2)
    other = running(dispatcher, "other")
    dispatcher.advance(5)
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    assert victim.order_for == waiter
    other.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(waiter) == "DISPATCHED"
    assert victim.order_for is None


def test_the_order_is_withdrawn_when_the_waiter_expires() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    now_ms = dispatcher.clock.now_ms()
    hard: dict[str, Any] = {
        "deadline_ms": now_ms + 12_000,
        "deadline_kind": "hard",
        "estimate": {"runtime_seconds": 10},
    }
    waiter = put(dispatcher, "waiter", tier="critical", **hard)
    assert victim.order_for == waiter
    dispatcher.advance(4)
    assert dispatcher.status(waiter) == "EXPIRED"
    assert victim.order_for is None


def test_a_dead_victim_frees_through_its_lease_and_only_then() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "victim")
    victim = dispatcher.take("one", lease_ms=100_000)
    waiter = put(dispatcher, "waiter", tier="critical")
    dispatcher.advance(100)
    assert dispatcher.status(waiter) == "PARKED"
    dispatcher.advance(10)
    assert dispatcher.statuses(victim.task_id, waiter) == ["PARKED", "DISPATCHED"]  # tried again, and waits for a slot


def test_a_victim_that_completes_instead_serves_the_waiter_just_as_well() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    victim.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["SUCCEEDED", "DISPATCHED"]


def test_a_waiter_whose_slot_went_to_a_more_urgent_one_asks_again() -> None:
    dispatcher = a_dispatcher(slots=2)
    low = running(dispatcher, "low")
    victim = running(dispatcher, "victim", tier="background")
    now_ms = dispatcher.clock.now_ms()
    waiter = put(dispatcher, "waiter", tier="critical")
    assert victim.order_for == waiter
    urgent = put(dispatcher, "urgent", tier="critical", deadline_ms=now_ms + 11_000, estimate={"runtime_seconds": 10})
    assert low.order_for == urgent
    victim.give_way()
    dispatcher.run_until_idle()
    served = dispatcher.take("one").task_id
    left = ({waiter, urgent} - {served}).pop()
    assert list(orders(dispatcher).values()) == [left]


def test_an_order_for_an_attempt_that_ends_in_the_same_turn_is_not_given() -> None:
    """The lease of the only victim runs out in the turn in which the waiter starts to ask."""
    dispatcher = a_dispatcher()
    now_ms = dispatcher.clock.now_ms()
    put(dispatcher, "victim", retry={"max_attempts": 1})
    victim = dispatcher.take("one", lease_ms=50_000)
    waiter = put(dispatcher, "waiter", tier="critical", deadline_ms=now_ms + 70_000, estimate={"runtime_seconds": 10})
    dispatcher.clock.advance(58_000)
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["DEAD_LETTERED", "DISPATCHED"]
