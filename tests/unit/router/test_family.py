"""Tasks that a running task submits: attached ones end with it and tell it of their end, detached ones live alone."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import ChildFailed, Permanent, TaskContext, agent
from pushlane.model.events import FactName
from pushlane.router.cancel import cancel
from pushlane.testing import InMemoryDispatcher


@agent(task_types=("report",))
def report(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    child = ctx.submit("page", {**payload, "text": "x"}, key="one", attached=payload.get("attached", True))
    if payload.get("leave"):
        return {"child": child.task_id}
    if payload.get("break"):
        raise Permanent("as asked")
    try:
        return {"child": child.task_id, "said": child.result()["text"]}
    except ChildFailed as error:
        return {"child": child.task_id, "failed": error.status}


@agent(task_types=("page",))
def page(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if payload.get("child_fails"):
        raise Permanent("as asked")
    return {"text": payload["text"] * payload.get("times", 1)}


class World:
    """Parents run; children run too, unless they are to lie there (`idle`)."""

    def __init__(self, *, idle: bool = False) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.register(report, agent_id="parent", slots=2)
        if not idle:
            self.dispatcher.register(page, agent_id="child", slots=2)

    def run(self, **payload: Any) -> str:
        task_id = self.dispatcher.submit(task_type="report", payload=payload)
        self.dispatcher.advance(2)
        return task_id

    def child_of(self, task_id: str) -> str:
        facts = self.dispatcher.facts_of(FactName.TASK_ACCEPTED)
        (child,) = {str(fact.data.task_id) for fact in facts} - {task_id}
        return child

    def cancel(self, task_id: str) -> None:
        cancel(self.dispatcher.turn, self.dispatcher.pusher, "atlas", task_id, "on request")
        self.dispatcher.advance(20)


def test_a_parent_goes_on_when_its_child_has_ended() -> None:
    world = World()
    task_id = world.run()
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.dispatcher.result(task_id) == {"child": world.child_of(task_id), "said": "x"}
    (signal,) = world.dispatcher.facts_of(FactName.TASK_SUSPENDED, task_id)
    assert signal.data.epoch == 1


def test_a_parent_hears_that_its_child_failed() -> None:
    world = World()
    task_id = world.run(child_fails=True)
    assert world.dispatcher.result(task_id)["failed"] == "FAILED"


def test_a_large_result_reaches_the_parent() -> None:
    world = World()
    task_id = world.run(times=40_000)
    assert world.dispatcher.result(task_id)["said"] == "x" * 40_000


@agent(task_types=("many",))
def many(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    pages = {"text": "x", "times": payload["times"]}
    children = [ctx.submit("page", pages, key=f"page-{number}", attached=True) for number in range(payload["pages"])]
    return {"characters": sum(len(child.result()["text"]) for child in children)}


def test_the_results_of_many_children_reach_the_parent() -> None:
    """Together they are more than an item holds."""
    world = World()
    world.dispatcher.register(many, agent_id="many", slots=1)
    task_id = world.dispatcher.submit(task_type="many", payload={"pages": 60, "times": 12_000})
    for _ in range(200):
        world.dispatcher.advance(2)
    assert world.dispatcher.result(task_id) == {"characters": 60 * 12_000}


@pytest.mark.parametrize("payload", [{"leave": True}, {"break": True}])
def test_an_attached_child_does_not_outlive_its_parent(payload: dict[str, Any]) -> None:
    world = World(idle=True)
    task_id = world.run(**payload)
    assert world.dispatcher.status(task_id) in ("SUCCEEDED", "FAILED")
    assert world.dispatcher.status(world.child_of(task_id)) == "CANCELLED"


def test_a_detached_child_does() -> None:
    world = World(idle=True)
    task_id = world.run(leave=True, attached=False)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.dispatcher.status(world.child_of(task_id)) == "PARKED"


def test_a_cancelled_parent_takes_its_attached_child_along() -> None:
    world = World(idle=True)
    task_id = world.run()
    assert world.dispatcher.status(task_id) == "SUSPENDED"
    world.cancel(task_id)
    assert world.dispatcher.statuses(task_id, world.child_of(task_id)) == ["CANCELLED", "CANCELLED"]


def test_a_child_that_comes_after_its_parents_end_is_cancelled() -> None:
    world = World(idle=True)
    task_id = world.run(leave=True, attached=False)
    child = world.dispatcher.submit(task_type="page", parent={"task_id": task_id})
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(child) == "CANCELLED"


def test_nobody_is_told_of_another_tenants_task() -> None:
    stranger = InMemoryDispatcher(tenants=("atlas", "other"))
    stranger.register(page, agent_id="child", slots=2)
    parent = stranger.submit(task_type="nobody")
    child = stranger.submit(tenant_id="other", task_type="page", payload={"text": "x"}, parent={"task_id": parent})
    stranger.run_until_idle()
    assert stranger.status(child) == "SUCCEEDED"
    stored = stranger.task(parent)
    assert stored is not None
    assert "signals" not in stored
