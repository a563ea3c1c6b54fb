"""`TaskListing`: one suite for the index of the tasks table and its twin in memory."""

import pytest

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.listing import DynamoTaskListing
from pushlane.inmemory import InMemoryItemStore
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.ports import Put, Scalar, Table, TaskListing
from pushlane.state.keys import task_key
from tests.conformance.backends import MEMORY, Backend, create_tables

Stored = tuple[InMemoryItemStore | DynamoItemStore, TaskListing]
LAST_MS = 2**52


@pytest.fixture
def stored(backend: Backend) -> Stored:
    if backend.name == MEMORY:
        memory = InMemoryItemStore(backend.clock)
        return memory, InMemoryTaskListing(memory)
    client = backend.client("dynamodb")
    tables = create_tables(client)
    return DynamoItemStore(client, tables), DynamoTaskListing(client, tables[Table.TASKS])


def put(stored: Stored, task_id: str, at_ms: int, bucket: str = "atlas#0") -> None:
    said: dict[str, Scalar] = {
        "tenant_id": "atlas",
        "status": "PARKED",
        "task_type": "echo",
        "tier": "low",
        "pool": "p",
        "epoch": 0,
    }
    stored[0].write(Put(task_key(task_id), {"tenant_bucket": bucket, "accepted_at_ms": at_ms, **said}))


def ids(stored: Stored, **asked: object) -> list[str]:
    wanted: dict[str, object] = {"since_ms": 0, "until_ms": LAST_MS, "limit": 100, **asked}
    return [one.task_id for one in stored[1].newest("atlas#0", **wanted)]  # type: ignore[arg-type]  # keywords by name


def test_the_newest_come_first_and_those_of_the_bucket_alone(stored: Stored) -> None:
    for number in (2, 0, 1):
        put(stored, f"t-{number}", 1_000 + number)
    put(stored, "t-other", 1_000, "atlas#1")
    put(stored, "t-foreign", 1_000, "birch#0")
    assert ids(stored) == ["t-2", "t-1", "t-0"]
    [first, *_] = stored[1].newest("atlas#0", since_ms=0, until_ms=LAST_MS, limit=1)
    assert (first.accepted_at_ms, first.status, first.task_type, first.tier) == (1_002, "PARKED", "echo", "low")


def test_both_ends_of_the_time_count(stored: Stored) -> None:
    for number in range(5):
        put(stored, f"t-{number}", number)
    assert ids(stored, since_ms=1, until_ms=3) == ["t-3", "t-2", "t-1"]
    assert ids(stored, since_ms=9) == []


def test_page_by_page_nothing_is_left_out_or_told_twice(stored: Stored) -> None:
    for number in range(23):
        put(stored, f"t-{number:02}", number // 5)  # five of each moment
    found: list[str] = []
    behind: tuple[int, str] | None = None
    while page := stored[1].newest("atlas#0", since_ms=0, until_ms=LAST_MS, limit=4, behind=behind):
        found += [one.task_id for one in page]
        behind = (page[-1].accepted_at_ms, page[-1].task_id)
    assert sorted(found) == [f"t-{number:02}" for number in range(23)]
    assert len(found) == 23


def test_an_empty_bucket(stored: Stored) -> None:
    assert ids(stored) == []
