"""An installation whose queues are moto's, with clients that can be made to die between two calls."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from unittest import mock

import boto3
import msgspec
from moto import mock_aws

from pushlane.client import AwsClients, Installation
from pushlane.client.dead_messages import DeadMessages
from pushlane.client.pace import Pace
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace
from tests.unit.client.doubles import INSTALLATION

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
KINDS = {
    "intake": DeadLetterKind.INTAKE,
    "results": DeadLetterKind.QUEUE,
    "events": DeadLetterKind.QUEUE,
    "quarantine": DeadLetterKind.QUARANTINE,
    "stream": DeadLetterKind.STREAM,
    "sweep": DeadLetterKind.CALL,
}


class Dies(Exception):
    """The process ended here."""


class Dying:
    """A client that ends the process before (or after) the nth call of a method."""

    def __init__(self, client: Any, method: str, at: int, *, after: bool = False) -> None:
        self._client, self._method, self._left, self._after = client, method, at, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._method:
            return real

        def call(**arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Dies
            answer = real(**arguments)
            if self._left == 0:
                raise Dies
            return answer

        return call


class Queues:
    """The queues of an installation, and what a test does with them."""

    def __init__(self) -> None:
        session = boto3.Session(region_name=REGION)
        self.sqs = session.client("sqs")
        self.kinesis = session.client("kinesis")
        self.urls = {
            name: self.sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in (
                "intake-0",
                "intake-1",
                "held",
                "results",
                *(f"dead-{name}" for name in KINDS if name != "events"),
            )
        }
        for name in ("events", "dead-events"):
            self.urls[name] = self.sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})[
                "QueueUrl"
            ]
        self.kinesis.create_stream(StreamName="stream", ShardCount=1)
        places = [
            DeadLetterPlace(
                name=name,
                kind=kind,
                url=self.urls[f"dead-{name}"],
                back_to=self.urls[name] if kind is DeadLetterKind.QUEUE else None,
            )
            for name, kind in KINDS.items()
        ]
        self.installation: Installation = msgspec.structs.replace(
            INSTALLATION,
            intake_queue_urls=(self.urls["intake-0"], self.urls["intake-1"]),
            held_queue_url=self.urls["held"],
            dead_letter_queues=tuple(places),
        )
        self.paused: list[float] = []

    def dead_messages(self, sqs: Any = None) -> DeadMessages:
        nothing = cast(Any, None)
        aws = AwsClients(
            dynamodb=nothing, events=nothing, kinesis=self.kinesis, s3=nothing, sns=nothing, sqs=sqs or self.sqs
        )
        return DeadMessages(self.installation, aws)

    def remove(self) -> None:
        """Where another mock is open around this one, what was made would stay."""
        self.kinesis.delete_stream(StreamName="stream")
        for url in self.urls.values():
            self.sqs.delete_queue(QueueUrl=url)

    def pace(self, per_second: float = 10) -> Pace:
        return Pace(per_second, monotonic=lambda: sum(self.paused), sleep=self.paused.append)

    def put(self, name: str, *bodies: str, **more: Any) -> list[str]:
        """Send to a queue; the ids of the messages."""
        return [
            self.sqs.send_message(QueueUrl=self.urls[name], MessageBody=body, **more)["MessageId"] for body in bodies
        ]

    def bodies(self, name: str) -> list[str]:
        """What is visible in a queue now, taken out of it."""
        found: list[str] = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.urls[name], MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                return sorted(found)
            for one in answer["Messages"]:
                found.append(one["Body"])
                self.sqs.delete_message(QueueUrl=self.urls[name], ReceiptHandle=one["ReceiptHandle"])


@contextmanager
def queues() -> Iterator[Queues]:
    with mock.patch.dict(os.environ, KEYS), mock_aws():
        made = Queues()
        try:
            yield made
        finally:
            made.remove()
