"""Workflows through the router: accepted, run in their order, ended by their nodes, by a command, by their deadline."""

import hashlib

import msgspec
import pytest

from pushlane.client.why import why
from pushlane.model.attempt import ErrorDetail
from pushlane.model.claim_check import INLINE_BYTES_MAX, as_claim_check
from pushlane.model.events import FactName
from pushlane.model.workflow import ParentResult, WorkflowStatus, keyed_workflow_id, node_task_id, unkeyed_workflow_id
from pushlane.scheduling.workflow import Counts
from tests.unit.model.workflows import chain, node, workflow_envelope
from tests.unit.router.workflow_world import WorkflowWorld

DIAMOND = [node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c")]


def test_a_diamond_runs_in_its_order_and_ends() -> None:
    world = WorkflowWorld()
    workflow_id = world.run(*DIAMOND)
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED
    assert world.node_statuses(workflow_id, "a", "b", "c", "d") == ["SUCCEEDED"] * 4
    ids = [node_task_id(workflow_id, name) for name in "abcd"]
    order = world.dispatched()
    assert order[0] == ids[0]
    assert order[-1] == ids[3]
    assert world.row(workflow_id).counts == Counts(nodes=4, succeeded=4)
    assert world.duties() == []


def test_facts_tell_the_workflow_and_what_its_tasks_are_in_it() -> None:
    world = WorkflowWorld()
    workflow_id = world.run(*DIAMOND, name="digest", labels={"kind": "test"})
    names = (FactName.WORKFLOW_ACCEPTED, FactName.WORKFLOW_STARTED, FactName.WORKFLOW_ENDED)
    for name, status in zip(names, ("PENDING", "ACTIVE", "SUCCEEDED"), strict=True):
        (fact,) = world.dispatcher.facts_of(name)
        assert (fact.data.workflow_id, fact.data.status, fact.data.labels) == (workflow_id, status, {"kind": "test"})
    (ended,) = world.dispatcher.facts_of(FactName.WORKFLOW_ENDED)
    assert ended.data.counts == {"nodes": 4, "succeeded": 4}
    (last,) = world.dispatcher.facts_of(FactName.TASK_DISPATCHED, node_task_id(workflow_id, "d"))
    assert (last.data.workflow_id, last.data.node, last.data.unblock_ms) == (workflow_id, "d", 0)
    assert len(world.dispatcher.facts_of(FactName.TASK_BLOCKED)) == 4


@pytest.mark.parametrize(
    ("policy", "child", "after_it", "status"),
    [
        ("fail", "FAILED", "FAILED", WorkflowStatus.FAILED),
        ("skip", "CANCELLED", "CANCELLED", WorkflowStatus.FAILED),
        ("continue", "SUCCEEDED", "SUCCEEDED", WorkflowStatus.SUCCEEDED),
    ],
)
def test_an_edge_says_what_becomes_of_a_child_whose_parent_failed(
    policy: str, child: str, after_it: str, status: WorkflowStatus
) -> None:
    world = WorkflowWorld()
    nodes = [node("a", payload={"fail": True}), node("b", {"node": "a", "on_failure": policy}), node("c", "b")]
    workflow_id = world.run(*nodes, node("d"))
    assert world.node_statuses(workflow_id, "a", "b", "c", "d") == ["FAILED", child, after_it, "SUCCEEDED"]
    assert world.status(workflow_id) is status
    assert world.duties() == []


def test_a_child_fails_as_soon_as_one_parent_that_it_needs_has() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    workflow_id = world.run(node("a"), node("b"), node("c", "a", "b"))
    attempt = world.dispatcher.take("one")
    attempt.fail(ErrorDetail(error_type="Broken", message="for good", retryable=False))
    world.dispatcher.run_until_idle()
    assert sorted(map(str, world.node_statuses(workflow_id, "a", "b", "c"))) == ["DISPATCHED", "FAILED", "FAILED"]
    assert world.status(workflow_id) is WorkflowStatus.ACTIVE


def test_a_redriven_parent_lets_its_child_go() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    workflow_id = world.run(node("a", retry={"max_attempts": 1}), node("b", "a"))
    world.dispatcher.take("one").fail()
    world.dispatcher.run_until_idle()
    assert world.node_statuses(workflow_id, "a", "b") == ["DEAD_LETTERED", "BLOCKED"]
    assert world.status(workflow_id) is WorkflowStatus.ACTIVE
    world.command("RedriveTask", task_id=node_task_id(workflow_id, "a"))
    world.dispatcher.advance(5)
    for _ in range(2):
        world.dispatcher.take("one").succeed({})
        world.dispatcher.run_until_idle()
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED


def test_a_repeat_is_the_same_workflow_and_another_body_is_refused() -> None:
    world = WorkflowWorld()
    workflow_id = world.run(*DIAMOND)
    world.run(*DIAMOND)
    world.run(*chain(2))
    assert world.row(workflow_id).accepted.nodes == 4
    assert len(world.dispatcher.facts_of(FactName.WORKFLOW_ACCEPTED)) == 1
    (refused,) = world.dispatcher.quarantined()
    assert (refused["code"], refused["field"]) == ("key_conflict", "$.data.idempotency_key")


def test_without_a_key_the_record_is_the_identity() -> None:
    world = WorkflowWorld()
    for _ in range(2):
        world.send(workflow_envelope(node("a")), message_id="m-1")
        world.dispatcher.run_until_idle()
    assert world.status(unkeyed_workflow_id("atlas", "sqs", "m-1")) is WorkflowStatus.SUCCEEDED
    assert len(world.dispatcher.facts_of(FactName.TASK_ACCEPTED)) == 1


def test_a_cycle_is_refused_with_its_path_and_nothing_is_written() -> None:
    world = WorkflowWorld()
    workflow_id = world.run(node("a", "c"), node("b", "a"), node("c", "b"))
    (refused,) = world.dispatcher.quarantined()
    assert refused["field"] == "$.data.tasks[0].depends_on[0]"
    assert "`a -> c -> b -> a` is a cycle" in refused["reason"]
    (fact,) = world.dispatcher.facts_of(FactName.TASK_REJECTED)
    assert fact.data.code == "cycle"
    assert world.dispatcher.task(node_task_id(workflow_id, "a")) is None


def test_what_the_policy_has_no_room_for_is_refused_at_its_node() -> None:
    world = WorkflowWorld()
    world.run(node("a"), node("b", "a", resources={"gpu": 1}))
    (refused,) = world.dispatcher.quarantined()
    assert (refused["code"], refused["field"]) == ("unknown_resource", "$.data.tasks[1].resources.gpu")


def claimed(world: WorkflowWorld, body: bytes, **changed: object) -> dict[str, object]:
    claim = {"key": "claims/atlas/w.json", "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), **changed}
    world.dispatcher.blobs.put("claims/atlas/w.json", body)
    data = {"tenant_id": "atlas", "idempotency_key": "k", "tasks": {"$claim_check": claim}}
    return {"metadata": {"name": "SubmitWorkflow", "version": 1}, "data": data}


def test_a_large_set_comes_as_a_claim_check() -> None:
    world = WorkflowWorld()
    world.send(claimed(world, msgspec.json.encode({"tasks": DIAMOND})))
    world.dispatcher.run_until_idle()
    assert world.status(keyed_workflow_id("atlas", "k")) is WorkflowStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("body", "changed", "field"),
    [
        ({"tasks": [node("a", "x")]}, {}, "$.data.tasks[0].depends_on[0]"),
        ({"tasks": [{"name": "a"}]}, {}, "$.data.tasks[0]"),
        ({"nodes": []}, {}, "$.data"),
        ({"tasks": DIAMOND}, {"sha256": "a" * 64}, "$.data.tasks.$claim_check.sha256"),
        ({"tasks": DIAMOND}, {"key": "claims/atlas/other"}, "$.data.tasks.$claim_check.key"),
        ({"tasks": DIAMOND}, {"key": "claims/b/w.json"}, "$.data.tasks.$claim_check.key"),
    ],
)
def test_a_claimed_set_is_checked_like_an_inline_one(
    body: dict[str, object], changed: dict[str, object], field: str
) -> None:
    world = WorkflowWorld()
    world.send(claimed(world, msgspec.json.encode(body), **changed))
    world.dispatcher.run_until_idle()
    (refused,) = world.dispatcher.quarantined()
    assert refused["field"] == field


def test_a_set_too_large_for_an_event_is_refused() -> None:
    world = WorkflowWorld()
    many = [node(f"n{place}", payload={"text": "x" * 1_000}) for place in range(INLINE_BYTES_MAX // 1_000)]
    world.run(*many)
    (refused,) = world.dispatcher.quarantined()
    assert (refused["code"], refused["field"]) == ("oversize", "$.data.tasks")


def test_a_cancelled_workflow_ends_and_takes_its_tasks_along() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    workflow_id = world.run(*DIAMOND)
    attempt = world.dispatcher.take("one")
    attempt.succeed({})
    world.dispatcher.run_until_idle()
    world.dispatcher.take("one")  # b or c is running
    world.command("CancelWorkflow", workflow_id=workflow_id, reason="not needed")
    world.dispatcher.run_until_idle()
    assert world.status(workflow_id) is WorkflowStatus.CANCELLED
    world.dispatcher.advance(30)
    assert world.node_statuses(workflow_id, "a", "b", "c", "d") == ["SUCCEEDED"] + ["CANCELLED"] * 3
    assert world.marks(workflow_id) == {0: "SUCCEEDED", 1: "CANCELLED", 2: "CANCELLED", 3: "CANCELLED"}
    (fact,) = world.dispatcher.facts_of(FactName.WORKFLOW_ENDED)
    assert (fact.data.status, fact.data.reason) == ("CANCELLED", "not needed")
    assert world.duties() == []
    assert world.dispatcher.used("one") == 0


def test_an_ended_workflow_is_not_cancelled_and_a_strange_one_is_not_known() -> None:
    world = WorkflowWorld()
    workflow_id = world.run(node("a"))
    world.command("CancelWorkflow", workflow_id=workflow_id)
    world.command("CancelWorkflow", workflow_id="w-0")
    world.dispatcher.run_until_idle()
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED
    (refused,) = world.dispatcher.quarantined()
    assert (refused["code"], refused["field"]) == ("unknown_workflow", "$.data.workflow_id")


def test_a_hard_deadline_ends_the_whole_workflow() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    deadline_ms = world.dispatcher.clock.now_ms() + 60_000
    workflow_id = world.run(*DIAMOND, deadline_ms=deadline_ms, deadline_kind="hard")
    world.dispatcher.take("one", heartbeat=True)
    world.dispatcher.advance(59)
    assert world.status(workflow_id) is WorkflowStatus.ACTIVE
    world.dispatcher.advance(30)
    assert world.status(workflow_id) is WorkflowStatus.EXPIRED
    assert world.node_statuses(workflow_id, "a", "b", "c", "d") == ["CANCELLED"] * 4
    assert world.duties() == []
    assert world.dispatcher.used("one") == 0


def test_a_workflow_that_ends_in_time_leaves_no_deadline_behind() -> None:
    world = WorkflowWorld()
    deadline_ms = world.dispatcher.clock.now_ms() + 60_000
    workflow_id = world.run(*DIAMOND, deadline_ms=deadline_ms, deadline_kind="hard")
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED
    assert world.duties() == []


def test_a_nodes_own_hard_deadline_holds_while_it_waits_for_its_parents() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    deadline_ms = world.dispatcher.clock.now_ms() + 60_000
    late = node("b", "a", deadline_ms=deadline_ms, deadline_kind="hard", estimate={"runtime_seconds": 10})
    workflow_id = world.run(node("a"), late, node("c", "b"))
    world.dispatcher.take("one", heartbeat=True)
    world.dispatcher.advance(55)
    assert world.node_statuses(workflow_id, "a", "b", "c") == ["DISPATCHED", "EXPIRED", "FAILED"]


def test_nodes_take_their_deadline_from_the_path_behind_them() -> None:
    world = WorkflowWorld()
    runtime = {"estimate": {"runtime_seconds": 10}}
    workflow_id = world.run(node("a", **runtime), node("b", "a", **runtime), deadline_ms=2_000_000_000_000)
    bodies = [world.dispatcher.task(node_task_id(workflow_id, name)) for name in "ab"]
    deadlines = [msgspec.json.decode(str(body["body"]))["deadline_ms"] for body in bodies if body is not None]
    assert deadlines == [1_999_999_990_000, 2_000_000_000_000]


def test_nodes_may_run_in_other_pools() -> None:
    world = WorkflowWorld()
    world.dispatcher.register(None, agent_id="far", capabilities=("echo",), pool="gpu")
    workflow_id = world.run(node("a"), node("b", "a", pool="gpu"), node("c", "b"))
    world.dispatcher.take("far", "gpu").succeed({})
    world.dispatcher.run_until_idle()
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED
    assert world.duties() == []


def test_a_child_is_told_how_its_parents_ended() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    world.run(node("a"), node("b"), node("c", "a", {"node": "b", "on_failure": "continue"}))
    first, second = world.dispatcher.take("one"), world.dispatcher.take("one")
    by_node = {first.dispatch.node: first, second.dispatch.node: second}
    by_node["a"].succeed({"pages": 3})
    by_node["b"].fail(ErrorDetail(error_type="Broken", message="for good", retryable=False))
    world.dispatcher.run_until_idle()
    told = world.dispatcher.take("one").dispatch
    assert (told.node, told.workflow_id is not None) == ("c", True)
    assert told.parents == {
        "a": ParentResult(status="SUCCEEDED", result={"pages": 3}),
        "b": ParentResult(status="FAILED"),
    }
    assert (first.dispatch.parents, told.parents_claim) == ({}, None)


def test_what_parents_say_goes_as_a_claim_check_when_it_is_large() -> None:
    world = WorkflowWorld(agent_by_hand=True)
    world.run(node("a"), node("b"), node("c", "a", "b"))
    for _ in range(2):
        world.dispatcher.take("one").succeed({"text": "x" * 40_000})
    world.dispatcher.run_until_idle()
    told = world.dispatcher.take("one").dispatch
    assert told.parents == {}
    assert told.parents_claim is not None
    claim = as_claim_check(told.parents_claim)
    assert claim is not None
    kept = msgspec.json.decode(world.dispatcher.blobs.get(claim.key), type=dict[str, ParentResult])
    assert {name: one.status for name, one in kept.items()} == {"a": "SUCCEEDED", "b": "SUCCEEDED"}


def test_a_blocked_task_says_for_whom_it_waits() -> None:
    world = WorkflowWorld(agent_by_hand=True, slots=1)
    workflow_id = world.run(node("a"), node("b"), node("c", "a", "b"))
    said = why(world.dispatcher.store, node_task_id(workflow_id, "c"), world.dispatcher.clock.now_ms())
    assert said.explanation.startswith("it waits for 2 of its 2 parents: a (")
    assert "PARKED" in said.explanation
    assert "DISPATCHED" in said.explanation


def test_what_a_tenant_over_its_bound_submits_steps_aside() -> None:
    world = WorkflowWorld()
    now_ms = world.dispatcher.clock.now_ms()
    world.dispatcher.held.note("default", "atlas", now_ms + 30_000)
    workflow_id = world.run(*DIAMOND)
    assert world.dispatcher.facts_of(FactName.WORKFLOW_ACCEPTED) == []
    world.dispatcher.advance(31)
    assert world.status(workflow_id) is WorkflowStatus.SUCCEEDED
