"""A tenant whose tasks all fail: its retries are spread as its budget says, none is lost, and nobody else waits."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import FactName
from pushlane.model.task import Tier
from pushlane.scheduling.snapshot import AccountRef
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.by_hand import account, assert_idle
from tests.unit.router.faults import Beside, FailAt

BROKEN = "borea"
MINUTE_MS = 60_000


@agent(task_types=("echo",))
def moody(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.tenant_id == BROKEN:
        raise RuntimeError("always")
    return {"attempt": ctx.attempt}


def a_dispatcher(per_minute: int | None, slots: int = 4, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(tenants=("atlas", BROKEN), **more)
    dispatcher.register(moody, agent_id="one", slots=slots)
    dispatcher.set_policy(default_tenant={"retries_per_minute": per_minute})
    return dispatcher


def starts(dispatcher: InMemoryDispatcher, tenant_id: str = BROKEN, *, retries: bool = True) -> list[int]:
    """When attempts of the tenant started; `retries`: without the first of each task."""
    facts = [fact.data for fact in dispatcher.facts_of(FactName.TASK_STARTED) if fact.data.tenant_id == tenant_id]
    return sorted(one.started_at_ms or 0 for one in facts if not retries or (one.epoch or 0) > 1)


def storm(dispatcher: InMemoryDispatcher, tasks: int, tenant_id: str = BROKEN) -> list[str]:
    retry = {"max_attempts": 3, "backoff_seconds": 0.5}
    return [dispatcher.submit(tenant_id=tenant_id, retry=retry, idempotency_key=f"k{n}") for n in range(tasks)]


def test_a_storm_is_spread_over_the_minutes_that_its_budget_takes_and_every_task_gets_its_tries() -> None:
    dispatcher = a_dispatcher(per_minute=10)
    tasks = storm(dispatcher, 20)
    dispatcher.advance(600)
    assert {dispatcher.status(task_id) for task_id in tasks} == {"DEAD_LETTERED"}
    at = starts(dispatcher)
    assert len(at) == 40  # two retries each
    for first in at:
        # The burst, and a minute's worth.
        assert len([one for one in at if first <= one <= first + MINUTE_MS]) <= 20 + 1
    late = [one for one in at if one > at[0] + MINUTE_MS]
    assert all(b - a >= MINUTE_MS - 2_000 for a, b in zip(late, late[10:], strict=False))
    assert_idle(dispatcher)


def test_without_a_budget_they_come_after_their_backoff() -> None:
    dispatcher = a_dispatcher(per_minute=None)
    storm(dispatcher, 20)
    dispatcher.advance(10)
    assert len(starts(dispatcher)) == 40


def test_one_tenants_storm_does_not_delay_anothers_tasks_and_retries() -> None:
    dispatcher = a_dispatcher(per_minute=10, slots=2)
    storm(dispatcher, 60)
    dispatcher.advance(1)
    healthy = [dispatcher.submit(tenant_id="atlas", idempotency_key=f"h{n}") for n in range(10)]
    dispatcher.advance(1)
    assert [dispatcher.result(task_id) for task_id in healthy] == [{"attempt": 1}] * 10
    assert account(dispatcher, "atlas").retry_tat_us == 0
    assert len(starts(dispatcher)) <= 11


@pytest.mark.parametrize("drawn_before", [0, 1])
def test_two_routers_at_once_do_not_draw_the_same_room(drawn_before: int) -> None:
    """Another router commits failures of the tenant right before this one does: this one plans again."""

    def draws(operations: Any) -> bool:
        return any("retry_tat_us" in {**getattr(one, "set", {}), **getattr(one, "add", {})} for one in operations)

    faults = Beside(draws)
    dispatcher = a_dispatcher(per_minute=1, slots=5, faults=faults)
    dispatcher.register(None, agent_id="one", slots=5, capabilities=("echo",))
    tasks = storm(dispatcher, 4 + drawn_before)
    dispatcher.run_until_idle()
    attempts = [dispatcher.take("one") for _ in tasks]
    for _ in range(drawn_before):
        attempts.pop().fail()
        dispatcher.run_until_idle()
    for attempt in attempts[:2]:
        attempt.fail()
    late = dispatcher.sender.drain("queue/results")

    def elsewhere() -> None:
        for attempt in attempts[2:]:
            attempt.fail()
        dispatcher._deliver("queue/results")

    faults.early = elsewhere
    dispatcher.sender.send("queue/results", late)
    dispatcher._deliver("queue/results")
    assert faults.over
    dispatcher.run_until_idle()
    now_ms = dispatcher.clock.now_ms()
    dues = sorted(int(str((dispatcher.task(task_id) or {})["due_ms"])) for task_id in tasks)
    assert dues[0] <= now_ms + 500
    assert dues[1:] == [now_ms + minutes * MINUTE_MS for minutes in range(1, len(tasks))]
    assert account(dispatcher, BROKEN).retry_tat_us == (now_ms + len(tasks) * MINUTE_MS) * 1_000


def test_the_budget_is_of_one_tier() -> None:
    dispatcher = a_dispatcher(per_minute=1)
    retry = {"max_attempts": 2, "backoff_seconds": 0.5}
    refs: list[AccountRef] = [(Tier.NORMAL, BROKEN), (Tier.HIGH, BROKEN)]
    for tier, tenant_id in refs:
        dispatcher.submit(tenant_id=tenant_id, tier=tier.value, retry=retry)
    dispatcher.advance(2)
    assert len(starts(dispatcher)) == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_no_retry_is_lost_and_none_is_drawn_for_twice(moment: str) -> None:
    for number in range(1, 80):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(per_minute=2, faults=faults)
        dispatcher.register(None, agent_id="one", slots=4, capabilities=("echo",))
        tasks = storm(dispatcher, 4)
        dispatcher.run_until_idle()
        attempts = [dispatcher.take("one") for _ in tasks]
        began_ms = dispatcher.clock.now_ms()
        for two in (attempts[:2], attempts[2:]):
            for attempt in two:
                attempt.fail()
            faults.armed = True
            dispatcher.run_until_idle()
            faults.armed = False
        reached = faults.calls >= number
        dispatcher.advance_with_sweeps(1)
        drawn_ms = account(dispatcher, BROKEN).retry_tat_us // 1_000 - began_ms
        assert 4 * MINUTE_MS / 2 <= drawn_ms <= 4 * MINUTE_MS / 2 + 2_000, f"call {number} failing {moment}"
        if not reached:
            assert number > 10
            return
    raise AssertionError("it takes more than 80 calls")
