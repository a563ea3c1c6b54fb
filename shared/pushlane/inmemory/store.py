"""`ItemStore` in memory: DynamoDB's semantics and limits, with hooks for faults and for the change stream."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Final, Protocol, Self

from pushlane.inmemory import limits
from pushlane.inmemory.partition import Partition
from pushlane.inmemory.rules import allowed, changed, copied
from pushlane.ports import (
    Attributes,
    Cancelled,
    CancelReason,
    Change,
    Clock,
    ConditionFailed,
    InvalidRequest,
    Item,
    Key,
    Table,
    TokenReused,
    TransactionCancelled,
    Write,
)

TOKEN_LIFE_MS: Final = 10 * 60 * 1_000

ChangeListener = Callable[[Change], None]


class Faults(Protocol):
    """Called around every operation (`get`, `query`, `write`, `transact`), outside the store's lock.

    What it raises, the caller of the store sees: `TransactionCancelled` or `StoreUnavailable` from `before` (nothing
    applied), `StoreUnavailable` from `after` (applied, and the answer lost). It may call the store itself, to slip
    another writer in between.
    """

    def before(self, name: str, operations: Sequence[Write]) -> None: ...

    def after(self, name: str, operations: Sequence[Write]) -> None: ...


class _NoFaults:
    def before(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


class InMemoryItemStore:
    """Thread-safe. `change_listener` gets every committed change of an item, in order, once, as a DynamoDB stream would
    tell it. It must not modify what it gets.
    """

    def __init__(
        self, clock: Clock, *, faults: Faults | None = None, change_listener: ChangeListener | None = None
    ) -> None:
        self._clock = clock
        self._faults: Faults = faults or _NoFaults()
        self._listener = change_listener
        self._partitions: dict[tuple[Table, str], Partition] = {}
        self._tokens: dict[str, tuple[Write, ...]] = {}
        self._token_ends: deque[tuple[int, str]] = deque()
        self._changes: deque[Change] = deque()
        self._notifying = False
        self._lock = threading.RLock()

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """See `ItemStore.get`."""
        wanted = list(dict.fromkeys(keys))
        if len(wanted) > limits.KEYS_MAX:
            raise InvalidRequest(f"{len(wanted)} keys in one read, at most {limits.KEYS_MAX}: read them in parts")
        for key in wanted:
            limits.check_key(key)
        self._faults.before("get", ())
        with self._lock:
            found = {key: item for key in wanted if (item := self._item(key)) is not None}
        self._faults.after("get", ())
        return found

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        """See `ItemStore.query`. Items with the same index key come in the order of their sort keys."""
        if index is not None:
            limits.check_table_index(table, index)
        self._faults.before("query", ())
        with self._lock:
            found = self._items(table, pk, index, limit, start)
        self._faults.after("query", ())
        return found

    def scan(self, table: Table) -> Iterator[Item]:
        """See `ItemScanner.scan`: as of now."""
        return iter(self.items(table))

    def write(self, operation: Write) -> Attributes:
        """See `ItemStore.write`."""
        limits.check_operation(operation)
        self._faults.before("write", (operation,))
        with self._lock:
            stored = self._stored(operation.key)
            if not allowed(operation, stored):
                raise ConditionFailed(self._item(operation.key))
            after, _ = _outcome(operation, stored)
            self._commit([Change(operation.key, stored, after)])
        self._faults.after("write", (operation,))
        return copied(after or {})

    def transact(self, operations: Sequence[Write], token: str) -> None:
        """See `ItemStore.transact`. Tokens are remembered for ten minutes of the clock."""
        limits.check_transaction(operations, token)
        for operation in operations:
            limits.check_operation(operation)
        self._faults.before("transact", operations)
        with self._lock:
            if not self._is_replay(token, operations):
                changes = self._changes_of(operations)
                self._tokens[token] = tuple(operations)
                self._token_ends.append((self._clock.now_ms() + TOKEN_LIFE_MS, token))
                self._commit(changes)
        self._faults.after("transact", operations)

    def without_faults(self) -> Self:
        """The same items, for whoever is not to meet the faults."""
        other = copy(self)
        other._faults = _NoFaults()
        return other

    def load(self, items: Iterable[Item]) -> None:
        """Store many items as they are, unchecked and untold: a state to begin with."""
        with self._lock:
            for item in items:
                self._partition(item.key).replace(item.key.sk, item.attributes)

    def items(self, table: Table) -> list[Item]:
        """Everything in a table, by key: for checks of invariants."""
        with self._lock:
            pks = sorted(pk for of, pk in self._partitions if of is table)
            return [item for pk in pks for item in self._items(table, pk)]

    def _is_replay(self, token: str, operations: Sequence[Write]) -> bool:
        while self._token_ends and self._token_ends[0][0] <= self._clock.now_ms():
            self._tokens.pop(self._token_ends.popleft()[1], None)
        remembered = self._tokens.get(token)
        if remembered is not None and remembered != tuple(operations):
            raise TokenReused(f"token {token!r} named other operations before: derive it from them")
        return remembered is not None

    def _changes_of(self, operations: Sequence[Write]) -> list[Change]:
        before = [self._stored(operation.key) for operation in operations]
        failed = [i for i, operation in enumerate(operations) if not allowed(operation, before[i])]
        if failed:
            raise TransactionCancelled(
                tuple(Cancelled(i, CancelReason.CONDITION, self._item(operations[i].key)) for i in failed)
            )
        outcomes = [_outcome(operation, stored) for operation, stored in zip(operations, before, strict=True)]
        limits.check_transaction_bytes(sum(size for _, size in outcomes))
        return [Change(one.key, old, new) for one, old, (new, _) in zip(operations, before, outcomes, strict=True)]

    def _commit(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._partition(change.key).replace(change.key.sk, change.new)
        if self._listener is not None:
            self._changes += [change for change in changes if change.old != change.new]
            self._notify(self._listener)

    def _notify(self, listener: ChangeListener) -> None:
        # A listener that writes adds to the queue instead of overtaking the changes before its own.
        if self._notifying:
            return
        self._notifying = True
        try:
            while self._changes:
                listener(self._changes.popleft())
        finally:
            self._notifying = False

    def _partition(self, key: Key) -> Partition:
        where = key.table, key.pk
        if where not in self._partitions:
            self._partitions[where] = Partition(key.table)
        return self._partitions[where]

    def _items(
        self, table: Table, pk: str, index: str | None = None, limit: int | None = None, start: str = ""
    ) -> list[Item]:
        partition = self._partitions.get((table, pk))
        if partition is None:
            return []
        count = len(partition.items) if limit is None else max(limit, 0)
        named = partition.indexed_sort_keys(index, start, count) if index else partition.sort_keys(start, count)
        return [Item(Key(table, pk, sk), copied(partition.items[sk])) for sk in named]

    def _stored(self, key: Key) -> Attributes | None:
        partition = self._partitions.get((key.table, key.pk))
        return partition.items.get(key.sk) if partition else None

    def _item(self, key: Key) -> Item | None:
        stored = self._stored(key)
        return None if stored is None else Item(key, copied(stored))


def _outcome(operation: Write, stored: Attributes | None) -> tuple[Attributes | None, int]:
    """The item after the write and the bytes that it counts for in a transaction."""
    after = changed(operation, stored)
    if after is not None:
        return after, limits.check_item(operation.key, after)
    return None, limits.item_bytes(operation.key, stored or {})
