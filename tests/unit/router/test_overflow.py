"""A pool whose agents are busy borrows idle ones of its overflow pool; a full lane overflows into that pool's."""

import pytest

from pushlane.model.events import FactName
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Tier
from pushlane.state import keys
from pushlane.state.items import account_of
from tests.unit.router.two_pools import HOME, LENT, OTHER, TENANTS, a_dispatcher, put, taken, used


def test_an_idle_agent_of_the_overflow_pool_is_lent_when_the_own_are_busy() -> None:
    dispatcher = a_dispatcher()
    first, second, third = (put(dispatcher, key) for key in "abc")
    assert dispatcher.statuses(first, second, third) == ["DISPATCHED", "DISPATCHED", "PARKED"]
    assert used(dispatcher) == (1, 1)
    assert taken(dispatcher, OTHER).dispatch.pool == HOME
    assert len(dispatcher.live_attempts(HOME)) == 2
    assert dispatcher.live_attempts(OTHER) == []


def test_the_own_agents_come_first() -> None:
    dispatcher = a_dispatcher(home=2, other=8)
    put(dispatcher, "a")
    put(dispatcher, "b")
    assert used(dispatcher) == (2, 0)


def test_one_batch_takes_the_own_slots_and_borrows_for_the_rest_in_one_commit() -> None:
    dispatcher = a_dispatcher(home=1, other=8)
    for number in range(5):
        dispatcher.submit(idempotency_key=f"k{number}", tenant_id="atlas", pool=HOME)
    dispatcher.run_until_idle()
    assert used(dispatcher) == (1, 4)
    assert dispatcher.facts_of(FactName.TASK_PARKED) == []


def test_a_pool_without_agents_of_its_own_lives_on_borrowed_ones_and_the_sweep_knows_it() -> None:
    dispatcher = a_dispatcher(home=0)
    task_id = put(dispatcher, "a")
    taken(dispatcher, OTHER).succeed(nudge=False)  # its word is lost
    dispatcher.sweep()
    assert dispatcher.status(task_id) == "SUCCEEDED"
    assert dispatcher.used("one", OTHER) == 0


def test_the_lenders_own_work_goes_first() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "own-running", OTHER)
    put(dispatcher, "home-running")
    own, guest = put(dispatcher, "own-waiting", OTHER), put(dispatcher, "guest")
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(own, guest) == ["DISPATCHED", "PARKED"]
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(guest) == "DISPATCHED"


@pytest.mark.parametrize("blocked", ["gpu", "cap"])
def test_what_waits_in_the_lender_for_something_else_keeps_no_agent_idle(blocked: str) -> None:
    dispatcher = a_dispatcher(other=2)
    if blocked == "gpu":
        stuck = put(dispatcher, "stuck", OTHER, capabilities=["gpu"])
    else:
        dispatcher.set_policy(pools=LENT, tenants={"borea": {"in_flight_max": 1}})
        put(dispatcher, "capped", OTHER, "borea")
        stuck = put(dispatcher, "stuck", OTHER, "borea")
    put(dispatcher, "home")
    guest = put(dispatcher, "guest")
    assert dispatcher.statuses(stuck, guest) == ["PARKED", "DISPATCHED"]


def test_fairness_is_charged_at_home() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "a")
    put(dispatcher, "b", OTHER, "borea")
    guest = put(dispatcher, "guest", estimate={"runtime_seconds": 77})
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(guest) == "DISPATCHED"
    charged = {}
    for pool in (HOME, OTHER):
        key = keys.account_key(pool, Tier.NORMAL, "atlas")
        found = dispatcher.store.get([key]).get(key)
        charged[pool] = account_of({} if found is None else found.attributes).virtual_ms
    assert charged == {HOME: 30_000 + 77_000, OTHER: 0}  # beside what its tenant had in flight when it came


def test_a_lent_slot_is_handed_on_at_home_while_the_lender_needs_nothing() -> None:
    dispatcher = a_dispatcher()
    _, _, waiting = (put(dispatcher, key) for key in "abc")
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(waiting) == "DISPATCHED"
    assert used(dispatcher) == (1, 1)


def test_the_completion_of_a_borrowed_slot_serves_the_lender_first_and_then_the_borrower() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "home")
    put(dispatcher, "borrows")
    own, guest = put(dispatcher, "own", OTHER), put(dispatcher, "guest")
    assert dispatcher.statuses(own, guest) == ["PARKED", "PARKED"]
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(own, guest) == ["DISPATCHED", "PARKED"]
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(guest) == "DISPATCHED"


def test_a_borrowed_slot_that_frees_is_offered_to_every_pool_that_waits_for_it() -> None:
    dispatcher = a_dispatcher()
    dispatcher.register(None, agent_id="one", slots=1, capabilities=("echo",), pool="third")
    dispatcher.set_policy(pools=LENT | {"third": {"overflow_pool": OTHER}})
    put(dispatcher, "home")
    put(dispatcher, "borrows")
    put(dispatcher, "third", "third")
    guest = put(dispatcher, "guest", "third")
    assert dispatcher.status(guest) == "PARKED"
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(guest) == "DISPATCHED"


def test_a_lender_that_served_its_own_offers_what_is_left() -> None:
    """Both of its slots come free at once: one for its own work, one for the guest."""
    dispatcher = a_dispatcher(other=2)
    put(dispatcher, "o1", OTHER)
    put(dispatcher, "o2", OTHER)
    put(dispatcher, "home")
    guest, own = put(dispatcher, "guest"), put(dispatcher, "own", OTHER)
    for attempt in [taken(dispatcher, OTHER), taken(dispatcher, OTHER)]:
        attempt.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(own, guest) == ["DISPATCHED", "DISPATCHED"]


def test_an_attempt_on_a_lent_agent_whose_push_was_lost_is_pushed_again() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "home")
    taken(dispatcher, HOME)
    put(dispatcher, "guest")
    assert dispatcher.sender.drain("queue/agent/other/one") != []  # lost
    dispatcher.advance(32)
    assert taken(dispatcher, OTHER).task_id == keyed_task_id("atlas", "guest")


def test_the_repair_counts_lent_slots_for_the_agent_that_has_them() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "a")
    put(dispatcher, "b")
    for _ in range(2):
        assert dispatcher.sweep().repaired == 0
    assert used(dispatcher) == (1, 1)


def test_no_slot_idles_beside_runnable_work_in_either_pool_until_all_is_done() -> None:
    dispatcher = a_dispatcher(home=2, other=3)
    tasks = []
    for number in range(30):
        pool = HOME if number % 3 else OTHER
        tasks.append(put(dispatcher, f"k{number}", pool, TENANTS[number % 2]))
    done = 0
    while done < len(tasks):
        attempts = []
        for pool in (HOME, OTHER):
            try:
                attempts.append(taken(dispatcher, pool))
            except LookupError:
                continue
        for attempt in attempts:
            attempt.succeed()
            done += 1
            dispatcher.run_until_idle()
            free_home, free_other = 2 - dispatcher.used("one", HOME), 3 - dispatcher.used("one", OTHER)
            assert dispatcher.waiting(HOME) == 0 or free_home + free_other == 0
            assert dispatcher.waiting(OTHER) == 0 or free_other == 0
        assert attempts
    assert set(dispatcher.statuses(*tasks)) == {"SUCCEEDED"}
