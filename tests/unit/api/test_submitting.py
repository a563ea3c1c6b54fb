"""Submissions over HTTP: the same admission and turn as the queue doors, inside the request."""

import json
from typing import Any

import pytest

from pushlane.api.bodies import TaskBody, WorkflowBody
from pushlane.model.events import SubmitData
from pushlane.model.task import Tier
from pushlane.model.workflow_document import WorkflowData
from pushlane.ports import Message, Table
from pushlane.testing import InMemoryDispatcher, sqs_event
from pushlane.testing.api import Answer, InMemoryApi
from pushlane.testing.deliveries import INTAKE, agent_queue


def submit(api: InMemoryApi, body: Any, tenant_id: str = "atlas", **more: Any) -> Answer:
    return api.call("POST", "/v1/tasks", principal=api.producer(tenant_id), body=body, **more)


def test_bodies_say_all_that_events_say_but_the_tenant() -> None:
    assert set(TaskBody.__struct_fields__) - {"correlation_id"} == set(SubmitData.__struct_fields__) - {"tenant_id"}
    assert set(WorkflowBody.__struct_fields__) - {"correlation_id"} == set(WorkflowData.__struct_fields__) - {
        "tenant_id"
    }


def test_a_task_is_pushed_within_the_request(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    answer = submit(api, {"task_type": "echo", "idempotency_key": "k"})
    assert (answer.status, answer.body["status"], answer.body["agent_id"]) == (202, "DISPATCHED", "one")
    pushed: list[Message] = dispatcher.sender.drain(agent_queue("one", "default"), limit=5)
    assert len(pushed) == 1
    stored = dispatcher.task(answer.body["task_id"])
    assert stored is not None
    assert (stored["door"], stored["tenant_id"]) == ("http", "atlas")


def test_those_that_wait_are_told_their_place(api: InMemoryApi) -> None:
    submit(api, {"task_type": "echo"})
    waiting = []
    for _ in range(3):
        waiting.append(submit(api, {"task_type": "echo"}).body)
        api.dispatcher.clock.advance(1)
    assert [(one["status"], one["position"]) for one in waiting] == [("PARKED", place) for place in (1, 2, 3)]


def test_the_same_again_is_the_same_task_and_is_pushed_again(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    body = {"task_type": "echo", "payload": {"n": 1}, "idempotency_key": "k"}
    first = submit(api, body)
    dispatcher.sender.drain(agent_queue("one", "default"), limit=5)
    again = submit(api, body)
    assert (again.status, again.body) == (200, first.body)
    assert len(dispatcher.sender.drain(agent_queue("one", "default"), limit=5)) == 1


def test_the_key_may_stand_in_the_header(api: InMemoryApi) -> None:
    first = submit(api, {"task_type": "echo"}, headers={"Idempotency-Key": "k"})
    again = submit(api, {"task_type": "echo", "idempotency_key": "k"})
    assert (first.body["task_id"], again.status) == (again.body["task_id"], 200)
    both = submit(api, {"task_type": "echo", "idempotency_key": "k"}, headers={"Idempotency-Key": "other"})
    assert (both.status, both.body["errors"][0]["field"]) == (422, "$.idempotency_key")
    none = submit(api, {"task_type": "echo"}, headers={"Idempotency-Key": "a b"})
    assert (none.status, none.body["errors"][0]["field"]) == (422, "header.idempotency-key")


def test_without_a_key_each_is_a_task_of_its_own(api: InMemoryApi) -> None:
    ids = {submit(api, {"task_type": "echo"}).body["task_id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_key_with_another_body_is_a_conflict(api: InMemoryApi) -> None:
    submit(api, {"task_type": "echo", "idempotency_key": "k"})
    refused = submit(api, {"task_type": "echo", "idempotency_key": "k", "tier": "high"})
    assert (refused.status, refused.code, refused.body["errors"][0]["field"]) == (
        409,
        "key-conflict",
        "$.idempotency_key",
    )


def test_a_repeat_through_a_queue_door_is_the_same_task(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    task_id = dispatcher.submit(tenant_id="atlas", task_type="echo", payload={"n": 1}, idempotency_key="k")
    dispatcher.router.handle(dispatcher_event(dispatcher))
    answer = submit(api, {"task_type": "echo", "payload": {"n": 1}, "idempotency_key": "k"})
    assert (answer.status, answer.body["task_id"]) == (200, task_id)


def dispatcher_event(dispatcher: InMemoryDispatcher) -> dict[str, Any]:
    messages = dispatcher.sender.drain(INTAKE, limit=10)
    bodies = [(f"m{place}", envelope_of(one.body)) for place, one in enumerate(messages)]
    return sqs_event(INTAKE, bodies)


def envelope_of(body: str) -> str:
    return json.dumps(json.loads(body)["envelope"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "$"),
        ({"task_type": "a b"}, "$.task_type"),
        ({"task_type": "echo", "tier": "urgent"}, "$.tier"),
        ({"task_type": "echo", "tenant_id": "birch"}, "$.tenant_id"),
        (
            {"task_type": "echo", "retry": {"backoff_seconds": 10, "backoff_max_seconds": 1}},
            "$.retry.backoff_max_seconds",
        ),
        ({"task_type": "echo", "resources": {"nope": 1}}, "$.resources.nope"),
        ({"task_type": "echo", "parent": {"task_id": "t-nobody"}}, "$.parent.task_id"),
        ({"tasks": []}, "$.tasks"),
        ({"tasks": [{"task_type": "echo"}] * 101}, "$.tasks"),
        ({"tasks": [{"task_type": "echo"}, {"task_type": 1}]}, "$.tasks[1].task_type"),
        ({"workflow": {"tasks": []}}, "$.workflow.tasks"),
    ],
)
def test_a_wrong_body_names_its_field_and_changes_nothing(api: InMemoryApi, body: Any, field: str) -> None:
    before = api.dispatcher.store.items(Table.TASKS)
    refused = submit(api, body)
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, field)
    assert api.dispatcher.store.items(Table.TASKS) == before
    assert api.call("GET", "/v1/tasks", principal=api.producer()).body["tasks"] == []


def test_anothers_task_is_no_parent(api: InMemoryApi) -> None:
    theirs = submit(api, {"task_type": "echo"}, tenant_id="birch").body["task_id"]
    foreign, unknown = (
        submit(api, {"task_type": "echo", "parent": {"task_id": one}}).body["errors"] for one in (theirs, "t-nobody")
    )
    assert foreign == unknown


def test_a_batch_has_an_outcome_for_each(api: InMemoryApi) -> None:
    submit(api, {"task_type": "echo", "idempotency_key": "k"})
    bodies = [
        {"task_type": "echo"},
        {"task_type": "echo", "idempotency_key": "k"},
        {"task_type": "echo", "idempotency_key": "k", "tier": "low"},
        {"task_type": "echo", "resources": {"nope": 1}},
        {"task_type": "echo", "payload": {"$claim_check": 7}},
    ]
    answer = submit(api, {"tasks": bodies})
    assert answer.status == 202
    items = answer.body["items"]
    assert [one["status"] for one in items] == [202, 200, 409, 422, 422]
    assert items[3]["problem"]["errors"][0]["field"] == "$.tasks[3].resources.nope"
    assert items[4]["problem"]["errors"][0]["field"] == "$.tasks[4].payload.$claim_check"


def test_a_batch_again_under_its_header_is_the_same_tasks(api: InMemoryApi) -> None:
    sent: dict[str, Any] = {"body": {"tasks": [{"task_type": "echo"}] * 25}, "headers": {"Idempotency-Key": "batch"}}
    first, again = (api.call("POST", "/v1/tasks", principal=api.producer(), **sent).body["items"] for _ in range(2))
    assert [one["status"] for one in first] == [202] * 25
    assert [one["status"] for one in again] == [200] * 25
    assert [one["task"]["task_id"] for one in first] == [one["task"]["task_id"] for one in again]


def test_a_full_lane_is_a_429_and_a_repeat_of_what_is_in_it_is_not(
    api: InMemoryApi, dispatcher: InMemoryDispatcher
) -> None:
    dispatcher.set_policy(pools={"default": {"lane_max": 2}})
    dispatcher.clock.advance(2_000)
    taken = [submit(api, {"task_type": "echo", "idempotency_key": f"k{n}"}) for n in range(3)]
    assert [one.status for one in taken] == [202, 202, 202]
    refused = submit(api, {"task_type": "echo", "idempotency_key": "more"})
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert submit(api, {"task_type": "echo", "idempotency_key": "k2"}).status == 200
    held = submit(api, {"task_type": "echo", "idempotency_key": "more"})
    assert (held.status, held.code) == (429, "lane-full")


def test_a_large_payload_is_stored_for_the_agent(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    body = {"task_type": "echo", "payload": {"text": "x" * 70_000}, "idempotency_key": "k"}
    answer = submit(api, body)
    assert answer.status == 202
    assert submit(api, body).status == 200
    [message] = dispatcher.sender.drain(agent_queue("one", "default"), limit=1)
    assert "$claim_check" in message.body


def test_a_suspended_tenant_and_an_unknown_one(api: InMemoryApi) -> None:
    api.call("PATCH", "/v1/tenants/birch", principal=api.admin(), body={"status": "suspended"})
    api.dispatcher.clock.advance(2_000)
    refused = submit(api, {"task_type": "echo"}, tenant_id="birch")
    assert (refused.status, refused.code) == (403, "tenant-not-active")
    for tenant_id in ("birch", "nobody"):
        said = api.call(
            "POST", "/v1/tasks", principal=api.admin(), body={"task_type": "echo"}, query={"tenant": tenant_id}
        )
        assert (said.status, said.code) == (404, "unknown-tenant")


def test_a_workflow_runs_and_is_looked_at(api: InMemoryApi) -> None:
    body = {
        "tasks": [{"name": "a", "task_type": "echo"}, {"name": "b", "task_type": "echo", "depends_on": ["a"]}],
        "idempotency_key": "w",
    }
    one = api.call("POST", "/v1/workflows", principal=api.producer(), body=body)
    again = submit(api, {"workflow": body})
    assert (one.status, again.status) == (202, 200)
    assert one.body == again.body
    path = f"/v1/workflows/{one.body['workflow_id']}"
    record = api.call("GET", path, principal=api.producer()).body
    assert (record["status"], record["counts"]["nodes"]) == ("ACTIVE", 2)
    nodes = api.call("GET", f"{path}/nodes", principal=api.producer()).body["nodes"]
    assert [(node["name"], node["status"]) for node in nodes] == [("a", "DISPATCHED"), ("b", "BLOCKED")]
    other = api.call("POST", "/v1/workflows", principal=api.producer(), body={**body, "tier": Tier.LOW.value})
    assert (other.status, other.code) == (409, "key-conflict")
    stopped = api.call("DELETE", path, principal=api.producer(), query={"reason": "enough"})
    assert (stopped.status, stopped.body["status"], stopped.body["reason"]) == (202, "CANCELLED", "enough")
    assert api.call("DELETE", path, principal=api.producer()).status == 200


def test_a_workflow_that_is_no_graph_names_the_field(api: InMemoryApi) -> None:
    body = {"tasks": [{"name": "a", "task_type": "echo", "depends_on": ["a"]}]}
    refused = api.call("POST", "/v1/workflows", principal=api.producer(), body=body)
    assert refused.status == 422
    assert refused.body["errors"][0]["field"].startswith("$.tasks")


def test_a_large_workflow_is_carried_beside(api: InMemoryApi) -> None:
    nodes = [{"name": f"n{n}", "task_type": "echo", "payload": {"text": "x" * 3_000}} for n in range(40)]
    body = {"tasks": nodes, "idempotency_key": "w"}
    answer = api.call("POST", "/v1/workflows", principal=api.producer(), body=body)
    assert (answer.status, answer.body["nodes"]) == (202, 40)
    assert api.call("POST", "/v1/workflows", principal=api.producer(), body=body).status == 200


def test_workflows_are_listed_by_page(api: InMemoryApi) -> None:
    made = []
    for number in range(5):
        body = {"tasks": [{"name": "a", "task_type": "echo"}], "idempotency_key": f"w{number}"}
        made.append(api.call("POST", "/v1/workflows", principal=api.producer(), body=body).body["workflow_id"])
        api.dispatcher.clock.advance(1_000)
    found: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/v1/workflows", principal=api.producer(), query=query).body
        found += [one["workflow_id"] for one in page["workflows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == list(reversed(made))
    assert api.call("GET", "/v1/workflows", principal=api.producer("birch")).body["workflows"] == []
