"""Who subscribes to the announcements with a filter policy gets the ends of tasks that it asks for, and no others."""

import json
from typing import Any
from uuid import uuid4

import pytest

from pushlane.aws.facts import BusAndTopicSink
from pushlane.model.task import Status
from pushlane.ports import Attributes, Change
from pushlane.router.facts import facts_of, published
from pushlane.state.items import new_task_attributes
from pushlane.state.keys import task_key
from tests.conformance.backends import AWS_BACKENDS, Backend, new_queue, receive
from tests.unit.values import NOW, a_task

POLICIES: dict[str, dict[str, Any]] = {
    "tenant": {"tenant_id": ["atlas"]},
    "type": {"task_type": ["summarize", {"prefix": "review"}]},
    "status": {"status": ["FAILED", "DEAD_LETTERED"]},
    "all three": {"tenant_id": ["borea"], "task_type": ["summarize"], "status": ["SUCCEEDED"]},
    "no steps": {"status": [{"exists": False}]},
}
ENDS = [
    ("atlas", "summarize", Status.SUCCEEDED),
    ("atlas", "extract", Status.FAILED),
    ("borea", "summarize", Status.SUCCEEDED),
    ("borea", "review-code", Status.DEAD_LETTERED),
    ("cedar", "summarize", Status.CANCELLED),
]
EXPECTED = {
    "tenant": {0, 1},
    "type": {0, 2, 3, 4},
    "status": {1, 3},
    "all three": {2},
    "no steps": set[int](),
}


def end(number: int) -> Change:
    tenant_id, task_type, status = ENDS[number]
    task = a_task(number, tenant_id=tenant_id, task_type=task_type)
    ended: Attributes = {
        **new_task_attributes(task, status, 1),
        "finished_at_ms": NOW,
        "ended_at_ms": NOW,
        "result": "{}",
        "error": '{"error_type":"Boom","message":"it broke"}',
    }
    return Change(task_key(task.task_id), new_task_attributes(task, Status.DISPATCHED, 1), ended)


@pytest.mark.parametrize("backend", AWS_BACKENDS, indirect=True)
def test_filter_policies_choose_by_tenant_type_and_status(backend: Backend) -> None:
    events, sns, sqs = backend.client("events"), backend.client("sns"), backend.client("sqs")
    run = uuid4().hex[:12]
    events.create_event_bus(Name=f"bus-{run}")
    topic = sns.create_topic(Name=f"announcements-{run}")["TopicArn"]
    queues = {name: new_queue(backend) for name in POLICIES}
    for name, policy in POLICIES.items():
        arn = sqs.get_queue_attributes(QueueUrl=queues[name], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(policy)}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    facts = published(fact for number in range(len(ENDS)) for fact in facts_of(end(number)))
    assert BusAndTopicSink(events, sns, f"bus-{run}", topic).publish(facts) == []
    told = {name: receive(sqs, url, len(EXPECTED[name]) + 1, 1.0) for name, url in queues.items()}
    assert {name: _numbers(bodies) for name, bodies in told.items()} == EXPECTED
    assert {name: len(bodies) for name, bodies in told.items()} == {name: len(one) for name, one in EXPECTED.items()}


def _numbers(bodies: list[str]) -> set[int]:
    """Which of the ends were told, by the task ids in the facts."""
    task_ids = [a_task(number).task_id for number in range(len(ENDS))]
    return {task_ids.index(json.loads(body)["data"]["task_id"]) for body in bodies}
