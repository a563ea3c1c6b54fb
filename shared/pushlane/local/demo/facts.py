"""A subscriber of the facts bus, made for one run: it sees every end of a task, and whether any task ended twice."""

import json
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushlane.model.events import FACT_SOURCE, Fact, FactName
from pushlane.model.task import Status

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

ENDS: Final = {
    FactName.TASK_SUCCEEDED: Status.SUCCEEDED,
    FactName.TASK_FAILED: Status.FAILED,
    FactName.TASK_DEAD_LETTERED: Status.DEAD_LETTERED,
}
_BATCH: Final = 10


class _Event(msgspec.Struct, frozen=True):
    """An EventBridge event; the other fields of its envelope do not matter here."""

    detail: Fact


class TerminalFacts:
    """The terminal facts seen so far: task id -> ids of its distinct facts (a redelivery has the same fact id)."""

    def __init__(self) -> None:
        self._by_task: dict[str, set[str]] = {}
        self.statuses: dict[str, Status] = {}

    def add(self, fact: Fact) -> None:
        if fact.data.task_id and fact.metadata.name in ENDS:
            self._by_task.setdefault(fact.data.task_id, set()).add(fact.metadata.fact_id)
            self.statuses[fact.data.task_id] = ENDS[fact.metadata.name]

    def missing(self, task_ids: Collection[str]) -> frozenset[str]:
        """Tasks of which no end was published."""
        return frozenset(task_ids) - self._by_task.keys()

    def duplicates(self) -> frozenset[str]:
        """Tasks that took effect more than once."""
        return frozenset(task_id for task_id, facts in self._by_task.items() if len(facts) > 1)


class FactsTap:
    """Reads the subscription's queue."""

    def __init__(self, sqs: "SQSClient", queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self.seen = TerminalFacts()

    def drain(self) -> Mapping[str, Status]:
        """Take everything that is waiting now; returns all ends seen so far."""
        while messages := self._receive():
            for message in messages:
                self.seen.add(msgspec.json.decode(message["Body"], type=_Event).detail)
            entries: Any = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
        return self.seen.statuses

    def wait_for(self, task_ids: Collection[str], timeout_seconds: float) -> frozenset[str]:
        """Drain until each task's end was seen or the time is over; returns the tasks still missing."""
        deadline = time.monotonic() + timeout_seconds
        self.drain()
        while (missing := self.seen.missing(task_ids)) and time.monotonic() < deadline:
            time.sleep(0.2)
            self.drain()
        return missing

    def _receive(self) -> list[Any]:
        answer: Any = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=_BATCH)
        found: list[Any] = answer.get("Messages", [])
        return found


@contextmanager
def subscribed(session: "Session", bus_name: str) -> Iterator[FactsTap]:
    """Subscribe a new queue to the terminal facts, and remove both afterwards."""
    sqs: SQSClient = session.client("sqs")
    events: EventBridgeClient = session.client("events")
    name = f"pushlane-demo-{uuid.uuid4().hex[:8]}"
    with ExitStack() as undo:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        undo.callback(sqs.delete_queue, QueueUrl=url)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(arn)})
        events.put_rule(Name=name, EventBusName=bus_name, EventPattern=_pattern())
        undo.callback(events.delete_rule, Name=name, EventBusName=bus_name)
        target: Any = {"Id": "tap", "Arn": arn}
        events.put_targets(Rule=name, EventBusName=bus_name, Targets=[target])
        undo.callback(events.remove_targets, Rule=name, EventBusName=bus_name, Ids=["tap"])
        yield FactsTap(sqs, url)


def _pattern() -> str:
    return json.dumps({"source": [FACT_SOURCE], "detail-type": list(ENDS)})


def _policy(queue_arn: str) -> str:
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": queue_arn}]})
