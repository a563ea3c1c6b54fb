"""A store that counts what passes through it."""

from collections.abc import Sequence

from msgspec import Struct

from pushlane.ports import Attributes, Item, ItemStore, Key, Table, Write


class Counts(Struct):
    """Calls that read, items that they gave, operations in writes and transactions, and transactions."""

    reads: int = 0
    items: int = 0
    writes: int = 0
    commits: int = 0


class CountedStore:
    """An `ItemStore` in front of another."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self.counts = Counts()

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        found = self._store.get(keys)
        self.counts.reads += 1
        self.counts.items += len(found)
        return found

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        found = self._store.query(table, pk, index=index, limit=limit, start=start)
        self.counts.reads += 1
        self.counts.items += len(found)
        return found

    def write(self, operation: Write) -> Attributes:
        self.counts.writes += 1
        return self._store.write(operation)

    def transact(self, operations: Sequence[Write], token: str) -> None:
        self.counts.commits += 1
        self.counts.writes += len(operations)
        self._store.transact(operations, token)
