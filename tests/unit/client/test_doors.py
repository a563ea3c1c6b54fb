"""Each door speaks to its service as that service wants it."""

import json
from typing import Any

import msgspec
import pytest

from pushlane.client import Installation
from pushlane.client.doors import Record, doors
from pushlane.model.ids import intake_slot
from pushlane.model.task import EVENT_DOORS, Door
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of

BATCH = [Record(index=index, tenant_id=f"tenant-{index}", body=f'{{"n": {index}}}') for index in (4, 7)]


def call_of(door: Door, *, installation: Installation = INSTALLATION) -> tuple[str, dict[str, Any]]:
    client = RecordingClient(accepting)
    sender = doors(installation, aws_of(client))[door]
    assert sender.send(sender.route(BATCH[0]), BATCH) == []
    (call,) = client.calls
    return call


def test_there_is_a_sender_for_every_door() -> None:
    assert set(doors(INSTALLATION, aws_of(RecordingClient(accepting)))) == set(EVENT_DOORS)


def test_sqs_sends_a_tenant_to_its_own_queue() -> None:
    sender = doors(INSTALLATION, aws_of(RecordingClient(accepting)))[Door.SQS]
    records = [Record(index=n, tenant_id=f"tenant-{n}", body="{}") for n in range(40)]
    routes = {record.tenant_id: sender.route(record) for record in records}
    assert set(routes.values()) == {"queue/0", "queue/1"}
    assert all(url == f"queue/{intake_slot(tenant) % 2}" for tenant, url in routes.items())


@pytest.mark.parametrize("queues", [1, 2, 4, 8, 16])
def test_queue_and_topic_of_a_tenant_are_those_of_its_slot_however_many_there_are(queues: int) -> None:
    installation = msgspec.structs.replace(
        INSTALLATION,
        intake_queue_urls=tuple(f"queue/{n}" for n in range(queues)),
        intake_topic_arns=tuple(f"topic/{n}" for n in range(queues)),
    )
    found = doors(installation, aws_of(RecordingClient(accepting)))
    for tenant in (f"tenant-{n}" for n in range(40)):
        record = Record(index=0, tenant_id=tenant, body="{}")
        assert found[Door.SQS].route(record) == f"queue/{intake_slot(tenant) % queues}"
        assert found[Door.SNS].route(record) == f"topic/{intake_slot(tenant) % queues}"


@pytest.mark.parametrize(("door", "entries"), [(Door.SQS, "Entries"), (Door.SNS, "PublishBatchRequestEntries")])
def test_messages_carry_the_tenant_as_fairness_group_where_there_are_fair_queues(door: Door, entries: str) -> None:
    _, arguments = call_of(door, installation=msgspec.structs.replace(INSTALLATION, stage="prod"))
    assert [one["MessageGroupId"] for one in arguments[entries]] == ["tenant-4", "tenant-7"]
    _, on_an_emulator = call_of(door)
    assert not any("MessageGroupId" in one for one in on_an_emulator[entries])


def test_sqs_sends_the_bodies_as_they_are() -> None:
    method, arguments = call_of(Door.SQS)
    assert method == "send_message_batch"
    assert [one["MessageBody"] for one in arguments["Entries"]] == [one.body for one in BATCH]


def test_eventbridge_entries_match_the_rule_of_the_ingress_bus() -> None:
    method, arguments = call_of(Door.EVENTBRIDGE)
    assert method == "put_events"
    assert {(one["EventBusName"], one["DetailType"]) for one in arguments["Entries"]} == {("ingress", "SubmitTask")}
    assert [json.loads(one["Detail"]) for one in arguments["Entries"]] == [{"n": 4}, {"n": 7}]


def test_sns_publishes_to_the_topic_of_the_tenants_queue() -> None:
    method, arguments = call_of(Door.SNS)
    topic = INSTALLATION.intake_topic_arns[intake_slot("tenant-4") % 2]
    assert (method, arguments["TopicArn"]) == ("publish_batch", topic)
    assert [one["Message"] for one in arguments["PublishBatchRequestEntries"]] == [one.body for one in BATCH]


def test_kinesis_keeps_a_tenant_on_one_shard() -> None:
    method, arguments = call_of(Door.KINESIS)
    assert method == "put_records"
    assert [one["PartitionKey"] for one in arguments["Records"]] == ["tenant-4", "tenant-7"]


@pytest.mark.parametrize(
    ("door", "answer"),
    [
        (Door.SQS, {"Failed": [{"Id": "7", "Code": "Busy", "Message": "m", "SenderFault": False}]}),
        (Door.SNS, {"Failed": [{"Id": "7", "Code": "Busy", "Message": "m", "SenderFault": False}]}),
        (Door.EVENTBRIDGE, {"Entries": [{"EventId": "e"}, {"ErrorCode": "Busy", "ErrorMessage": "m"}]}),
        (Door.KINESIS, {"Records": [{"SequenceNumber": "1"}, {"ErrorCode": "Busy", "ErrorMessage": "m"}]}),
    ],
)
def test_the_failed_entry_is_found(door: Door, answer: dict[str, Any]) -> None:
    sender = doors(INSTALLATION, aws_of(RecordingClient(lambda _name, _arguments: answer)))[door]
    (miss,) = sender.send("route", BATCH)
    assert (miss.index, miss.reason, miss.again) == (7, "Busy: m", True)


def test_an_entry_that_is_wrong_in_itself_is_not_worth_repeating() -> None:
    answer = {"Failed": [{"Id": "4", "Code": "InvalidMessageContents", "SenderFault": True}]}
    sender = doors(INSTALLATION, aws_of(RecordingClient(lambda _name, _arguments: answer)))[Door.SQS]
    (miss,) = sender.send("queue/0", BATCH)
    assert not miss.again
