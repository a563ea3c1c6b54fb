"""Facts reach whoever subscribes: the bus by rule, the topic by filter."""

import json
from uuid import uuid4

import msgspec
import pytest

from pushlane.model.events import Fact
from tests.e2e.conftest import Deployed, eventually

pytestmark = pytest.mark.e2e

LIFE = ["TaskAccepted", "TaskDispatched", "TaskStarted", "TaskSucceeded"]


def test_a_tasks_life_is_told_on_the_bus(deployed: Deployed) -> None:
    queue = deployed.queue()
    rule = f"e2e-{uuid4().hex[:8]}"
    bus = deployed.installation.facts_bus_name
    deployed.aws.events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": ["pushlane"]}))
    deployed.aws.events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "queue", "Arn": deployed.arn(queue)}])
    submitted = deployed.client.submit(
        {"tenant_id": "birch", "task_type": "chaos", "tier": "high", "payload": {"do": "echo", "value": 1}}
    )
    told: dict[str, Fact] = {}

    def heard() -> bool:
        page = deployed.aws.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in page.get("Messages", []):
            event = msgspec.json.decode(message["Body"])
            fact = msgspec.convert(event["detail"], Fact)
            if fact.data.task_id == submitted.task_id:
                assert event["detail-type"] == fact.metadata.name
                told[fact.metadata.name] = fact
        return set(told) >= set(LIFE)

    eventually(heard, "the four facts of a task's life", 30)
    done = told["TaskSucceeded"].data
    assert (done.tenant_id, done.tier, done.epoch) == ("birch", "high", 1)
    times = [done.accepted_at_ms, done.dispatched_at_ms, done.started_at_ms, done.finished_at_ms]
    assert all(isinstance(at, int) for at in times)
    assert sorted(times, key=lambda at: at or 0) == times


def test_a_rejection_is_a_fact_and_announcements_can_be_filtered(deployed: Deployed) -> None:
    queue = deployed.queue()
    topic = next(
        one["TopicArn"]
        for page in deployed.aws.sns.get_paginator("list_topics").paginate()
        for one in page["Topics"]
        if "nnouncements" in one["TopicArn"]
    )
    deployed.aws.sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=deployed.arn(queue),
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"fact": ["TaskRejected"]})},
    )
    deployed.client.submit({"tenant_id": "stranger", "task_type": "chaos", "payload": {"do": "echo"}})
    deployed.client.submit({"tenant_id": "atlas", "task_type": "chaos", "payload": {"do": "echo"}})
    heard = deployed.receive(queue, lambda body: body["data"].get("tenant_id") == "stranger")
    assert heard["metadata"]["name"] == "TaskRejected"
    assert heard["data"]["field"] == "$.data.tenant_id"
