"""What an erasure leans on: tables read as a whole, and values found and removed by prefix."""

from collections.abc import Iterator
from typing import cast
from uuid import uuid4

import pytest

from pushlane.aws.blobs import S3BlobStore
from pushlane.inmemory import InMemoryBlobs
from pushlane.ports import BlobStore, Delete, ErasableBlobs, ItemScanner, ItemStore, Key, Put, Table
from tests.conformance.backends import MEMORY, Backend

LARGE = "x" * 100_000


def test_a_scan_finds_every_item_of_a_table_over_many_pages(store: ItemStore) -> None:
    scanner = cast(ItemScanner, store)
    assert list(scanner.scan(Table.CONFIG)) == []
    keys = {Key(Table.CONFIG, f"pk-{number % 7}", f"sk-{number:03d}") for number in range(30)}
    for key in keys:
        store.write(Put(key, {"large": LARGE, "of": key.pk}))
    store.write(Put(Key(Table.TASKS, "t", "TASK"), {"v": 1}))
    found = list(scanner.scan(Table.CONFIG))
    assert {item.key for item in found} == keys
    assert len(found) == len(keys)
    assert all(item.attributes == {"large": LARGE, "of": item.key.pk} for item in found)


def test_items_may_be_removed_while_they_are_read(store: ItemStore) -> None:
    for number in range(30):
        store.write(Put(Key(Table.CONFIG, "pk", f"sk-{number:03d}"), {"large": LARGE}))
    for item in cast(ItemScanner, store).scan(Table.CONFIG):
        store.write(Delete(item.key))
    assert list(cast(ItemScanner, store).scan(Table.CONFIG)) == []


@pytest.fixture
def blobs(backend: Backend) -> Iterator[BlobStore]:
    if backend.name == MEMORY:
        yield InMemoryBlobs()
        return
    client, bucket = backend.client("s3"), f"claims-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    yield S3BlobStore(client, bucket)


def test_values_are_found_and_removed_by_prefix(blobs: BlobStore) -> None:
    erasable = cast(ErasableBlobs, blobs)
    mine = [f"claims/atlas/{number:04d}.json" for number in range(1_005)]
    others = ["claims/atlas-2/1.json", "claims/atla/1.json", "claims/birch/atlas/1.json"]
    for key in (*mine, *others):
        blobs.put(key, b"{}")
    assert sorted(erasable.keys("claims/atlas/")) == mine
    erasable.delete([*mine, "claims/atlas/not-there.json"])
    assert list(erasable.keys("claims/atlas/")) == []
    assert sorted(erasable.keys("")) == sorted(others)
    erasable.delete([])
