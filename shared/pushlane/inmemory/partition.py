"""The items of one partition in sort-key order, and in the order of each local index they are in."""

from bisect import bisect_left, insort

from pushlane.ports import LOCAL_INDEXES, Attributes, IndexKey, Table

# (0, number, sort key) or (1, text, sort key): the leading digit keeps numbers and text from being compared.
Place = tuple[int, int, str, str]


class Partition:
    """Finding is O(log n); inserting moves a list's tail, which for a million items is still under a millisecond."""

    def __init__(self, table: Table) -> None:
        self.items: dict[str, Attributes] = {}
        self._order: list[str] = []
        self._keys = {name: key for (of, name), key in LOCAL_INDEXES.items() if of is table}
        self._indexes: dict[str, list[Place]] = {name: [] for name in self._keys}

    def replace(self, sk: str, after: Attributes | None) -> None:
        """Store `after` in place of what is there; None removes it."""
        before = self.items.get(sk)
        for name, key in self._keys.items():
            _move(self._indexes[name], _place(key, before, sk), _place(key, after, sk))
        if after is not None:
            if before is None:
                insort(self._order, sk)
            self.items[sk] = after
        elif before is not None:
            del self._order[bisect_left(self._order, sk)]
            del self.items[sk]

    def sort_keys(self, start: str, limit: int) -> list[str]:
        """Up to `limit` sort keys from `start` on."""
        first = bisect_left(self._order, start) if start else 0
        return self._order[first : first + limit]

    def indexed_sort_keys(self, index: str, start: str, limit: int) -> list[str]:
        """The same in the order of `index`; `start` is in terms of its key."""
        places = self._indexes[index]
        first = bisect_left(places, _first_place(self._keys[index], start)) if start else 0
        return [place[-1] for place in places[first : first + limit]]


def _place(key: IndexKey, attributes: Attributes | None, sk: str) -> Place | None:
    value = (attributes or {}).get(key.attribute)
    if isinstance(value, int):
        return (0, value, "", sk)
    return (1, 0, value, sk) if isinstance(value, str) else None


def _first_place(key: IndexKey, start: str) -> Place:
    return (0, int(start), "", "") if key.numeric else (1, 0, start, "")


def _move(places: list[Place], before: Place | None, after: Place | None) -> None:
    if before == after:
        return
    if before is not None:
        del places[bisect_left(places, before)]
    if after is not None:
        insort(places, after)
