"""Senders, sinks and blobs: what is sent arrives, what is not accepted is named."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from pushlane.aws.blobs import S3BlobStore
from pushlane.aws.facts import BusAndTopicSink
from pushlane.aws.queues import SqsSender
from pushlane.inmemory import InMemoryBlobs, InMemorySender, InMemorySink
from pushlane.ports import BlobStore, FactSink, Message, MessageSender, PublishedFact
from tests.conformance.backends import AWS_BACKENDS, MEMORY, Backend, Gap, new_queue, receive

Needs = Callable[[Gap], None]

on_aws = pytest.mark.parametrize("backend", AWS_BACKENDS, indirect=True)


@dataclass(frozen=True)
class Queue:
    """A sender and the other end of one queue."""

    sender: MessageSender
    url: str
    client: Any

    def take(self, wanted: int, timeout_seconds: float = 5.0) -> list[str]:
        if isinstance(self.sender, InMemorySender):
            return [message.body for message in self.sender.drain(self.url)]
        return receive(self.client, self.url, wanted, timeout_seconds)


@pytest.fixture
def queue(backend: Backend) -> Queue:
    url = new_queue(backend)
    if backend.name == MEMORY:
        return Queue(InMemorySender(backend.clock), url, None)
    client = backend.client("sqs")
    return Queue(SqsSender(client, fair_queues=True), url, client)


def test_all_messages_of_several_batches_arrive(queue: Queue) -> None:
    bodies = [f"message {number} é" for number in range(25)]
    assert queue.sender.send(queue.url, [Message(body, group="acme") for body in bodies]) == []
    assert sorted(queue.take(25)) == sorted(bodies)


def test_sending_nothing_sends_nothing(queue: Queue) -> None:
    assert queue.sender.send(queue.url, []) == []
    assert queue.take(1, 0.1) == []


def test_a_delayed_message_is_not_visible_before_its_time(queue: Queue, backend: Backend) -> None:
    assert queue.sender.send(queue.url, [Message("later", delay_seconds=2), Message("now")]) == []
    assert queue.take(2, 0.5) == ["now"]
    backend.let_pass(2_200)
    assert queue.take(1) == ["later"]


def test_messages_that_no_queue_takes_are_named_and_the_others_arrive(queue: Queue) -> None:
    messages = [Message("a"), Message("x" * 1_048_577), Message("b"), Message("d")]
    assert queue.sender.send(queue.url, messages) == [1]
    assert sorted(queue.take(3)) == ["a", "b", "d"]


def test_a_delay_beyond_what_the_queue_can_is_named(queue: Queue, needs: Needs) -> None:
    needs(Gap.DELAYS)
    assert queue.sender.send(queue.url, [Message("a"), Message("b", delay_seconds=901)]) == [1]


@on_aws
def test_a_queue_that_does_not_exist_accepts_nothing_and_raises_nothing(backend: Backend) -> None:
    url = new_queue(backend) + "-missing"
    assert SqsSender(backend.client("sqs")).send(url, [Message("a"), Message("b")]) == [0, 1]


@pytest.fixture
def fifo(backend: Backend) -> Queue:
    url = new_queue(backend, fifo=True)
    if backend.name == MEMORY:
        return Queue(InMemorySender(backend.clock), url, None)
    client = backend.client("sqs")
    return Queue(SqsSender(client, fair_queues=False), url, client)


def numbered(group: str, *numbers: int) -> list[Message]:
    return [Message(f"{group}{n}", group=group, deduplication_id=f"{group}/{n}") for n in numbers]


def test_a_fifo_queue_keeps_each_group_in_order(fifo: Queue) -> None:
    for number in range(1, 6):
        assert fifo.sender.send(fifo.url, [*numbered("a", number), *numbered("b", number)]) == []
    taken = fifo.take(10)
    assert [body for body in taken if body[0] == "a"] == ["a1", "a2", "a3", "a4", "a5"]
    assert [body for body in taken if body[0] == "b"] == ["b1", "b2", "b3", "b4", "b5"]


def test_a_fifo_queue_takes_what_is_sent_again_and_delivers_it_once(fifo: Queue, needs: Needs) -> None:
    needs(Gap.DEDUPLICATION)
    assert fifo.sender.send(fifo.url, numbered("a", 1)) == []
    assert fifo.take(1) == ["a1"]
    assert fifo.sender.send(fifo.url, numbered("a", 1, 2)) == []
    assert fifo.take(2, 0.5) == ["a2"]


def test_a_message_without_a_group_is_no_message_for_a_fifo_queue(fifo: Queue) -> None:
    assert fifo.sender.send(fifo.url, [Message("a", deduplication_id="a/1")]) == [0]


def fact(name: str, body: str, **attributes: str) -> PublishedFact:
    return PublishedFact(name=name, body=body, attributes=attributes)


@dataclass(frozen=True)
class Outlets:
    """A sink, with a queue behind a rule of its bus and a queue behind a filter of its topic."""

    sink: FactSink
    client: Any = None
    bus_queue: str = ""
    topic_queue: str = ""


@pytest.fixture
def outlets(backend: Backend) -> Outlets:
    events, sns, sqs = backend.client("events"), backend.client("sns"), backend.client("sqs")
    run = uuid4().hex[:12]
    bus_queue, topic_queue = new_queue(backend), new_queue(backend)
    events.create_event_bus(Name=f"bus-{run}")
    pattern = {"source": ["pushlane"], "detail-type": ["TaskSucceeded"]}
    events.put_rule(Name=f"rule-{run}", EventBusName=f"bus-{run}", EventPattern=msgspec.json.encode(pattern).decode())
    target = {"Id": "queue", "Arn": _queue_arn(sqs, bus_queue)}
    events.put_targets(Rule=f"rule-{run}", EventBusName=f"bus-{run}", Targets=[target])
    topic = sns.create_topic(Name=f"topic-{run}")["TopicArn"]
    attributes = {"RawMessageDelivery": "true", "FilterPolicy": '{"tenant_id": ["acme"]}'}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=_queue_arn(sqs, topic_queue), Attributes=attributes)
    return Outlets(BusAndTopicSink(events, sns, f"bus-{run}", topic), sqs, bus_queue, topic_queue)


def _queue_arn(sqs: Any, url: str) -> str:
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return arn


@on_aws
def test_a_fact_reaches_the_rule_by_its_name_and_the_subscription_by_its_attributes(
    outlets: Outlets, needs: Needs
) -> None:
    needs(Gap.RULES)
    bodies = [msgspec.json.encode({"n": n}).decode() for n in range(12)]
    facts = [fact("TaskSucceeded", body, tenant_id="acme", tier="low") for body in bodies]
    others = [fact("TaskParked", '{"n": 98}', tenant_id="other"), fact("TaskParked", '{"n": 99}', tenant_id="")]
    assert outlets.sink.publish([*facts, *others]) == []
    events = [msgspec.json.decode(body) for body in receive(outlets.client, outlets.bus_queue, 12)]
    assert sorted(event["detail"]["n"] for event in events) == list(range(12))
    assert {(event["source"], event["detail-type"]) for event in events} == {("pushlane", "TaskSucceeded")}
    assert sorted(receive(outlets.client, outlets.topic_queue, 12)) == sorted(bodies)
    for queue_url in (outlets.bus_queue, outlets.topic_queue):
        assert receive(outlets.client, queue_url, 1, 0.3) == []


@on_aws
def test_a_fact_too_large_for_the_topic_is_named_and_still_reaches_the_bus(outlets: Outlets, needs: Needs) -> None:
    needs(Gap.RULES)
    large = msgspec.json.encode({"text": "x" * 300_000}).decode()
    facts = [fact("TaskSucceeded", body, tenant_id="acme") for body in ('{"n": 1}', large, '{"n": 2}')]
    assert outlets.sink.publish(facts) == [1]
    assert sorted(receive(outlets.client, outlets.topic_queue, 2)) == ['{"n": 1}', '{"n": 2}']


@pytest.mark.parametrize("backend", [MEMORY], indirect=True)
def test_in_memory_facts_are_kept_in_order_and_refused_ones_are_named(backend: Backend) -> None:
    sink = InMemorySink(refuse=lambda one: one.name == "TaskParked")
    facts = [fact("TaskAccepted", "{}"), fact("TaskParked", "{}"), fact("TaskFailed", "x" * 262_145)]
    assert sink.publish(facts) == [1, 2]
    assert sink.published == (facts[0],)


@pytest.fixture
def blobs(backend: Backend) -> BlobStore:
    if backend.name == MEMORY:
        return InMemoryBlobs()
    client, bucket = backend.client("s3"), f"bucket-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    return S3BlobStore(client, bucket)


def test_a_blob_comes_back_as_it_was_last_put(blobs: BlobStore) -> None:
    blobs.put("claims/acme/a.json", b"{}")
    blobs.put("claims/acme/a.json", b'{"n": 1}')
    assert blobs.get("claims/acme/a.json") == b'{"n": 1}'


def test_a_missing_blob_is_a_key_error(blobs: BlobStore) -> None:
    with pytest.raises(KeyError, match="claims/none"):
        blobs.get("claims/none")
