"""Deadlines over the real turn: what cannot be made expires, at once or by its own wake-up, and never earlier."""

from typing import Any

import pytest

from pushlane.model.events import FactName
from pushlane.model.ids import keyed_task_id
from pushlane.ports import Table
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.faults import FailAt

TENANTS = ("atlas", "borea")


def a_dispatcher(slots: int = 1, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=TENANTS, **more)
    dispatcher.register(None, agent_id="one", slots=slots, capabilities=("echo",))
    return dispatcher


def put(dispatcher: InMemoryDispatcher, key: str, tenant_id: str = "atlas", **data: Any) -> str:
    task_id = dispatcher.submit(idempotency_key=key, tenant_id=tenant_id, **data)
    dispatcher.run_until_idle()
    return task_id


def due(dispatcher: InMemoryDispatcher, seconds: float, runtime: float = 10, kind: str = "hard") -> dict[str, Any]:
    """A task of `runtime` seconds that has to be done in so many seconds."""
    deadline_ms = dispatcher.clock.now_ms() + round(seconds * 1_000)
    return {"deadline_ms": deadline_ms, "deadline_kind": kind, "estimate": {"runtime_seconds": runtime}}


def busy(dispatcher: InMemoryDispatcher) -> None:
    put(dispatcher, "busy", "borea", estimate={"runtime_seconds": 600})
    dispatcher.take("one")


def delayed(dispatcher: InMemoryDispatcher) -> list[str]:
    return [item.key.sk for item in dispatcher.store.query(Table.SCHEDULER, keys.delayed_pk("default"), limit=100)]


def order_of_work(dispatcher: InMemoryDispatcher, count: int) -> list[str]:
    """The ids of the next tasks as the one slot gets to them."""
    served = []
    for _ in range(count):
        attempt = dispatcher.take("one")
        served.append(attempt.task_id)
        attempt.succeed()
        dispatcher.run_until_idle()
    return served


# At arrival


@pytest.mark.parametrize("free", [True, False], ids=["a free slot", "no free slot"])
@pytest.mark.parametrize("tier", ["critical", "normal"])
def test_a_hard_deadline_that_is_impossible_at_arrival_expires_at_once_with_a_fact(free: bool, tier: str) -> None:
    dispatcher = a_dispatcher()
    if not free:
        busy(dispatcher)
    task_id = put(dispatcher, "late", tier=tier, **due(dispatcher, 9))
    assert dispatcher.status(task_id) == "EXPIRED"
    [fact] = dispatcher.facts_of(FactName.TASK_EXPIRED, task_id)
    assert fact.metadata.occurred_at_ms == dispatcher.clock.now_ms()
    assert "DeadlineImpossible" in str(fact.data.reason)
    assert dispatcher.facts_of(FactName.TASK_PARKED) == []
    assert delayed(dispatcher) == []
    assert dispatcher.sender.drain("queue/quarantine") == []


def test_it_expires_also_where_its_lane_is_full_or_not_empty() -> None:
    dispatcher = a_dispatcher()
    dispatcher.set_policy(pools={"default": {"lane_max": 1}})
    busy(dispatcher)
    put(dispatcher, "waits")
    dispatcher.router = dispatcher.new_router()  # one that does not hold the tenant back
    task_id = put(dispatcher, "late", **due(dispatcher, 9))
    assert dispatcher.status(task_id) == "EXPIRED"
    assert dispatcher.quarantined() == []


def test_the_last_moment_is_not_too_late() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "just", **due(dispatcher, 10))
    assert dispatcher.status(task_id) == "DISPATCHED"


def test_the_same_submission_again_is_the_same_expired_task() -> None:
    dispatcher = a_dispatcher()
    said = due(dispatcher, 9)
    put(dispatcher, "late", **said)
    put(dispatcher, "late", **said)
    assert len(dispatcher.facts_of(FactName.TASK_EXPIRED)) == len(dispatcher.facts_of(FactName.TASK_ACCEPTED)) == 1


# Parked


def test_a_parked_hard_task_expires_by_its_own_wake_up_and_not_a_moment_earlier() -> None:
    dispatcher = a_dispatcher()
    busy(dispatcher)
    task_id = put(dispatcher, "waits", **due(dispatcher, 110))
    start_by_ms = dispatcher.clock.now_ms() + 100_000
    dispatcher.advance_to(start_by_ms)
    dispatcher.sweep()  # looks at the very last moment, and lets it wait
    assert dispatcher.status(task_id) == "PARKED"
    dispatcher.advance(2)  # the delay of a wake-up is in whole seconds
    assert dispatcher.status(task_id) == "EXPIRED"
    [fact] = dispatcher.facts_of(FactName.TASK_EXPIRED)
    assert start_by_ms < fact.metadata.occurred_at_ms <= start_by_ms + 1_001
    assert (dispatcher.waiting(), delayed(dispatcher)) == (0, [])


def test_a_deadline_further_away_than_one_queue_delay_is_reached_in_hops() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "busy", "borea")
    dispatcher.take("one", lease_ms=10_000_000)
    task_id = put(dispatcher, "waits", **due(dispatcher, 4_010))
    dispatcher.advance(4_000)
    assert dispatcher.status(task_id) == "PARKED"
    dispatcher.advance(2)
    assert dispatcher.status(task_id) == "EXPIRED"


@pytest.mark.parametrize("why", ["no-agent", "deep in the lane", "late shape"])
def test_it_expires_also_when_no_turn_reads_its_lane(why: str) -> None:
    dispatcher = a_dispatcher()
    busy(dispatcher)
    if why == "deep in the lane":
        for number in range(25):
            put(dispatcher, f"before-{number}", **due(dispatcher, 60 + number))
    more: dict[str, Any] = {"capabilities": ["gpu"]} if why == "no-agent" else {}
    if why == "late shape":
        put(dispatcher, "soft", **due(dispatcher, 5, kind="soft"))
    task_id = put(dispatcher, "waits", **due(dispatcher, 110), **more)
    dispatcher.advance(102)
    assert dispatcher.status(task_id) == "EXPIRED"


def test_many_that_fall_due_at_once_all_expire_and_leave_nothing_behind() -> None:
    dispatcher = a_dispatcher()
    busy(dispatcher)
    tasks = [put(dispatcher, f"k{number}", TENANTS[number % 2], **due(dispatcher, 110)) for number in range(45)]
    dispatcher.advance(103)
    assert set(dispatcher.statuses(*tasks)) == {"EXPIRED"}
    assert len(dispatcher.facts_of(FactName.TASK_EXPIRED)) == 45
    assert (dispatcher.waiting(), delayed(dispatcher)) == (0, [])


def test_what_is_served_in_time_leaves_no_expiry_behind() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "first")
    waits = put(dispatcher, "waits", **due(dispatcher, 110))
    assert len(delayed(dispatcher)) == 1
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(waits) == "DISPATCHED"
    assert delayed(dispatcher) == []


def test_a_slot_that_frees_too_late_goes_to_the_next_that_can_still_make_it() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "first")
    held = dispatcher.take("one")
    late = put(dispatcher, "late", **due(dispatcher, 60))
    good = put(dispatcher, "good", **due(dispatcher, 500))
    dispatcher.clock.advance(51_000)  # its wake-up is due and has not come
    held.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(late, good) == ["EXPIRED", "DISPATCHED"]


# Retries


def test_a_retry_that_could_not_make_its_hard_deadline_expires_instead() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "k", retry={"max_attempts": 3, "backoff_seconds": 30}, **due(dispatcher, 30))
    attempt = dispatcher.take("one")
    dispatcher.advance(15)
    attempt.fail()
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "EXPIRED"
    [fact] = dispatcher.facts_of(FactName.TASK_EXPIRED)
    assert "ByHand" in str(fact.data.reason)
    assert dispatcher.used("one") == 0


def test_a_retry_whose_time_comes_too_late_expires_then() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "k", retry={"max_attempts": 3, "backoff_seconds": 1}, **due(dispatcher, 30))
    dispatcher.take("one").fail()
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "RETRYING"
    dispatcher.clock.advance(25_000)
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "EXPIRED"
    assert delayed(dispatcher) == []


# Soft, and without a deadline


def test_a_soft_task_that_is_late_still_runs_after_those_that_can_make_it() -> None:
    dispatcher = a_dispatcher()
    busy_id = put(dispatcher, "busy")
    late = put(dispatcher, "late", **due(dispatcher, 5, kind="soft"))
    good = put(dispatcher, "good", **due(dispatcher, 500, kind="soft"))
    assert order_of_work(dispatcher, 3) == [busy_id, good, late]
    assert dispatcher.statuses(late, good) == ["SUCCEEDED", "SUCCEEDED"]


def test_critical_and_high_keep_their_order_late_or_not() -> None:
    dispatcher = a_dispatcher()
    busy_id = put(dispatcher, "busy")
    good = put(dispatcher, "good", tier="high", **due(dispatcher, 500, kind="soft"))
    late = put(dispatcher, "late", tier="high", **due(dispatcher, 5, kind="soft"))
    assert order_of_work(dispatcher, 3) == [busy_id, late, good]


def test_a_task_without_a_deadline_that_has_waited_its_tiers_longest_wait_goes_first() -> None:
    dispatcher = a_dispatcher()
    dispatcher.set_policy(tiers={"normal": {"longest_wait_seconds": 60}})
    put(dispatcher, "busy", "borea")
    held = dispatcher.take("one")
    aged = put(dispatcher, "aged")
    dispatcher.advance(61)
    urgent = put(dispatcher, "urgent", **due(dispatcher, 15, kind="soft"))
    held.succeed()
    dispatcher.run_until_idle()
    assert order_of_work(dispatcher, 2) == [aged, urgent]


def test_before_that_it_waits_for_what_is_more_urgent() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "busy", "borea")
    held = dispatcher.take("one")
    patient = put(dispatcher, "patient")
    dispatcher.advance(61)
    urgent = put(dispatcher, "urgent", **due(dispatcher, 15, kind="soft"))
    held.succeed()
    dispatcher.run_until_idle()
    assert order_of_work(dispatcher, 2) == [urgent, patient]


# Dying in between


def expired_beside(faults: FailAt) -> InMemoryDispatcher:
    dispatcher = a_dispatcher(faults=faults)
    busy(dispatcher)
    faults.armed = True
    put(dispatcher, "waits", **due(dispatcher, 60))
    put(dispatcher, "too-late", **due(dispatcher, 5))
    dispatcher.advance(55)
    faults.armed = False
    return dispatcher


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_each_expires_once(moment: str) -> None:
    counted = FailAt(None, "never")
    expired_beside(counted)
    assert counted.calls > 15
    for number in range(1, counted.calls + 1):
        dispatcher = expired_beside(FailAt(number, moment))
        dispatcher.advance_with_sweeps(2)
        tasks = [keyed_task_id("atlas", key) for key in ("waits", "too-late")]
        where = f"call {number} of {counted.calls} failing {moment}"
        assert dispatcher.statuses(*tasks) == ["EXPIRED", "EXPIRED"], where
        assert len(dispatcher.facts_of(FactName.TASK_EXPIRED)) == 2, where
        assert (dispatcher.waiting(), delayed(dispatcher)) == (0, []), where
