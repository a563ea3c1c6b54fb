"""Read and write units as DynamoDB bills them, computed from the items: no local backend says them.

A write counts the larger of the item before and after it, by the kilobyte; in a transaction twice. An index counts what
it keeps of the item: once when an entry comes, goes or changes, twice when its key moves; nothing when it stays as it
was. A consistent read counts 4 KB, at least one; a batch rounds each item up, a query what it found altogether.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from pushlane.inmemory.limits import item_bytes
from pushlane.ports import LOCAL_INDEXES, Attributes, Item, Key, Table

_WRITE_BYTES: Final = 1_024
_READ_BYTES: Final = 4_096
_TRANSACTION: Final = 2
# Of the tasks by tenant: what its index keeps (`pushlane.cdk.state`).
TENANT_INDEX: Final = ("tenant_bucket", "accepted_at_ms")
TENANT_INDEX_KEEPS: Final = (*TENANT_INDEX, "tenant_id", "status", "task_type", "tier", "pool", "epoch")


class WriteUnits(Struct, frozen=True):
    """Of one write: for the item itself, and for the indexes that follow it."""

    item: int
    indexes: int = 0

    @property
    def total(self) -> int:
        return self.item + self.indexes


def write_units(key: Key, old: Attributes | None, new: Attributes | None, *, transaction: bool) -> WriteUnits:
    """Of one applied write; one that changes nothing, or removes nothing, counts as well."""
    of_item = _kilobytes(max(item_bytes(key, old or {}), item_bytes(key, new or {})))
    indexes = sum(
        _index_units(key, (index_key.attribute,), old or {}, new or {})
        for (table, _), index_key in LOCAL_INDEXES.items()
        if table is key.table
    )
    if key.table is Table.TASKS:
        indexes += _index_units(key, TENANT_INDEX, _kept(old), _kept(new))
    return WriteUnits(of_item * (_TRANSACTION if transaction else 1), indexes)


def refused_units(key: Key, stored: Attributes | None, *, transaction: bool) -> WriteUnits:
    """Of a write whose condition did not hold: the item that was there, and no index."""
    return WriteUnits(_kilobytes(item_bytes(key, stored or {})) * (_TRANSACTION if transaction else 1))


def get_units(keys: Sequence[Key], found: Iterable[Item]) -> int:
    """Of a consistent read of single items; one that is not there counts as the smallest."""
    sizes = {item.key: item_bytes(item.key, item.attributes) for item in found}
    return sum(_read_units(sizes.get(key, 0)) for key in dict.fromkeys(keys))


def query_units(found: Iterable[Item]) -> int:
    """Of a consistent query."""
    return _read_units(sum(item_bytes(item.key, item.attributes) for item in found))


def _kept(attributes: Attributes | None) -> Attributes:
    return {name: value for name, value in (attributes or {}).items() if name in TENANT_INDEX_KEEPS}


def _index_units(key: Key, of: tuple[str, ...], old: Attributes, new: Attributes) -> int:
    before, after = (all(name in attributes for name in of) for attributes in (old, new))
    if not before and not after:
        return 0
    sizes = [_kilobytes(item_bytes(key, attributes)) for attributes in (old, new)]
    if before and after and any(old[name] != new[name] for name in of):
        return sum(sizes)
    return 0 if old == new else max(sizes[0] * before, sizes[1] * after)


def _kilobytes(size: int) -> int:
    return max(1, -(-size // _WRITE_BYTES))


def _read_units(size: int) -> int:
    return max(1, -(-size // _READ_BYTES))
