"""A table's change stream: in order, at least once, one batch of a shard at a time."""

from typing import Final

from pushlane.ports import Change, Table

SHARDS: Final = 2


class Shard:
    """The changes of some of the items. What is taken stays until it is `done`."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.position = 0
        self.busy = False

    @property
    def pending(self) -> int:
        return len(self.changes) - self.position

    def batch(self, limit: int) -> list[Change]:
        return self.changes[self.position : self.position + limit]

    def done(self, count: int) -> None:
        self.position += count
        if self.position > 500:
            del self.changes[: self.position]
            self.position = 0


class Stream:
    """The shards of one table; all changes of an item are in one."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.shards = [Shard() for _ in range(SHARDS)]

    def append(self, change: Change) -> None:
        self.shards[sum(change.key.pk.encode()) % SHARDS].changes.append(change)

    @property
    def pending(self) -> int:
        return sum(shard.pending for shard in self.shards)
