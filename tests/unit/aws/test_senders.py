"""Entries that SQS, the bus or the topic do not take: which are sent again, and which are named."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from pushlane.aws.backoff import Backoff
from pushlane.aws.facts import BusAndTopicSink
from pushlane.aws.queues import SqsSender
from pushlane.aws.secrets import signing_secret
from pushlane.ports import Message, PublishedFact

QUEUE = "https://sqs.us-east-1.amazonaws.com/1/q"
TOPIC = "arn:aws:sns:us-east-1:000000000000:t"
NO_PAUSE = Backoff(sends_max=2, sleep=lambda _: None)


def client(service: Any) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


class Sqs(NamedTuple):
    client: Any
    stubber: Stubber


@pytest.fixture
def sqs() -> Iterator[Sqs]:
    made = client("sqs")
    with Stubber(made) as stubber:
        yield Sqs(made, stubber)
        stubber.assert_no_pending_responses()


def failed(entry_id: str, *, sender_fault: bool) -> dict[str, Any]:
    return {"Id": entry_id, "SenderFault": sender_fault, "Code": "X"}


def entry(entry_id: str, body: str, **more: Any) -> dict[str, Any]:
    return {"Id": entry_id, "MessageBody": body, **more}


def test_only_entries_that_failed_on_the_service_side_are_sent_again(sqs: Sqs) -> None:
    answer = {"Successful": [], "Failed": [failed("1", sender_fault=False), failed("2", sender_fault=True)]}
    first = [entry("0", "a"), entry("1", "b"), entry("2", "c")]
    sqs.stubber.add_response("send_message_batch", answer, {"QueueUrl": QUEUE, "Entries": first})
    again = {"QueueUrl": QUEUE, "Entries": [entry("1", "b")]}
    sqs.stubber.add_response("send_message_batch", {"Successful": [], "Failed": []}, again)
    sender = SqsSender(sqs.client, backoff=NO_PAUSE)
    assert sender.send(QUEUE, [Message("a"), Message("b"), Message("c")]) == [2]


def test_a_group_is_sent_only_where_queues_are_fair(sqs: Sqs) -> None:
    message = Message("a", delay_seconds=3, group="acme")
    taken: dict[str, Any] = {"Successful": [], "Failed": []}
    fair = {"QueueUrl": QUEUE, "Entries": [entry("0", "a", DelaySeconds=3, MessageGroupId="acme")]}
    plain = {"QueueUrl": QUEUE, "Entries": [entry("0", "a", DelaySeconds=3)]}
    sqs.stubber.add_response("send_message_batch", taken, fair)
    assert SqsSender(sqs.client, fair_queues=True).send(QUEUE, [message]) == []
    sqs.stubber.add_response("send_message_batch", taken, plain)
    assert SqsSender(sqs.client).send(QUEUE, [message]) == []


@pytest.mark.parametrize("fair_queues", [True, False])
def test_a_message_for_a_fifo_queue_carries_its_group_and_its_id(sqs: Sqs, fair_queues: bool) -> None:
    named = {"MessageGroupId": "t-1", "MessageDeduplicationId": "t-1/1/r/1"}
    expected = {"QueueUrl": QUEUE, "Entries": [entry("0", "a", **named)]}
    sqs.stubber.add_response("send_message_batch", {"Successful": [], "Failed": []}, expected)
    message = Message("a", group="t-1", deduplication_id="t-1/1/r/1")
    assert SqsSender(sqs.client, fair_queues=fair_queues).send(QUEUE, [message]) == []


def test_x_rays_header_travels_beside_the_message(sqs: Sqs) -> None:
    header = {"DataType": "String", "StringValue": "Root=1-ab-cd;Parent=ef;Sampled=1"}
    sent = entry("0", "a", MessageSystemAttributes={"AWSTraceHeader": header})
    taken: dict[str, Any] = {"Successful": [], "Failed": []}
    sqs.stubber.add_response("send_message_batch", taken, {"QueueUrl": QUEUE, "Entries": [sent]})
    assert SqsSender(sqs.client).send(QUEUE, [Message("a", trace_header=header["StringValue"])]) == []


def test_messages_of_more_than_a_megabyte_together_go_in_several_calls(sqs: Sqs) -> None:
    bodies = ["é" * 300_000, "b" * 400_000, "c" * 100_000]
    for batch in ([entry("0", bodies[0]), entry("1", bodies[1])], [entry("2", bodies[2])]):
        taken: dict[str, Any] = {"Successful": [], "Failed": []}
        sqs.stubber.add_response("send_message_batch", taken, {"QueueUrl": QUEUE, "Entries": batch})
    assert SqsSender(sqs.client).send(QUEUE, [Message(body) for body in bodies]) == []


FACTS = [
    PublishedFact(name="TaskFailed", body=f'{{"n":{n}}}', attributes={"tier": "low", "pool": ""}) for n in range(3)
]


def bus_entry(number: int) -> dict[str, Any]:
    return {"EventBusName": "bus", "Source": "pushlane", "DetailType": "TaskFailed", "Detail": FACTS[number].body}


def topic_entry(number: int) -> dict[str, Any]:
    attributes = {"tier": {"DataType": "String", "StringValue": "low"}}
    return {"Id": str(number), "Message": FACTS[number].body, "MessageAttributes": attributes}


def test_a_sink_sends_each_channel_only_what_that_channel_did_not_take() -> None:
    events, sns = client("events"), client("sns")
    with Stubber(events) as bus, Stubber(sns) as topic:
        results = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "MalformedDetail"}]
        first = {"Entries": [bus_entry(0), bus_entry(1), bus_entry(2)]}
        bus.add_response("put_events", {"FailedEntryCount": 2, "Entries": results}, first)
        bus.add_response(
            "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "2"}]}, {"Entries": [bus_entry(1)]}
        )
        entries = [topic_entry(0), topic_entry(1), topic_entry(2)]
        partly = {"Failed": [failed("0", sender_fault=False)]}
        topic.add_response("publish_batch", partly, {"TopicArn": TOPIC, "PublishBatchRequestEntries": entries})
        second = {"TopicArn": TOPIC, "PublishBatchRequestEntries": [topic_entry(0)]}
        topic.add_response("publish_batch", partly, second)
        assert BusAndTopicSink(events, sns, "bus", TOPIC, backoff=NO_PAUSE).publish(FACTS) == [0, 2]
        bus.assert_no_pending_responses()
        topic.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("answer", "key"), [({"SecretString": "s3cret"}, b"s3cret"), ({"SecretBinary": b"\x00\x01"}, b"\x00\x01")]
)
def test_a_signing_secret_is_text_or_bytes(answer: dict[str, Any], key: bytes) -> None:
    secrets = client("secretsmanager")
    with Stubber(secrets) as stubber:
        stubber.add_response("get_secret_value", answer, {"SecretId": "arn"})
        assert signing_secret(secrets, "arn") == key
