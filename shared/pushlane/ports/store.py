"""Items and operations on them as values: the small part of DynamoDB that Pushlane leans on."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from pushlane.model.errors import PushlaneError

Scalar = str | int | bool | list[str]
Attributes = Mapping[str, Scalar]


class Table(StrEnum):
    TASKS = "tasks"
    ATTEMPTS = "attempts"
    SCHEDULER = "scheduler"
    CONFIG = "config"
    EVENTS = "events"
    CONNECTIONS = "connections"
    MEASURES = "measures"


class Key(Struct, frozen=True, order=True):
    """The primary key of one item."""

    table: Table
    pk: str
    sk: str


class IndexKey(Struct, frozen=True):
    """The sort key of a local index: the attribute that puts an item into it, and whether it is a number."""

    attribute: str
    numeric: bool = False


# Every local index there is; the adapters read it and the template tests hold the tables to it.
LOCAL_INDEXES: Final[Mapping[tuple[Table, str], IndexKey]] = {
    (Table.ATTEMPTS, "by_lease"): IndexKey("lease_until_ms", numeric=True),
    (Table.SCHEDULER, "by_turn"): IndexKey("turn_key"),
    (Table.SCHEDULER, "by_urgency"): IndexKey("urgent_key"),
    (Table.SCHEDULER, "by_late"): IndexKey("late_key"),
}


class Present(Struct, frozen=True, tag=True):
    """The item exists."""


class Absent(Struct, frozen=True, tag=True):
    """The item does not exist."""


class Equals(Struct, frozen=True, tag=True):
    """The attribute exists and equals `value`."""

    name: str
    value: Scalar


class Missing(Struct, frozen=True, tag=True):
    """The attribute (or the whole item) is not there."""

    name: str


class AtMost(Struct, frozen=True, tag=True):
    """The attribute exists and is <= `value`."""

    name: str
    value: int


class AtLeast(Struct, frozen=True, tag=True):
    """The attribute exists and is >= `value`."""

    name: str
    value: int


class AnyOf(Struct, frozen=True, tag=True):
    """At least one of the conditions holds."""

    conditions: tuple["Condition", ...]


Condition = Present | Absent | Equals | Missing | AtMost | AtLeast | AnyOf
Conditions = tuple[Condition, ...]


class Put(Struct, frozen=True):
    """Replace the whole item if all conditions hold. `attributes` are without the key."""

    key: Key
    attributes: Attributes
    conditions: Conditions = ()


class Update(Struct, frozen=True):
    """Change attributes if all conditions hold; creates the item when it is absent. `add` counts up from zero."""

    key: Key
    set: Attributes = {}
    add: Mapping[str, int] = {}
    remove: tuple[str, ...] = ()
    conditions: Conditions = ()


class Delete(Struct, frozen=True):
    """Remove the item if all conditions hold."""

    key: Key
    conditions: Conditions = ()


Write = Put | Update | Delete


class Item(Struct, frozen=True):
    """A stored item: its key and its other attributes."""

    key: Key
    attributes: Attributes


class Change(Struct, frozen=True):
    """A committed change of one item, as the table's stream tells it: what was there and what is there now."""

    key: Key
    old: Attributes | None
    new: Attributes | None


class CancelReason(StrEnum):
    """Why one operation made its transaction fail."""

    CONDITION = "condition"
    CONFLICT = "conflict"
    THROTTLED = "throttled"


class Cancelled(Struct, frozen=True):
    """One failed operation of a cancelled transaction: its index, why, and the item that failed a condition."""

    index: int
    reason: CancelReason
    item: Item | None = None


class TransactionCancelled(PushlaneError):
    """Nothing of the transaction was applied."""

    def __init__(self, cancelled: tuple[Cancelled, ...]) -> None:
        super().__init__("transaction cancelled: " + ", ".join(f"#{one.index} {one.reason}" for one in cancelled))
        self.cancelled = cancelled


class ConditionFailed(PushlaneError):
    """A single write's condition did not hold; `item` is what was there."""

    def __init__(self, item: Item | None) -> None:
        super().__init__("a condition of the write did not hold")
        self.item = item


class InvalidRequest(PushlaneError):
    """The store refuses the call as it stands, and nothing was applied: repeating it cannot help."""


class TokenReused(InvalidRequest):
    """A transaction's token was used before for other operations; a token is derived from what it names."""


class ItemStore(Protocol):
    """Items with conditional writes and all-or-nothing transactions. Every read is consistent.

    Every call raises `InvalidRequest` for what the store cannot take (a 101st operation, an item over 400 KB) and
    `StoreUnavailable` when the retries are used up.
    """

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of at most 100 items that exist."""
        ...

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        """Up to `limit` items of a partition, lowest sort key first (of the local index `index`, or the main one),
        from the sort key `start` on. Items without the index's key are not in the index.
        """
        ...

    def write(self, operation: Write) -> Attributes:
        """Apply one write and return the attributes after it (none after a delete); raises `ConditionFailed`.

        There is no token here: a write whose answer was lost is sent again and can meet its own effect. So a caller
        that gets `ConditionFailed` looks at its `item` for its own mark (a call id), and no bare `add` is sent.
        """
        ...

    def transact(self, operations: Sequence[Write], token: str) -> None:
        """Apply at most 100 operations on different items, all or none; raises `TransactionCancelled`.

        `token` names the transaction: sent again with the same token it is applied once, so an ambiguous answer
        (timeout, 5xx) is resolved by repeating the call. Raises `StoreUnavailable` when the retries are used up.
        """
        ...


class ItemScanner(Protocol):
    """Reads whole tables: for an operator's rare work, never on the way of a task."""

    def scan(self, table: Table) -> Iterator[Item]:
        """Every item of the table, in no order, each as it stood when its page was read. Raises as `ItemStore.query`;
        what is written or removed meanwhile may or may not be among them.
        """
        ...


class Listed(Struct, frozen=True, kw_only=True):
    """One task in its tenant's list, as the index has it: a moment old."""

    task_id: str
    accepted_at_ms: int
    status: str
    task_type: str
    tier: str


class TaskListing(Protocol):
    """Tasks by the bucket of their tenant, in the order in which they were accepted. Reads may be a moment old."""

    def newest(
        self, bucket: str, *, since_ms: int, until_ms: int, limit: int, behind: tuple[int, str] | None = None
    ) -> list[Listed]:
        """Up to `limit` tasks of a bucket accepted from `since_ms` to `until_ms`, the newest first: those behind the
        task that `behind` names by time and id. Raises `StoreUnavailable`.
        """
        ...
