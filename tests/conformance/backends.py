"""What the port suites run against, and what each backend is known not to show."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from unittest import mock
from uuid import uuid4

import boto3
from botocore.config import Config
from moto import mock_aws

from pushlane.inmemory import ManualClock
from pushlane.local.endpoint import LocalAws, local_environment
from pushlane.ports import LOCAL_INDEXES, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MEMORY: Final = "memory"
MOTO: Final = "moto"
MINISTACK: Final = "ministack"
BACKENDS: Final = (MEMORY, MOTO, MINISTACK)
AWS_BACKENDS: Final = (MOTO, MINISTACK)
REGION: Final = "us-east-1"


class Gap(StrEnum):
    """A behaviour of AWS that a test needs and some backend lacks."""

    TOKENS = "tokens"
    THREADS = "threads"
    TYPES = "types"
    LIMITS = "limits"
    DELAYS = "delays"
    RULES = "rules"
    DEDUPLICATION = "deduplication"


# The one table of known gaps. A test that needs a missing behaviour is a strict xfail there: a gap that closes is seen.
GAPS: Final[dict[tuple[str, Gap], str]] = {
    (MOTO, Gap.TOKENS): "moto ignores ClientRequestToken",
    (MOTO, Gap.THREADS): "moto applies writes without a lock",
    (MOTO, Gap.RULES): "moto's event rules need the package jsonpath-ng, which is not among ours",
    (MOTO, Gap.DEDUPLICATION): "moto forgets a deduplication id when the message is deleted",
    (MINISTACK, Gap.DELAYS): "MiniStack takes a delay over 900 s",
    (MOTO, Gap.TYPES): "moto compares values of different types as Python does (True == 1, 'x' <= 9 raises)",
    (MOTO, Gap.LIMITS): "moto does not check a token's length, a transaction's size and an index key's type",
}
# Where a missing behaviour shows only sometimes, the test is skipped instead.
SOMETIMES: Final = frozenset({Gap.THREADS})


@dataclass(frozen=True)
class Backend:
    """One backend under test. `clock` moves time in memory; elsewhere time passes by itself."""

    name: str
    make_client: Callable[..., Any] | None = None
    clock: ManualClock = field(default_factory=lambda: ManualClock(1_700_000_000_000))

    def client(self, service: str, **config: Any) -> Any:
        if self.make_client is None:
            raise AssertionError(f"{self.name} has no AWS clients")
        settings = {"retries": {"mode": "standard", "total_max_attempts": 2}, "max_pool_connections": 20, **config}
        return self.make_client(service, region_name=REGION, config=Config(**settings))

    def let_pass(self, duration_ms: int) -> None:
        """Let the backend's time pass."""
        if self.name == MEMORY:
            self.clock.advance(duration_ms)
        else:
            time.sleep(duration_ms / 1_000)


# One session, because loading the service models takes longer than most tests.
_SESSION: Final = boto3.session.Session()


@contextmanager
def moto_backend() -> Iterator[Backend]:
    """AWS in this process. No endpoint of the surroundings may lead its calls elsewhere."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT_URL")}
    with mock.patch.dict(os.environ, clean, clear=True), mock_aws():
        yield Backend(MOTO, _SESSION.client)


@contextmanager
def ministack_backend(aws: LocalAws) -> Iterator[Backend]:
    with mock.patch.dict(os.environ, local_environment(aws.endpoint_url, REGION)):
        yield Backend(MINISTACK, _SESSION.client)


_BY_TENANT: Final[Any] = {
    "IndexName": "by_tenant",
    "KeySchema": [
        {"AttributeName": "tenant_bucket", "KeyType": "HASH"},
        {"AttributeName": "accepted_at_ms", "KeyType": "RANGE"},
    ],
    "Projection": {
        "ProjectionType": "INCLUDE",
        "NonKeyAttributes": ["tenant_id", "status", "task_type", "tier", "pool", "epoch"],
    },
}


def create_tables(client: "DynamoDBClient") -> dict[Table, str]:
    """Tables as the stacks make them, under names of their own."""
    run = uuid4().hex[:12]
    return {table: _create_table(client, table, f"{table}-{run}") for table in Table}


def _create_table(client: "DynamoDBClient", table: Table, name: str) -> str:
    keys = {name: key for (of, name), key in LOCAL_INDEXES.items() if of is table}
    attributes = [{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")]
    attributes += [{"AttributeName": k.attribute, "AttributeType": "N" if k.numeric else "S"} for k in keys.values()]
    indexes = [
        {"IndexName": index, "KeySchema": _schema(key.attribute), "Projection": {"ProjectionType": "ALL"}}
        for index, key in keys.items()
    ]
    more: dict[str, Any] = {"LocalSecondaryIndexes": indexes} if indexes else {}
    if table is Table.TASKS:
        attributes += [
            {"AttributeName": "tenant_bucket", "AttributeType": "S"},
            {"AttributeName": "accepted_at_ms", "AttributeType": "N"},
        ]
        more["GlobalSecondaryIndexes"] = [_BY_TENANT]
    client.create_table(
        TableName=name,
        KeySchema=_schema("sk"),
        AttributeDefinitions=attributes,  # type: ignore[arg-type]  # literals built in a loop
        BillingMode="PAY_PER_REQUEST",
        **more,
    )
    return name


def _schema(sort_key: str) -> Any:
    return [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": sort_key, "KeyType": "RANGE"}]


def new_queue(backend: Backend, *, fifo: bool = False) -> str:
    """The URL of an empty queue."""
    name = f"queue-{uuid4().hex[:12]}" + (".fifo" if fifo else "")
    if backend.name == MEMORY:
        return f"https://sqs.invalid/{name}"
    attributes = {"Attributes": {"FifoQueue": "true"}} if fifo else {}
    url: str = backend.client("sqs").create_queue(QueueName=name, **attributes)["QueueUrl"]
    return url


def receive(client: Any, queue_url: str, wanted: int, timeout_seconds: float = 5.0) -> list[str]:
    """Bodies from a queue until `wanted` are there or the time is up."""
    bodies: list[str] = []
    deadline = time.monotonic() + timeout_seconds
    while len(bodies) < wanted and time.monotonic() < deadline:
        page = client.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
        for message in page.get("Messages", []):
            bodies.append(message["Body"])
            client.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        if not page.get("Messages"):
            time.sleep(0.05)
    return bodies
