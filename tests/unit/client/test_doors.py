"""Each door speaks to its service as that service wants it."""

import json
from typing import Any

import pytest

from pushlane.client.doors import Record, doors
from pushlane.model.ids import stable_bucket
from pushlane.model.task import Door
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of

BATCH = [Record(index=index, tenant_id=f"tenant-{index}", body=f'{{"n": {index}}}') for index in (4, 7)]


def call_of(door: Door, answer: Any = accepting) -> tuple[str, dict[str, Any]]:
    client = RecordingClient(answer)
    sender = doors(INSTALLATION, aws_of(client))[door]
    assert sender.send(sender.route(BATCH[0]), BATCH) == []
    (call,) = client.calls
    return call


def test_there_is_a_sender_for_every_door() -> None:
    assert set(doors(INSTALLATION, aws_of(RecordingClient(accepting)))) == set(Door)


def test_sqs_sends_a_tenant_to_its_own_queue() -> None:
    sender = doors(INSTALLATION, aws_of(RecordingClient(accepting)))[Door.SQS]
    records = [Record(index=n, tenant_id=f"tenant-{n}", body="{}") for n in range(40)]
    routes = {record.tenant_id: sender.route(record) for record in records}
    assert set(routes.values()) == {"queue/0", "queue/1"}
    assert all(url == f"queue/{stable_bucket(tenant, 2)}" for tenant, url in routes.items())


def test_sqs_messages_carry_the_tenant_as_fairness_group() -> None:
    method, arguments = call_of(Door.SQS)
    assert method == "send_message_batch"
    assert [one["MessageGroupId"] for one in arguments["Entries"]] == ["tenant-4", "tenant-7"]
    assert [one["MessageBody"] for one in arguments["Entries"]] == [one.body for one in BATCH]


def test_eventbridge_entries_match_the_rule_of_the_ingress_bus() -> None:
    method, arguments = call_of(Door.EVENTBRIDGE)
    assert method == "put_events"
    assert {(one["EventBusName"], one["DetailType"]) for one in arguments["Entries"]} == {("ingress", "SubmitTask")}
    assert [json.loads(one["Detail"]) for one in arguments["Entries"]] == [{"n": 4}, {"n": 7}]


def test_sns_publishes_to_the_intake_topic() -> None:
    method, arguments = call_of(Door.SNS)
    assert (method, arguments["TopicArn"]) == ("publish_batch", "arn:topic")


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
