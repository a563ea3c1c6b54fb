"""What becomes of a record or a nudge that comes again, late, or beside another: in every state of its task."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import FactName
from pushlane.ports import Cancelled, CancelReason, Message, TransactionCancelled
from pushlane.router.resolution import Resolution, judge
from pushlane.scheduling.decisions import Complete, Decision
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.state.changes import own_operations
from pushlane.state.commit import Commit
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope
from tests.unit.values import NOW, POOL, a_finish, an_arrival, dispatch_of

AGENT_QUEUE = "queue/agent/one"
RESULTS = "queue/results"


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.attempt <= payload.get("failures", 0):
        raise RuntimeError("as ordered")
    return {"attempt": ctx.attempt}


def a_dispatcher(slots: int) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one", slots=slots)
    return dispatcher


def intake(message_id: str = "m1", **data: Any) -> dict[str, Any]:
    return sqs_event("intake", [(message_id, json.dumps(submit_envelope(**data)))])


def resolutions(dispatcher: InMemoryDispatcher) -> list[str]:
    return [fields["resolution"] for event, fields in dispatcher.logged if event == "intake"]


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("warm", [False, True])
def test_a_record_that_comes_again_before_its_attempt_started_pushes_it_again(slots: int, warm: bool) -> None:
    dispatcher = a_dispatcher(slots)
    dispatcher.router.handle(intake())
    lost = dispatcher.sender.drain(AGENT_QUEUE)
    router = dispatcher.router if warm else dispatcher.new_router()
    assert router.handle(intake()) == {"batchItemFailures": []}
    assert resolutions(dispatcher) == ["dispatched", "redelivered"]
    assert dispatcher.sender.drain(AGENT_QUEUE) == lost
    assert dispatcher.used("one") == 1


def test_a_record_that_comes_again_after_its_attempt_started_pushes_nothing() -> None:
    dispatcher = a_dispatcher(2)
    seen: list[list[Message]] = []

    @agent(task_types=("echo",))
    def meanwhile(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        dispatcher.router.handle(intake())
        seen.append(dispatcher.sender.drain(AGENT_QUEUE))
        return {}

    dispatcher.register(meanwhile, agent_id="one", slots=2)
    dispatcher.router.handle(intake())
    dispatcher.run_until_idle()
    assert seen == [[]]
    assert resolutions(dispatcher) == ["dispatched", "redelivered"]


def test_a_push_that_no_queue_takes_is_tried_again_with_its_record_until_one_does() -> None:
    dispatcher = a_dispatcher(2)
    refuses = [True, True, False]
    dispatcher.sender._refuse = lambda url, _message: url == AGENT_QUEUE and refuses.pop(0)
    again = {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert dispatcher.router.handle(intake()) == again
    assert dispatcher.router.handle(intake()) == again
    assert dispatcher.router.handle(intake()) == {"batchItemFailures": []}
    assert resolutions(dispatcher) == ["unpushed", "redelivered", "redelivered"]
    assert len(dispatcher.sender.drain(AGENT_QUEUE)) == 1


@pytest.mark.parametrize("slots", [0, 1, 2])
@pytest.mark.parametrize("ended", [False, True])
def test_the_same_key_with_another_body_is_refused_in_every_state_of_the_task(slots: int, ended: bool) -> None:
    dispatcher = a_dispatcher(slots)
    dispatcher.router.handle(intake("m1", idempotency_key="k", payload={"n": 1}))
    if ended:
        dispatcher.run_until_idle()
    dispatcher.router.handle(intake("m2", idempotency_key="k", payload={"n": 2}))
    assert [kept["code"] for kept in dispatcher.quarantined()] == ["key_conflict"]


@pytest.mark.parametrize("slots", [0, 1, 2])
@pytest.mark.parametrize("ended", [False, True])
def test_the_same_key_and_body_by_another_record_is_the_same_task_in_every_state(slots: int, ended: bool) -> None:
    dispatcher = a_dispatcher(slots)
    dispatcher.router.handle(intake("m1", idempotency_key="k"))
    if ended:
        dispatcher.run_until_idle()
    dispatcher.router.handle(intake("m2", idempotency_key="k"))
    assert resolutions(dispatcher)[-1] == "duplicate"
    assert dispatcher.quarantined() == []


def nudge_of(dispatcher: InMemoryDispatcher) -> Message:
    """Run the pushed attempt; its nudge, taken off the queue."""
    dispatcher._deliver_agent(AGENT_QUEUE)
    [nudge] = dispatcher.sender.drain(RESULTS)
    return nudge


def stale_facts(dispatcher: InMemoryDispatcher) -> int:
    return [fact.metadata.name for fact in dispatcher.facts].count(FactName.RESULT_STALE)


@pytest.mark.parametrize("failures", [0, 1])
@pytest.mark.parametrize("swept", [False, True])
def test_a_nudge_that_comes_twice_or_after_the_sweep_is_no_stale_result(failures: int, swept: bool) -> None:
    dispatcher = a_dispatcher(1)
    task_id = dispatcher.submit(payload={"failures": failures})
    dispatcher._deliver_intake()
    nudge = nudge_of(dispatcher)
    if swept:
        dispatcher.clock.advance(START_LEASE_MS)
        dispatcher.sweep()
    else:
        dispatcher.sender.send(RESULTS, [nudge])
        dispatcher.run_until_idle()
    before = dispatcher.status(task_id)
    dispatcher.sender.send(RESULTS, [nudge, nudge])
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == before == ("RETRYING" if failures else "SUCCEEDED")
    assert stale_facts(dispatcher) == 0


def test_nudges_of_two_attempts_of_a_task_in_one_batch_do_not_hold_each_other_up() -> None:
    dispatcher = a_dispatcher(1)
    task_id = dispatcher.submit(payload={"failures": 1})
    dispatcher._deliver_intake()
    first = nudge_of(dispatcher)
    dispatcher.clock.advance(START_LEASE_MS)
    dispatcher.sweep()
    dispatcher.clock.advance(2_000)
    dispatcher.sweep()
    second = nudge_of(dispatcher)
    event = sqs_event(RESULTS, [("a", first.body), ("b", second.body)])
    assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    assert dispatcher.result(task_id) == {"attempt": 2}
    assert (dispatcher.used("one"), dispatcher.live_attempts()) == (0, [])


def test_a_record_that_the_store_can_never_take_does_not_hold_up_its_neighbours() -> None:
    dispatcher = a_dispatcher(2)
    good, bad = (json.dumps(submit_envelope()) for _ in range(2))
    answer = dispatcher.router.handle(sqs_event("intake", [("good", good), ("b" * 500_000, bad)]))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "b" * 500_000}]}
    assert resolutions(dispatcher) == ["dispatched", "unpushed"]


def committed_as(*decisions: Decision) -> Commit:
    owned = [(one, operation) for one in decisions for operation in own_operations(one, POOL, NOW)]
    return Commit(
        operations=tuple(operation for _, operation in owned),
        owners=tuple(owner for owner, _ in owned),
        decisions=decisions,
        complete=True,
    )


DISPATCH = dispatch_of(an_arrival())
FINISHED = a_finish()


@pytest.mark.parametrize("reason", [CancelReason.CONFLICT, CancelReason.THROTTLED])
def test_a_conflict_settles_nothing_and_calls_for_a_new_plan(reason: CancelReason) -> None:
    cancelled = TransactionCancelled((Cancelled(0, reason),))
    assert judge(cancelled, committed_as(DISPATCH)) == ({}, True)


def test_a_shared_item_that_moved_settles_nothing_either() -> None:
    commit = committed_as(DISPATCH)
    shared = Commit(
        operations=commit.operations, owners=(None,) * len(commit.owners), decisions=(DISPATCH,), complete=True
    )
    assert judge(TransactionCancelled((Cancelled(0, CancelReason.CONDITION),)), shared) == ({}, True)


def test_a_forged_word_on_a_current_attempt_is_stale() -> None:
    cancelled = TransactionCancelled((Cancelled(1, CancelReason.CONDITION, None),))
    verdicts, contended = judge(cancelled, committed_as(Complete(finished=FINISHED)))
    assert ([said.resolution for said in verdicts.values()], contended) == ([Resolution.STALE], False)
