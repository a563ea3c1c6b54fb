"""The main job over in-memory ports: submit, route, reserve, dispatch, run, complete, hand on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.ports import Message, Write
from pushlane.router.app import StreamBatchUnfinished
from pushlane.testing import InMemoryDispatcher, kinesis_event, submit_envelope


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if payload.get("fail") == "permanently":
        raise Permanent("as ordered")
    if ctx.attempt <= payload.get("failures", 0):
        raise RuntimeError(f"attempt {ctx.attempt} fails as ordered")
    return {"said": payload.get("say"), "attempt": ctx.attempt}


def a_dispatcher(slots: int = 2, **more: Any) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher(**more)
    dispatcher.register(echo, agent_id="one", slots=slots)
    return dispatcher


def nothing_is_held(dispatcher: InMemoryDispatcher) -> bool:
    return not dispatcher.live_attempts() and dispatcher.used("one") == 0


def test_a_task_runs_and_its_slot_is_free_again() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"say": "hello"})
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "SUCCEEDED"
    assert dispatcher.result(task_id) == {"said": "hello", "attempt": 1}
    assert nothing_is_held(dispatcher)


def test_its_life_is_told_in_facts_once_each() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"say": "hello"}, tier="high", labels={"kind": "greeting"})
    dispatcher.run_until_idle()
    told = [fact for fact in dispatcher.facts if fact.data.task_id == task_id]
    assert Counter(fact.metadata.name for fact in told) == Counter(
        [FactName.TASK_ACCEPTED, FactName.TASK_DISPATCHED, FactName.TASK_STARTED, FactName.TASK_SUCCEEDED]
    )
    done = next(fact for fact in told if fact.metadata.name is FactName.TASK_SUCCEEDED)
    assert (done.data.tenant_id, done.data.tier, done.data.epoch) == ("atlas", "high", 1)
    assert done.data.labels == {"kind": "greeting"}
    assert done.data.result == {"said": "hello", "attempt": 1}
    assert len({fact.metadata.fact_id for fact in told}) == 4


def test_more_work_than_slots_waits_and_is_handed_on_in_order() -> None:
    dispatcher = a_dispatcher(slots=2)
    submitted = [dispatcher.submit(payload={"say": n}) for n in range(57)]
    dispatcher.run_until_idle()
    assert {dispatcher.status(task_id) for task_id in submitted} == {"SUCCEEDED"}
    assert nothing_is_held(dispatcher)
    dispatched = [f for f in dispatcher.facts if f.metadata.name is FactName.TASK_DISPATCHED]
    assert len(dispatched) == 57


def test_a_task_that_no_agent_can_do_waits_until_one_is_there() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(capabilities=["gpu"])
    dispatcher.run_until_idle()
    stored = dispatcher.task(task_id)
    assert stored is not None
    assert (stored["status"], stored["park_reason"]) == ("PARKED", "no-agent")
    dispatcher.register(echo, agent_id="gpu", capabilities=("gpu", "echo"))
    dispatcher.sweep()
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "SUCCEEDED"


def test_a_failing_attempt_is_retried_after_its_backoff() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"say": "hi", "failures": 2})
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "RETRYING"
    assert nothing_is_held(dispatcher)
    dispatcher.advance(10)
    assert dispatcher.result(task_id) == {"said": "hi", "attempt": 3}
    assert nothing_is_held(dispatcher)


@pytest.mark.parametrize(("exhausted", "status"), [("dead-letter", "DEAD_LETTERED"), ("fail", "FAILED")])
def test_a_task_that_fails_every_time_ends_as_its_policy_says_with_its_error(exhausted: str, status: str) -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"failures": 99}, retry={"max_attempts": 2, "exhausted": exhausted})
    dispatcher.run_until_idle()
    dispatcher.advance(10)
    stored = dispatcher.task(task_id)
    assert stored is not None
    assert (stored["status"], stored["epoch"]) == (status, 2)
    assert msgspec.json.decode(str(stored["error"]))["error_type"] == "RuntimeError"
    assert nothing_is_held(dispatcher)


def test_a_permanent_failure_is_not_retried() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"fail": "permanently"})
    dispatcher.run_until_idle()
    stored = dispatcher.task(task_id)
    assert stored is not None
    assert (stored["status"], stored["epoch"]) == ("FAILED", 1)


def test_the_same_key_and_body_is_one_task_through_any_doors() -> None:
    dispatcher = a_dispatcher()
    body: dict[str, Any] = {"payload": {"say": 1}, "idempotency_key": "order-1"}
    first = dispatcher.submit(**body)
    second = dispatcher.submit(**body)
    dispatcher.run_until_idle()
    again = dispatcher.submit(**body)
    event = kinesis_event("stream", [("1", submit_envelope(**body))])
    assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    dispatcher.run_until_idle()
    assert first == second == again
    accepted = [f for f in dispatcher.facts if f.metadata.name is FactName.TASK_ACCEPTED]
    assert len(accepted) == 1
    assert dispatcher.quarantined() == []


def test_the_same_key_with_another_body_is_refused_and_never_merged() -> None:
    dispatcher = a_dispatcher()
    task_id = dispatcher.submit(payload={"say": 1}, idempotency_key="order-1")
    dispatcher.submit(payload={"say": 2}, idempotency_key="order-1")
    dispatcher.run_until_idle()
    dispatcher.submit(payload={"say": 3}, idempotency_key="order-1")
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id)["said"] == 1
    kept = dispatcher.quarantined()
    assert [one["code"] for one in kept] == ["key_conflict", "key_conflict"]
    rejected = [f for f in dispatcher.facts if f.metadata.name is FactName.TASK_REJECTED]
    assert [f.data.field for f in rejected] == ["$.data.idempotency_key"] * 2


def test_one_bad_record_does_not_touch_its_neighbours() -> None:
    dispatcher = a_dispatcher()
    good = [dispatcher.submit(payload={"say": n}) for n in range(3)]
    dispatcher.submit(tier="urgent")
    dispatcher.submit(tenant_id="stranger")
    dispatcher.submit(payload={"text": "x" * 70_000})
    dispatcher.run_until_idle()
    assert {dispatcher.status(task_id) for task_id in good} == {"SUCCEEDED"}
    kept = {one["field"]: one["code"] for one in dispatcher.quarantined()}
    assert kept == {"$.data.tier": "invalid", "$.data.tenant_id": "unknown_tenant", "$.data.payload": "oversize"}


def test_a_result_above_64_kb_travels_as_a_claim_check() -> None:
    @agent(task_types=("big",))
    def big(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"text": "x" * 100_000}

    dispatcher = InMemoryDispatcher()
    dispatcher.register(big, agent_id="one")
    task_id = dispatcher.submit(task_type="big")
    dispatcher.run_until_idle()
    claim = dispatcher.result(task_id)["$claim_check"]
    assert claim["key"].startswith("claims/atlas/")
    assert len(dispatcher.blobs.get(claim["key"])) == claim["bytes"]


def test_a_forged_nudge_changes_nothing() -> None:
    dispatcher = a_dispatcher()
    dispatcher.sender.send("queue/results", [Message('{"token":"a.b.c","runner":"x","outcome":{}}'), Message("junk")])
    dispatcher.run_until_idle()
    assert [event for event, _ in dispatcher.logged] == ["nudge-refused", "nudge-refused"]


@pytest.mark.parametrize("idle_seconds", [120])
def test_with_nothing_to_do_nothing_runs(idle_seconds: float) -> None:
    dispatcher = a_dispatcher()
    dispatcher.submit()
    dispatcher.run_until_idle()
    dispatcher.advance(120)  # the wake-up of its lease runs, finds nothing, and arms no other
    dispatcher.logged.clear()
    dispatcher.advance(idle_seconds)
    assert dispatcher.logged == []
    assert dispatcher.sender.queue_urls() == []


def test_a_kinesis_batch_that_meets_a_fault_comes_again_as_a_whole() -> None:
    class Outage:
        def __init__(self) -> None:
            self.on = False

        def before(self, name: str, operations: Sequence[Write]) -> None:
            if self.on and name == "transact":
                raise StoreUnavailable("as ordered")

        def after(self, name: str, operations: Sequence[Write]) -> None:
            """Nothing happens."""

    outage = Outage()
    dispatcher = a_dispatcher(faults=outage)
    event = kinesis_event("stream", [("1", submit_envelope(payload={"say": 1})), ("2", b"junk")])
    outage.on = True
    with pytest.raises(StreamBatchUnfinished):
        dispatcher.router.handle(event)
    outage.on = False
    assert dispatcher.router.handle(event) == {"batchItemFailures": []}
    dispatcher.run_until_idle()
    done = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_SUCCEEDED]
    rejected = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_REJECTED]
    assert (len(done), len(rejected)) == (1, 1)


def test_every_fact_of_a_task_says_tenant_tier_and_type() -> None:
    dispatcher = a_dispatcher()
    dispatcher.submit(tier="low")
    dispatcher.run_until_idle()
    assert {(f.data.tenant_id, f.data.tier, f.data.task_type) for f in dispatcher.facts} == {("atlas", "low", "echo")}


def test_a_repeat_beside_a_conflict_in_one_batch_is_judged_by_the_stored_task() -> None:
    dispatcher = a_dispatcher()
    dispatcher.submit(payload={"say": 1}, idempotency_key="order-1")
    dispatcher.run_until_idle()
    for said in (2, 1, 2):
        dispatcher.submit(payload={"say": said}, idempotency_key="order-1")
    dispatcher.run_until_idle()
    assert [one["code"] for one in dispatcher.quarantined()] == ["key_conflict", "key_conflict"]
    repeats = [fields["resolution"] for event, fields in dispatcher.logged if event == "intake"]
    assert repeats == ["dispatched", "conflict", "duplicate", "conflict"]
