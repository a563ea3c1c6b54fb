"""Workflows from the producer's side, against the real router and agents in memory."""

import msgspec
import pytest

from pushlane.client import (
    InvalidSubmission,
    StillRunning,
    SubmissionRefused,
    Workflow,
    WorkflowUnknown,
    even_without,
    skip_without,
)
from pushlane.client.workflow_envelope import prepare_workflow
from pushlane.inmemory import InMemoryBlobs
from pushlane.model.claim_check import INLINE_BYTES_MAX, as_claim_check
from pushlane.model.ids import intake_slot
from pushlane.model.workflow import WorkflowStatus, keyed_workflow_id, node_task_id
from pushlane.model.workflow_document import ClaimedNodes
from pushlane.scheduling.workflow import Counts
from tests.unit.client.test_producer import World

ECHO = {"task_type": "echo"}
THREE = (
    Workflow("digest", "atlas")
    .task("a", **ECHO, payload={"n": 1})
    .task("b", **ECHO, after=["a"])
    .task("c", **ECHO, after=["a", skip_without("b")])
)


def test_a_workflow_goes_in_and_its_end_comes_out() -> None:
    client = World().client
    submitted = client.submit_workflow(THREE.with_settings(idempotency_key="w-1"))
    assert submitted.workflow_id == keyed_workflow_id("atlas", "w-1")
    assert submitted.task_ids["b"] == node_task_id(submitted.workflow_id, "b")
    done = client.wait_workflow(submitted.workflow_id, timeout_seconds=10)
    assert (done.status, done.name, done.counts) == (WorkflowStatus.SUCCEEDED, "digest", Counts(nodes=3, succeeded=3))
    assert client.result(submitted.task_ids["a"]) == {"said": {"n": 1}}
    assert [(one.name, one.status) for one in client.workflow_nodes(done.workflow_id)] == [
        ("a", "SUCCEEDED"),
        ("b", "SUCCEEDED"),
        ("c", "SUCCEEDED"),
    ]


def test_a_failure_shows_in_the_nodes() -> None:
    client = World().client
    failing = (
        Workflow("f", "atlas")
        .task("a", **ECHO, payload={"fail": True})
        .task("b", **ECHO, after=[skip_without("a")])
        .task("c", **ECHO, after=[even_without("a")])
    )
    record = client.wait_workflow(client.submit_workflow(failing).workflow_id, timeout_seconds=10)
    assert record.status is WorkflowStatus.FAILED
    assert record.counts == Counts(nodes=3, failed=1, skipped=1, succeeded=1)
    assert [one.status for one in client.workflow_nodes(record.workflow_id)] == ["FAILED", "SKIPPED", "SUCCEEDED"]


def test_a_tenants_workflows_are_listed_the_newest_first() -> None:
    world = World()
    assert world.client.workflows("atlas") == ()
    ids = []
    for number in range(3):
        one = world.client.submit_workflow(Workflow(f"w{number}", "atlas").task("a", **ECHO))
        world.client.wait_workflow(one.workflow_id, timeout_seconds=10)
        world.dispatcher.advance(1)
        ids.append(one.workflow_id)
    assert [one.workflow_id for one in world.client.workflows("atlas")] == ids[::-1]
    assert [one.name for one in world.client.workflows("atlas", limit=2)] == ["w2", "w1"]
    assert world.client.workflows("other") == ()


def test_a_cancelled_workflow() -> None:
    world = World()
    submitted = world.client.submit_workflow(Workflow("w", "atlas").task("a", task_type="nobody-does-this"))
    world.dispatcher.run_until_idle()
    world.client.cancel_workflow("atlas", submitted.workflow_id, reason="changed our mind")
    record = world.client.wait_workflow(submitted.workflow_id, timeout_seconds=10)
    assert (record.status, record.reason) == (WorkflowStatus.CANCELLED, "changed our mind")
    assert [one.status for one in world.client.workflow_nodes(record.workflow_id)] == ["CANCELLED"]


def test_large_payloads_and_large_sets_go_to_the_claims() -> None:
    blobs = InMemoryBlobs()
    big = {"text": "x" * (INLINE_BYTES_MAX + 1)}
    workflow = Workflow("large", "atlas")
    for number in range(900):
        workflow = workflow.task(f"n{number}", **ECHO, payload={"n": "y" * 100} if number else big)
    prepared = prepare_workflow(workflow, blobs=blobs, new_key=lambda: "k")
    assert len(prepared.encoded()) < 1_000
    assert prepared.event.metadata.intake == intake_slot("atlas")
    tasks = prepared.event.data.tasks
    assert isinstance(tasks, ClaimedNodes)
    stored = msgspec.json.decode(blobs.get(tasks.claim.key))["tasks"]
    payload = as_claim_check(stored[0]["payload"])
    assert payload is not None
    assert msgspec.json.decode(blobs.get(payload.key)) == big
    assert len(prepared.task_ids) == 900


def test_a_large_workflow_runs() -> None:
    world = World()
    workflow = Workflow("large", "atlas").task("root", **ECHO)
    for number in range(300):
        workflow = workflow.task(f"n{number}", **ECHO, payload={"text": "y" * 300}, after=["root"])
    submitted = world.client.submit_workflow(workflow)
    record = world.client.wait_workflow(submitted.workflow_id, timeout_seconds=60)
    assert record.counts == Counts(nodes=301, succeeded=301)


@pytest.mark.parametrize(
    ("workflow", "field", "said"),
    [
        (THREE.task("d", **ECHO, after=["x"]), "$.data.tasks[3].depends_on[0]", "'x'"),
        (THREE.task("a", **ECHO), "$.data.tasks[3].name", "already"),
        (
            Workflow("w", "atlas").task("a", **ECHO, after=["b"]).task("b", **ECHO, after=["a"]),
            "$.data.tasks[0].depends_on[0]",
            "a -> b -> a",
        ),
        (Workflow("w", "atlas"), "$.data.tasks", "length"),
        (Workflow("w", "atlas").task("a", task_type="x y"), "$.data.tasks[0].task_type", "regex"),
        (Workflow("w", "atlas").task("a", **ECHO, payload={"at": object()}), "$.data", "not JSON"),
        (
            Workflow("w", "atlas").task("a", **ECHO, retry={"backoff_seconds": 99}),
            "$.data.tasks[0].retry.backoff_max_seconds",
            "below",
        ),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(workflow: Workflow, field: str, said: str) -> None:
    world = World()
    with pytest.raises(InvalidSubmission) as raised:
        world.client.submit_workflow(workflow)
    assert raised.value.field == field
    assert said in str(raised.value)
    assert world.aws.calls == []


def test_a_door_that_refuses_says_which_key_to_repeat() -> None:
    world = World()
    world.aws._answer = lambda name, arguments: {"Failed": [{"Id": "0", "Code": "No", "SenderFault": True}]}
    with pytest.raises(SubmissionRefused, match="idempotency_key='mine'"):
        world.client.submit_workflow(THREE.with_settings(idempotency_key="mine"))


def test_the_bus_is_told_what_it_is() -> None:
    world = World()
    data = {"tenant_id": "atlas", "tasks": [{"name": "a", **ECHO}]}
    world.client.submit_workflow(data, door="eventbridge")
    (name, arguments) = world.aws.calls[0]
    assert (name, arguments["Entries"][0]["DetailType"]) == ("put_events", "SubmitWorkflow")


def test_what_is_not_there_is_unknown_and_what_goes_on_is_still_running() -> None:
    world = World()
    with pytest.raises(WorkflowUnknown, match="w-0"):
        world.client.workflow("w-0")
    submitted = world.client.submit_workflow(Workflow("w", "atlas").task("a", task_type="nobody-does-this"))
    with pytest.raises(StillRunning):
        world.client.wait_workflow(submitted.workflow_id, timeout_seconds=2)
