"""`TaskListing` in memory, over the tasks of the in-memory store."""

from pushlane.inmemory.store import InMemoryItemStore
from pushlane.ports import Item, Listed, Table


class InMemoryTaskListing:
    """Never behind the store. Tasks of the same moment come in the order of their ids, the highest first."""

    def __init__(self, store: InMemoryItemStore) -> None:
        self._store = store

    def newest(
        self, bucket: str, *, since_ms: int, until_ms: int, limit: int, behind: tuple[int, str] | None = None
    ) -> list[Listed]:
        """See `TaskListing.newest`."""
        tasks = [item for item in self._store.items(Table.TASKS) if item.attributes.get("tenant_bucket") == bucket]
        listed = sorted(map(_listed, tasks), key=_order, reverse=True)
        wanted = [one for one in listed if since_ms <= one.accepted_at_ms <= until_ms]
        return [one for one in wanted if behind is None or _order(one) < behind][:limit]


def _order(one: Listed) -> tuple[int, str]:
    return one.accepted_at_ms, one.task_id


def _listed(item: Item) -> Listed:
    said = item.attributes
    return Listed(
        task_id=item.key.pk,
        accepted_at_ms=int(str(said["accepted_at_ms"])),
        status=str(said["status"]),
        task_type=str(said["task_type"]),
        tier=str(said["tier"]),
    )
