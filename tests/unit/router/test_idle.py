"""With nothing to do nothing runs but the sweep, and that only reads."""

from typing import Any

import msgspec
import pytest

from pushlane.model.events import WakeUp
from pushlane.ports import Message, Table
from pushlane.state import keys
from pushlane.testing.deliveries import WAKEUPS
from tests.unit.router.counted import TENANTS, World, echo, hours_of_nothing


def test_after_a_mixed_workload_nothing_runs_any_more() -> None:
    world = World(
        3,
        by_hand=False,
        resources={"llm": {"kind": "rate", "per_minute": 30, "unit": "requests"}, "gpu": {"kind": "slots", "slots": 1}},
        tenants={"borea": {"in_flight_max": 1}, "cedar": {"tasks_per_minute": 20}},
        pools={"default": {"overflow_pool": "other"}},
    )
    dispatcher = world.dispatcher
    dispatcher.register(echo, agent_id="two", slots=1, capabilities=("echo",), pool="other")
    now_ms = dispatcher.clock.now_ms()
    tasks = []
    for number in range(60):
        kinds: list[dict[str, Any]] = [
            {},
            {"resources": {"llm": 1}},
            {"resources": {"gpu": 1}, "tier": "high"},
            {"deadline_ms": now_ms + 90_000, "deadline_kind": "hard", "estimate": {"runtime_seconds": 20}},
            {"payload": {"failures": 1}, "tier": "background"},
            {"tier": "critical"},
        ]
        more = kinds[number % len(kinds)]
        tenant_id, pool = TENANTS[number % 3], "other" if number % 7 == 0 else "default"
        tasks.append(dispatcher.submit(idempotency_key=f"k{number}", tenant_id=tenant_id, pool=pool, **more))
    dispatcher.advance_with_sweeps(20)
    assert set(dispatcher.statuses(*tasks)) <= {"SUCCEEDED", "EXPIRED"}
    hours_of_nothing(world)


@pytest.mark.parametrize("waits_for", ["an agent", "a slot", "shared slots", "its cap", "the overflow pool"])
def test_a_task_that_waits_for_something_else_to_end_causes_no_wake_up(waits_for: str) -> None:
    world = World(
        1 if waits_for in ("a slot", "the overflow pool") else 3,
        resources={"gpu": {"kind": "slots", "slots": 1}},
        tenants={"cedar": {"in_flight_max": 1}},
        pools={"default": {"overflow_pool": "other"}} if waits_for == "the overflow pool" else {},
    )
    dispatcher = world.dispatcher
    more: dict[str, Any] = {}
    if waits_for == "an agent":
        more = {"capabilities": ["gpu"]}
    elif waits_for == "shared slots":
        more = {"resources": {"gpu": 1}}
    if waits_for != "an agent":
        dispatcher.submit(idempotency_key="first", tenant_id="cedar", **more)
        dispatcher.run_until_idle()
        dispatcher.take("one", lease_ms=100 * 3_600_000)
    task_id = world.put("waits", "cedar", **more)
    dispatcher.advance(1_000)
    for _ in range(3):
        dispatcher.sweep()  # the last change of where it is listed, and what had to be corrected
    assert dispatcher.status(task_id) == "PARKED"
    world.wakeups.clear()
    moving = (Table.SCHEDULER, Table.MEASURES)  # the sweep keeps a sample of the pool each minute
    before = {table: dispatcher.store.items(table) for table in Table if table not in moving}
    lanes = _without_wake(world)
    world.calls.counted()
    for _ in range(5):
        dispatcher.advance_with_sweeps(10)
    # The one attempt that runs has a lease a hundred hours away: reached in hops of fifteen minutes, and nothing else.
    assert len(world.wakeups) <= (0 if waits_for == "an agent" else 50 * 60 // 900 + 1)
    assert {table: dispatcher.store.items(table) for table in before} == before
    assert _without_wake(world) == lanes


def _without_wake(world: World) -> list[Any]:
    return [item for item in world.dispatcher.store.items(Table.SCHEDULER) if item.key.sk != keys.WAKE]


def test_waiting_for_a_refill_causes_exactly_one_wake_up_at_the_time_of_the_refill() -> None:
    world = World(3, resources={"llm": {"kind": "rate", "per_minute": 1, "unit": "requests", "burst": 1}})
    dispatcher = world.dispatcher
    started_ms = dispatcher.clock.now_ms()
    world.put("first", resources={"llm": 1})
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    dispatcher.advance(31)  # past the wake-up for the start of the first
    world.wakeups.clear()
    waits = world.put("waits", resources={"llm": 1})
    assert dispatcher.status(waits) == "PARKED"
    for _ in range(5):
        dispatcher.sweep()
    assert [wake.due_ms for wake in world.wakeups] == [started_ms + 60_000]
    dispatcher.advance_to(started_ms + 59_999)
    assert dispatcher.status(waits) == "PARKED"
    dispatcher.advance(1)
    assert dispatcher.status(waits) == "DISPATCHED"
    assert len(world.wakeups) == 2  # and the one for its own start


def test_a_critical_task_that_asks_at_once_needs_no_wake_up_for_it() -> None:
    world = World()
    world.put("victim")
    world.dispatcher.take("one")
    world.wakeups.clear()
    world.put("waiter", tier="critical")
    assert world.wakeups == []
    assert len([a for a in world.dispatcher.live_attempts() if "order_for" in a.attributes]) == 1


def test_looks_at_lanes_that_stay_blocked_write_nothing() -> None:
    world = World(3, resources={"gpu": {"kind": "slots", "slots": 1}}, tenants={"cedar": {"in_flight_max": 1}})
    world.put("gpu", resources={"gpu": 1})
    world.dispatcher.take("one")
    world.put("capped", "cedar")
    world.dispatcher.take("one")
    for number in range(4):
        world.put(f"gpu-{number}", "borea", resources={"gpu": 1})
        world.put(f"capped-{number}", "cedar")
    world.dispatcher.sweep()
    world.calls.counted()
    for _ in range(5):
        world.dispatcher.sweep()
        assert set(world.calls.counted()) <= {"query", "get"}


def test_more_work_than_one_turn_takes_on_is_gone_on_with_at_once() -> None:
    world = World(1)
    for number in range(400):
        world.dispatcher.submit(idempotency_key=f"k{number}", tenant_id="atlas")
    world.dispatcher.run_until_idle()
    world.dispatcher.register(None, agent_id="two", slots=350, capabilities=("echo",))
    world.dispatcher.sender.send(
        WAKEUPS, [Message(msgspec.json.encode(WakeUp(pool="default", generation=0, due_ms=0)).decode())]
    )
    world.dispatcher.run_until_idle()
    assert world.dispatcher.used("two") == 350


def test_a_redelivered_arrival_of_a_task_that_can_run_by_now_does_not_go_round_in_circles() -> None:
    world = World()
    world.put("first")
    waits = world.put("waits")
    world.dispatcher.register(None, agent_id="two", slots=1, capabilities=("echo",))  # and nobody was told
    world.put("waits")
    assert world.dispatcher.status(waits) == "DISPATCHED"
    assert len(world.dispatcher.live_attempts()) == 2
