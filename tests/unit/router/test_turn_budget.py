"""How much a turn asks of the store, exactly."""

from typing import Any

from tests.unit.router.counted import TENANTS, World


def test_an_arrival_at_a_free_pool_is_one_read_and_one_commit() -> None:
    assert World(5).arrive("a") == {"query": 1, "transact": 1}


def test_ten_arrivals_at_a_free_pool_are_one_read_and_one_commit() -> None:
    assert World(10).arrive(*"abcdefghij") == {"query": 1, "transact": 1}


def test_an_arrival_that_parks_reads_its_lane_and_looks_once_more() -> None:
    world = World()
    world.put("runs")
    assert world.arrive("a") == {"query": 2, "get": 1, "transact": 1}
    assert world.arrive("b", tenant_id="borea") == {"query": 2, "get": 1, "transact": 1}


def test_ten_arrivals_that_park_cost_what_one_does() -> None:
    world = World()
    world.put("runs")
    assert world.arrive(*"abcdefghij") == {"query": 2, "get": 1, "transact": 1}


def test_an_arrival_that_is_impossible_is_one_read_and_one_commit() -> None:
    world = World()
    now_ms = world.dispatcher.clock.now_ms()
    late: dict[str, Any] = {"deadline_ms": now_ms + 1_000, "deadline_kind": "hard", "estimate": {"runtime_seconds": 5}}
    assert world.arrive("a", **late) == {"query": 1, "transact": 1}


def test_a_completion_with_nothing_waiting_is_one_commit_and_one_more_look() -> None:
    world = World()
    world.put("runs")
    assert world.finish() == {"query": 2, "transact": 1}


def test_an_arrival_within_a_second_of_that_look_is_one_commit() -> None:
    world = World()
    world.put("runs")
    world.finish()
    assert world.arrive("a", forgets=False) == {"transact": 1}


def test_a_completion_that_hands_its_slot_on_does_not_look_again() -> None:
    """The pool, the lanes by turn and the lane; the limits; the commit; and the task that is pushed."""
    world = World()
    world.put("runs")
    for number in range(4):
        world.put(f"k{number}")
    assert world.finish() == {"query": 3, "get": 2, "transact": 1}
    assert world.dispatcher.used("one") == 1


def test_a_completion_that_hands_on_costs_the_same_with_many_tenants_waiting() -> None:
    world = World()
    world.put("runs")
    for number in range(30):
        world.put(f"k{number}", TENANTS[number % 3])
    # The lanes by urgency, too, and the first tasks of those that compete for the slot.
    assert [world.finish() for _ in range(5)] == [{"query": 5, "get": 2, "transact": 1}] * 5


def test_a_completion_beside_work_that_it_cannot_serve_reads_the_pool_twice() -> None:
    world = World()
    world.put("runs")
    world.put("stuck", capabilities=["gpu"])
    assert world.finish() == {"query": 2, "get": 1, "transact": 1}


def test_an_idle_sweep_reads_each_pool_a_constant_number_of_times() -> None:
    world = World()
    world.put("runs")
    world.finish()
    world.dispatcher.run_until_idle()
    world.dispatcher.advance(100)
    for _ in range(3):
        world.calls.counted()
        world.dispatcher.sweep()
        # The pools; what is due (four partitions of attempts, what is delayed); the pool; the counters and what they
        # count. And which policy is current.
        assert world.calls.counted() == {"query": 12, "get": 1}
        world.dispatcher.advance(60)


def test_a_critical_task_that_waits_adds_its_claim_and_nothing_once_the_order_is_out() -> None:
    world = World()
    world.put("victim")
    world.dispatcher.take("one")
    # Parks; looks: the lane and its first, its limits, four partitions of attempts; gives the order; no third look.
    assert world.arrive("waiter", tier="critical") == {"query": 8, "get": 2, "transact": 2}
    # The pool, the lane and its first; its victim, which has the order still.
    assert world.turn(world.dispatcher.sweep) == {"query": 12 + 2, "get": 2}


def test_a_pool_that_waits_for_its_overflow_pool_reads_that_and_its_mark_beside() -> None:
    world = World(pools={"default": {"overflow_pool": "other"}})
    world.dispatcher.register(None, agent_id="two", slots=1, capabilities=("echo",), pool="other")
    world.put("runs")
    world.put("borrows")
    assert world.arrive("a") == {"query": 4, "get": 2, "transact": 1}
    assert world.arrive("b") == {"query": 4, "get": 2, "transact": 1}
    assert world.finish() == {"query": 3, "get": 3, "transact": 1}
