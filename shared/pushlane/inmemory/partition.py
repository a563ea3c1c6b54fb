"""The items of one partition in sort-key order, and in the order of each local index they are in."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from pushlane.inmemory.ordered import Ordered
from pushlane.ports import LOCAL_INDEXES, Attributes, IndexKey, Scalar, Table

# (0, number, sort key) or (1, text, sort key): the leading digit keeps numbers and text from being compared.
Place = tuple[int, int, str, str]
_FIRST: Final[Place] = (-1, 0, "", "")
_NOTHING: Final[Attributes] = {}

_INDEXES: Final[Mapping[Table, Mapping[str, IndexKey]]] = {
    table: {name: key for (of, name), key in LOCAL_INDEXES.items() if of is table} for table in Table
}


class Partition:
    """A million items in one partition are found, stored and removed about as fast as ten."""

    __slots__ = ("_indexes", "_keys", "_order", "items")

    def __init__(self, table: Table) -> None:
        self.items: dict[str, Attributes] = {}
        self._order: Ordered[str] = Ordered()
        self._keys = _INDEXES[table]
        self._indexes: dict[str, Ordered[Place]] = {}

    def replace(self, sk: str, after: Attributes | None) -> None:
        """Store `after` in place of what is there; None removes it."""
        before = self.items.get(sk)
        for name, key in self._keys.items():
            old, new = (before or _NOTHING).get(key.attribute), (after or _NOTHING).get(key.attribute)
            if old != new:
                self._move(name, _place(old, sk), _place(new, sk))
        if after is not None:
            if before is None:
                self._order.add(sk)
            self.items[sk] = after
        elif before is not None:
            self._order.remove(sk)
            del self.items[sk]

    def sort_keys(self, start: str, limit: int) -> list[str]:
        """Up to `limit` sort keys from `start` on."""
        return list(islice(self._order.since(start), limit))

    def indexed_sort_keys(self, index: str, start: str, limit: int) -> list[str]:
        """The same in the order of `index`; `start` is in terms of its key."""
        places = self._indexes.get(index)
        if places is None:
            return []
        first = _first_place(self._keys[index], start) if start else _FIRST
        return [place[-1] for place in islice(places.since(first), limit)]

    def _move(self, name: str, before: Place | None, after: Place | None) -> None:
        places = self._indexes.setdefault(name, Ordered())
        if before is not None:
            places.remove(before)
        if after is not None:
            places.add(after)


def _place(value: Scalar | None, sk: str) -> Place | None:
    if isinstance(value, int):
        return (0, value, "", sk)
    return (1, 0, value, sk) if isinstance(value, str) else None


def _first_place(key: IndexKey, start: str) -> Place:
    return (0, int(start), "", "") if key.numeric else (1, 0, start, "")
