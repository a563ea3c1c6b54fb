"""Cancel a task in every state and at every moment: it ends once, gives everything back, and a success stands."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import ErrorDetail, Order
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import FactName
from pushlane.model.workflow import node_task_id
from pushlane.ports import ConditionFailed
from pushlane.router.cancel import cancel
from pushlane.testing import AttemptByHand, InMemoryDispatcher
from tests.unit.model.workflows import node
from tests.unit.router.by_hand import (
    a_dispatcher,
    assert_idle,
    assert_over,
    marks,
    orders,
    put,
    running,
    say,
    send,
    stored,
)
from tests.unit.router.faults import Beside, FailAt
from tests.unit.router.workflow_world import WorkflowWorld

AGENT_QUEUE = "queue/agent/one"
GRACE_SECONDS = 10  # as the policy has it by default
PERMANENT = ErrorDetail(error_type="Permanent", message="no", retryable=False)


def parked(dispatcher: InMemoryDispatcher) -> str:
    running(dispatcher, "before").succeed(nudge=False)  # it holds the slot until somebody looks
    return put(dispatcher, "task")


def parked_with_a_hard_deadline(dispatcher: InMemoryDispatcher) -> str:
    running(dispatcher, "before").succeed(nudge=False)
    deadline_ms = dispatcher.clock.now_ms() + 300_000
    return put(dispatcher, "task", deadline_ms=deadline_ms, deadline_kind="hard")


def retrying(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task", retry={"backoff_seconds": 100, "backoff_max_seconds": 100})
    attempt.fail()
    dispatcher.run_until_idle()
    return attempt.task_id


def asleep(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task")
    attempt.suspend({"page": 1}, seconds=1_000)
    dispatcher.run_until_idle()
    return attempt.task_id


def awaiting(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task")
    attempt.suspend({"page": 1}, awaits="approval")
    dispatcher.run_until_idle()
    return attempt.task_id


def awaiting_until_a_hard_deadline(dispatcher: InMemoryDispatcher) -> str:
    deadline_ms = dispatcher.clock.now_ms() + 300_000
    attempt = running(dispatcher, "task", deadline_ms=deadline_ms, deadline_kind="hard")
    attempt.suspend({"page": 1}, awaits="approval")
    dispatcher.run_until_idle()
    return attempt.task_id


def unstarted(dispatcher: InMemoryDispatcher) -> str:
    return put(dispatcher, "task")


def dead(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task", retry={"max_attempts": 1})
    attempt.fail()
    dispatcher.run_until_idle()
    return attempt.task_id


def failed_unheard(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task")
    attempt.fail(nudge=False)
    return attempt.task_id


def yielded_unheard(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task")
    attempt.give_way({"page": 1}, nudge=False)
    return attempt.task_id


def suspended_unheard(dispatcher: InMemoryDispatcher) -> str:
    attempt = running(dispatcher, "task")
    attempt.suspend({"page": 1}, awaits="approval", nudge=False)
    return attempt.task_id


def started_and_silent(dispatcher: InMemoryDispatcher) -> str:
    return running(dispatcher, "task").task_id


AT_ONCE: list[Callable[[InMemoryDispatcher], str]] = [
    parked,
    parked_with_a_hard_deadline,
    retrying,
    asleep,
    awaiting,
    awaiting_until_a_hard_deadline,
    unstarted,
    dead,
    failed_unheard,
    yielded_unheard,
    suspended_unheard,
]


@pytest.mark.parametrize("state", AT_ONCE)
def test_what_has_no_running_attempt_is_cancelled_at_once(state: Callable[[InMemoryDispatcher], str]) -> None:
    dispatcher = a_dispatcher()
    task_id = state(dispatcher)
    say(dispatcher, "CancelTask", task_id, reason="changed my mind")
    assert_over(dispatcher, task_id, "CANCELLED")
    [fact] = dispatcher.facts_of(FactName.TASK_CANCELLED, task_id)
    assert fact.data.reason == "Cancelled: changed my mind"
    dispatcher.advance_with_sweeps(20)
    assert_over(dispatcher, task_id, "CANCELLED")
    with pytest.raises(LookupError):
        dispatcher.take("one")
    assert_idle(dispatcher)


@pytest.mark.parametrize("state", [*AT_ONCE, started_and_silent])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_the_task_is_cancelled_once(
    state: Callable[[InMemoryDispatcher], str], moment: str
) -> None:
    for number in range(1, 60):
        faults = FailAt(number, moment)
        dispatcher = a_dispatcher(faults=faults)
        task_id = state(dispatcher)
        faults.armed = True
        say(dispatcher, "CancelTask", task_id)
        reached, faults.armed = faults.calls >= number, False
        dispatcher.advance_with_sweeps(2)
        try:
            assert_over(dispatcher, task_id, "CANCELLED")
            assert_idle(dispatcher)
        except AssertionError as error:
            raise AssertionError(f"call {number} failing {moment}: {error}") from error
        if not reached:
            assert number > 5
            return
    raise AssertionError("a cancel takes more than 60 calls")


@pytest.mark.parametrize("lost", ["command", "wake-up"])
def test_a_running_one_is_told_and_a_message_that_comes_twice_or_not_at_all_changes_nothing(lost: str) -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    say(dispatcher, "CancelTask", attempt.task_id)
    if lost == "command":  # the first delivery was not acknowledged
        say(dispatcher, "CancelTask", attempt.task_id)
        dispatcher.advance(GRACE_SECONDS + 1)
    else:
        dispatcher.sender.drain("queue/wakeups", limit=100)
        dispatcher.clock.advance(GRACE_SECONDS * 1_000 + 2_000)
        dispatcher.sender.drain("queue/wakeups", limit=100)
        dispatcher.sweep()
        dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "CANCELLED")
    assert_idle(dispatcher)


def test_a_running_one_ends_itself_at_its_next_check_in() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    say(dispatcher, "CancelTask", attempt.task_id, reason="wrong customer")
    assert dispatcher.status(attempt.task_id) == "DISPATCHED"
    assert attempt.check_in() is Order.CANCEL
    attempt.stop_as_told({"page": 3})
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "CANCELLED")
    [fact] = dispatcher.facts_of(FactName.TASK_CANCELLED, attempt.task_id)
    assert fact.data.reason == "Cancelled: wrong customer"
    assert_idle(dispatcher)


def test_one_that_does_not_listen_is_over_after_its_grace_and_its_late_word_is_refused() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    waiter = put(dispatcher, "waiter")
    say(dispatcher, "CancelTask", attempt.task_id)
    dispatcher.advance(GRACE_SECONDS - 1)
    assert dispatcher.statuses(attempt.task_id, waiter) == ["DISPATCHED", "PARKED"]
    dispatcher.advance(2)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")
    assert dispatcher.status(waiter) == "DISPATCHED"
    with pytest.raises(ConditionFailed):
        attempt.succeed()


def test_no_check_in_outlives_the_grace() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    say(dispatcher, "CancelTask", attempt.task_id)
    for _ in range(GRACE_SECONDS - 1):
        dispatcher.advance(1)
        attempt.check_in()
    dispatcher.advance(2)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")


def test_the_grace_is_the_policys() -> None:
    dispatcher = a_dispatcher()
    dispatcher.set_policy(task_types={"echo": {"cancel_grace_seconds": 120}})
    attempt = running(dispatcher, "task")
    say(dispatcher, "CancelTask", attempt.task_id)
    dispatcher.advance(110)
    attempt.succeed({"just": "in time"})
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")


def test_a_second_cancel_does_not_prolong_the_grace() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    for _ in range(4):
        say(dispatcher, "CancelTask", attempt.task_id)
        dispatcher.advance(GRACE_SECONDS / 4 + 0.1)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")


def test_one_that_starts_after_it_was_cancelled_ends_at_once() -> None:
    """Between the order and the end of an unstarted attempt, somebody starts it."""
    faults = Beside(lambda operations: any("cancelled_by" in getattr(one, "set", {}) for one in operations))
    dispatcher = a_dispatcher(faults=faults)
    task_id = put(dispatcher, "task")
    started: list[AttemptByHand] = []
    faults.late = lambda: started.append(dispatcher.take("one"))
    say(dispatcher, "CancelTask", task_id)
    assert started[0].orders.order is Order.CANCEL
    dispatcher.advance(GRACE_SECONDS + 1)
    assert_over(dispatcher, task_id, "CANCELLED")
    assert_idle(dispatcher)


# Races with the attempt's own word


def test_a_success_that_was_there_first_stays_one() -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    attempt.succeed({"done": True}, nudge=False)
    say(dispatcher, "CancelTask", attempt.task_id)
    assert_over(dispatcher, attempt.task_id, "SUCCEEDED")
    assert dispatcher.result(attempt.task_id) == {"done": True}
    assert_idle(dispatcher)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (lambda attempt: attempt.succeed(), "SUCCEEDED"),
        (lambda attempt: attempt.fail(), "CANCELLED"),
        (lambda attempt: attempt.fail(PERMANENT), "CANCELLED"),
        (lambda attempt: attempt.give_way({"page": 1}), "CANCELLED"),
        (lambda attempt: attempt.suspend({"page": 1}, seconds=5), "CANCELLED"),
        (lambda attempt: attempt.suspend({"page": 1}, awaits="approval"), "CANCELLED"),
        (lambda attempt: attempt.throttled("llm", 5), "CANCELLED"),
    ],
)
def test_whatever_else_an_ordered_attempt_says_the_task_is_not_tried_again(
    word: Callable[[AttemptByHand], None], status: str
) -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    say(dispatcher, "CancelTask", attempt.task_id)
    word(attempt)
    dispatcher.run_until_idle()
    assert_over(dispatcher, attempt.task_id, status)
    assert_idle(dispatcher)


@pytest.mark.parametrize(
    "word",
    [
        lambda attempt: attempt.succeed(),
        lambda attempt: attempt.fail(),
        lambda attempt: attempt.give_way({"page": 1}),
        lambda attempt: attempt.suspend({"page": 1}, awaits="approval"),
    ],
)
@pytest.mark.parametrize("heard", [False, True])
def test_a_word_that_slips_in_right_before_the_order_is_not_overruled(
    word: Callable[[AttemptByHand], None], heard: bool
) -> None:
    """The attempt ends after it was read and before it is told, and another router may hear of that at once."""
    faults = Beside(lambda operations: any("cancelled_by" in getattr(one, "set", {}) for one in operations))
    dispatcher = a_dispatcher(faults=faults)
    attempt = running(dispatcher, "task")

    def ends() -> None:
        word(attempt)
        if heard:
            for message in dispatcher.sender.drain("queue/results"):
                dispatcher.sender.send("queue/results", [message])
            dispatcher._deliver("queue/results")

    faults.early = ends
    say(dispatcher, "CancelTask", attempt.task_id)
    assert faults.over
    assert dispatcher.status(attempt.task_id) in ("CANCELLED", "SUCCEEDED")
    assert_over(dispatcher, attempt.task_id, str(dispatcher.status(attempt.task_id)))
    assert_idle(dispatcher)


def test_a_lease_that_ran_out_unnoticed_is_no_retry_once_the_task_was_cancelled() -> None:
    """A turn has read the silent attempt and not yet ended it; then the cancel comes, which leaves its lease alone."""

    def reclaims(operations: Any) -> bool:
        return any(getattr(one, "set", {}).get("status") == "RETRYING" for one in operations)

    faults = Beside(reclaims)
    dispatcher = a_dispatcher(faults=faults)
    put(dispatcher, "task")
    attempt = dispatcher.take("one", lease_ms=20_000)
    dispatcher.clock.advance(26_000)
    faults.early = lambda: cancel(dispatcher.turn, dispatcher.pusher, "atlas", attempt.task_id, "just now")
    dispatcher.sweep()
    assert faults.over
    dispatcher.advance(GRACE_SECONDS + 1)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")
    assert_idle(dispatcher)


def test_a_lost_attempt_of_a_cancelled_task_is_not_tried_again() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "task")
    attempt = dispatcher.take("one", lease_ms=2_000)  # its process is dead
    say(dispatcher, "CancelTask", attempt.task_id)
    dispatcher.advance(GRACE_SECONDS + 1)
    assert_over(dispatcher, attempt.task_id, "CANCELLED")


def test_a_cancel_takes_the_place_of_an_order_to_yield() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {victim.task_id: waiter}
    say(dispatcher, "CancelTask", victim.task_id)
    assert victim.check_in() is Order.CANCEL
    victim.stop_as_told()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["CANCELLED", "DISPATCHED"]
    assert orders(dispatcher) == marks(dispatcher) == {}


def test_nobody_is_asked_to_yield_who_is_cancelled_already() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    say(dispatcher, "CancelTask", victim.task_id)
    waiter = put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {}
    assert victim.check_in() is Order.CANCEL
    victim.stop_as_told()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(victim.task_id, waiter) == ["CANCELLED", "DISPATCHED"]


def test_the_order_to_yield_for_a_waiter_is_called_off_when_the_waiter_is_cancelled() -> None:
    dispatcher = a_dispatcher()
    victim = running(dispatcher, "victim")
    waiter = put(dispatcher, "waiter", tier="critical")
    assert orders(dispatcher) == {victim.task_id: waiter}
    say(dispatcher, "CancelTask", waiter)
    assert_over(dispatcher, waiter, "CANCELLED")
    assert orders(dispatcher) == {}
    assert victim.check_in() is Order.CONTINUE


# Not to be cancelled


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (lambda attempt: attempt.succeed(), "SUCCEEDED"),
        (lambda attempt: attempt.fail(PERMANENT), "FAILED"),
    ],
)
def test_what_has_ended_stays_as_it_is(word: Callable[[AttemptByHand], None], status: str) -> None:
    dispatcher = a_dispatcher()
    attempt = running(dispatcher, "task")
    word(attempt)
    dispatcher.run_until_idle()
    before = stored(dispatcher, attempt.task_id)
    say(dispatcher, "CancelTask", attempt.task_id)
    assert stored(dispatcher, attempt.task_id) == before
    assert_over(dispatcher, attempt.task_id, status)


def test_a_task_of_another_tenant_is_unknown() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "task")
    say(dispatcher, "CancelTask", task_id, tenant_id="borea")
    assert dispatcher.status(task_id) == "DISPATCHED"
    [refused] = dispatcher.quarantined()
    assert "no task of this id" in msgspec.json.encode(refused).decode()
    with pytest.raises(InvalidEvent):
        cancel(dispatcher.turn, dispatcher.pusher, "atlas", "no-such-task", "x")


def test_a_blocked_child_is_cancelled_without_having_run_and_its_workflow_goes_on() -> None:
    world = WorkflowWorld(slots=1, agent_by_hand=True)
    workflow_id = world.submit(node("a"), node("b", "a"))
    world.dispatcher.run_until_idle()
    child = node_task_id(workflow_id, "b")
    assert world.dispatcher.status(child) == "BLOCKED"
    say(world.dispatcher, "CancelTask", child)
    assert_over(world.dispatcher, child, "CANCELLED")
    world.dispatcher.take("one").succeed()
    world.dispatcher.run_until_idle()
    assert world.status(workflow_id).terminal
    assert_over(world.dispatcher, child, "CANCELLED")


def test_many_are_cancelled_while_they_run_and_wait() -> None:
    dispatcher = a_dispatcher(slots=2)
    first = [running(dispatcher, f"run-{n}") for n in range(2)]
    rest = [put(dispatcher, f"wait-{n}") for n in range(6)]
    for task_id in [*rest[:3], *(attempt.task_id for attempt in first)]:
        send(dispatcher, "CancelTask", task_id)
    dispatcher.run_until_idle()
    for attempt in first:
        attempt.stop_as_told()
    dispatcher.run_until_idle()
    for task_id in [*rest[:3], *(attempt.task_id for attempt in first)]:
        assert_over(dispatcher, task_id, "CANCELLED")
    assert sorted(map(str, dispatcher.statuses(*rest[3:]))) == ["DISPATCHED", "DISPATCHED", "PARKED"]
