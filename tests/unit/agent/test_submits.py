"""Children: submitted once however often the parent runs, recorded before they are sent, waited for without cost."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import ChildFailed, TaskContext, agent
from pushlane.model.attempt import OutcomeKind
from pushlane.model.events import SubmitData, SubmitTask
from pushlane.model.ids import intake_slot, keyed_task_id
from pushlane.model.task import ParentTask
from pushlane.testing import run_agent
from pushlane.testing.deliveries import INTAKE
from tests.unit.agent.worlds import World


@agent(task_types=("report",))
def report(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    pages = [ctx.submit("page", {"page": page}, key=f"page-{page}") for page in payload["pages"]]
    return {"texts": [page.result()["text"] for page in pages]}


def test_a_parent_waits_for_its_children_without_running() -> None:
    run = run_agent(report, {"pages": [1, 2]}, children=lambda child: {"text": f"page {child.payload['page']}"})
    assert run.result == {"texts": ["page 1", "page 2"]}
    assert run.invocations == 3
    keys = [one.idempotency_key for one in run.submitted]
    assert len(set(keys)) == 2


def test_without_anybody_to_end_the_child_the_parent_is_suspended() -> None:
    run = run_agent(report, {"pages": [1]})
    assert run.kind is OutcomeKind.SUSPENDED
    [child] = run.submitted
    assert run.awaits == f"child:{keyed_task_id('rehearsal', child.idempotency_key or '')}"


def test_a_child_that_fails_is_an_error_of_the_parent_that_can_be_caught() -> None:
    def broken(_child: SubmitData) -> Mapping[str, Any]:
        raise RuntimeError("as the test ordered")

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            ctx.submit("page", key="one").result()
        except ChildFailed as error:
            return {"status": error.status}
        return {}

    run = run_agent(agent(task_types=("any",))(work), children=broken)
    assert run.result == {"status": "FAILED"}


def submitting(**more: Any) -> World:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        child = ctx.submit("page", {"page": 1}, key="one", **more)
        return {"child": child.task_id, "children": world.stored.get("children", [])}

    world = World(work)
    world.redispatch(cause_depth=2, correlation_id="c-1")
    world.run()
    return world


def test_a_child_is_a_submission_of_the_same_tenant_one_deeper() -> None:
    world = submitting(tier="high")
    [message] = world.dispatcher.sender.drain(INTAKE)
    event = msgspec.json.decode(message.body, type=SubmitTask)
    assert (event.metadata.depth, event.metadata.correlation_id) == (3, "c-1")
    assert event.metadata.intake == intake_slot("atlas")
    assert (event.data.tenant_id, event.data.task_type, event.data.tier.value) == ("atlas", "page", "high")
    assert event.data.parent == ParentTask(task_id=world.task_id, attached=True)
    said = world.outcome.result or {}
    assert said["child"] == keyed_task_id("atlas", event.data.idempotency_key or "")


def test_an_attached_child_is_recorded_on_the_attempt_and_a_detached_one_is_not() -> None:
    attached, detached = submitting().outcome.result or {}, submitting(attached=False).outcome.result or {}
    assert attached["children"] == [attached["child"]]
    assert detached["children"] == []


def test_nobody_waits_for_a_detached_child() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return ctx.submit("page", key="one", attached=False).result()

    run = run_agent(agent(task_types=("any",))(work))
    assert run.error is not None
    assert "submit it with attached=True" in run.error.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tier": "urgent"}, "$.tier"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"payload": [1]}, "$.payload"),
        ({"payload": {"a": object()}}, "object"),
    ],
)
def test_what_cannot_be_submitted_fails_for_good_and_names_the_field(more: dict[str, Any], message: str) -> None:
    payload = more.pop("payload", None)
    run = run_agent(agent(task_types=("any",))(lambda ctx, _p: ctx.submit("page", payload, key="one", **more)))
    assert run.error is not None
    assert (run.error.error_type, run.error.retryable) == ("Permanent", False)
    assert message in run.error.message


def test_tasks_do_not_nest_for_ever() -> None:
    world = World(lambda ctx, _payload: ctx.submit("page", key="one"))
    world.redispatch(cause_depth=8)
    world.run()
    assert world.outcome.error is not None
    assert world.outcome.error.message == "submit('one'): tasks are nested 8 deep already"


def test_a_child_that_the_queue_does_not_take_fails_the_attempt_which_is_retried() -> None:
    world = World(lambda ctx, _payload: ctx.submit("page", key="one"))
    world.dispatcher.sender._refuse = lambda url, _message: url == INTAKE
    world.run()
    assert world.outcome.error is not None
    assert (world.outcome.error.error_type, world.outcome.error.retryable) == ("NotSubmitted", True)


def test_a_large_payload_goes_as_a_claim_check() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.submit("page", {"text": "x" * 70_000}, key="one")
        return {}

    world = World(work)
    world.run()
    [message] = world.dispatcher.sender.drain(INTAKE)
    [claim] = msgspec.json.decode(message.body, type=SubmitTask).data.payload.values()
    assert len(world.dispatcher.blobs.get(claim["key"])) > 70_000
