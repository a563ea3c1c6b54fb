"""Every door leads to the same task; what cannot become one is kept with its reason."""

import json
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from pushlane.client import SubmitData
from pushlane.model.events import HeldRecord
from pushlane.model.ids import unkeyed_task_id
from pushlane.model.task import EVENT_DOORS, Door, Status
from tests.e2e.conftest import Deployed

pytestmark = pytest.mark.e2e

DOORS = EVENT_DOORS


def echo(value: object, **more: Any) -> SubmitData:
    return SubmitData(tenant_id="atlas", task_type="chaos", payload={"do": "echo", "value": value}, **more)


@pytest.mark.parametrize("door", DOORS)
def test_a_task_through_each_door_runs(deployed: Deployed, door: Door) -> None:
    submitted = deployed.client.submit(echo(f"through {door}"), door=door)
    [record] = deployed.client.wait([submitted.task_id], timeout_seconds=30).values()
    assert (record.status, record.door, record.tenant_id) == (Status.SUCCEEDED, door, "atlas")
    assert deployed.client.result(record)["value"] == f"through {door}"


def test_the_same_key_and_body_through_all_doors_is_one_task(deployed: Deployed) -> None:
    key = uuid4().hex
    submitted = [deployed.client.submit(echo(1, idempotency_key=key), door=door) for door in DOORS]
    assert len({one.task_id for one in submitted}) == 1
    [record] = deployed.client.wait([submitted[0].task_id], timeout_seconds=30).values()
    assert (record.status, record.epoch) == (Status.SUCCEEDED, 1)


@pytest.mark.parametrize("door", DOORS)
def test_the_same_key_with_another_body_is_quarantined(deployed: Deployed, door: Door) -> None:
    key = uuid4().hex
    first = deployed.client.submit(echo(1, idempotency_key=key), door=Door.SQS)
    deployed.client.wait([first.task_id], timeout_seconds=30)
    deployed.client.submit(echo(2, idempotency_key=key), door=door)
    kept = deployed.receive(
        deployed.installation.quarantine_queue_url, lambda body: key in body.get("body", "") and body["door"] == door
    )
    assert (kept["code"], kept["field"]) == ("key_conflict", "$.data.idempotency_key")
    assert deployed.client.result(first.task_id)["value"] == 1


@pytest.mark.parametrize("door", DOORS)
def test_a_bad_record_is_quarantined_with_its_field_and_its_neighbours_run(deployed: Deployed, door: Door) -> None:
    marker = uuid4().hex
    bad = {
        "metadata": {"name": "SubmitTask", "version": 1},
        "data": {"tenant_id": "atlas", "task_type": "chaos", "tier": "urgent", "labels": {"marker": marker}},
    }
    send_raw(deployed, door, json.dumps(bad))
    good = deployed.client.submit(echo("beside"), door=door)
    kept = deployed.receive(deployed.installation.quarantine_queue_url, lambda body: marker in body.get("body", ""))
    assert (kept["door"], kept["field"], kept["tenant_id"]) == (door, "$.data.tier", "atlas")
    assert "urgent" in kept["reason"]
    assert deployed.client.wait([good.task_id], timeout_seconds=30)[good.task_id].status is Status.SUCCEEDED


def test_a_large_payload_travels_as_a_claim_check(deployed: Deployed) -> None:
    submitted = deployed.client.submit(echo("x" * 200_000))
    deployed.client.wait([submitted.task_id], timeout_seconds=30)
    assert deployed.client.result(submitted.task_id)["value"] == "x" * 200_000


def test_what_comes_back_from_the_held_queue_is_the_submission_that_it_was(deployed: Deployed) -> None:
    source_id = f"shardId-000000000000:{uuid4().hex}"
    body = {
        "metadata": {"name": "SubmitTask", "version": 1},
        "data": msgspec.to_builtins(echo("held")),
    }
    held = HeldRecord(door=Door.KINESIS, source_id=source_id, body=msgspec.Raw(json.dumps(body).encode()))
    for delay_seconds in (0, 1):  # it may come twice
        deployed.aws.sqs.send_message(
            QueueUrl=deployed.installation.held_queue_url,
            MessageBody=msgspec.json.encode(held).decode(),
            DelaySeconds=delay_seconds,
        )
    task_id = unkeyed_task_id("atlas", Door.KINESIS, source_id)
    [record] = deployed.client.wait([task_id], timeout_seconds=30).values()
    assert (record.status, record.door, record.epoch) == (Status.SUCCEEDED, Door.KINESIS, 1)


def send_raw(deployed: Deployed, door: Door, body: str) -> None:
    """A record as it is, without the client's checks."""
    names, aws = deployed.installation, deployed.aws
    match door:
        case Door.SQS:
            aws.sqs.send_message(QueueUrl=names.intake_queue_urls[0], MessageBody=body)
        case Door.SNS:
            aws.sns.publish(TopicArn=names.intake_topic_arns[0], Message=body)
        case Door.EVENTBRIDGE:
            entry: Any = {
                "EventBusName": names.ingress_bus_name,
                "Source": "test.producer",
                "DetailType": "SubmitTask",
                "Detail": body,
            }
            assert aws.events.put_events(Entries=[entry])["FailedEntryCount"] == 0
        case Door.KINESIS:
            aws.kinesis.put_record(StreamName=names.stream_name, Data=body.encode(), PartitionKey="atlas")
