"""Observations -> the measures table, each exactly once, however often and however grouped their batches come.

The observations of one tenant, tier and slice of time are one conditional update: it counts them and marks each as
counted, if none of them is marked yet. If one is, the item that failed the condition says which; the others are sent
again. So there is no count without its mark, and a lost answer is found out by the marks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from pushlane.model.errors import PushlaneError
from pushlane.ports import Change, ConditionFailed, InvalidRequest, ItemStore, Missing, Scalar, Update
from pushlane.state.items import VERSION
from pushlane.state.measures import DAY_MS, expiry, measured, slice_key, slice_of
from pushlane.telemetry.layout import COUNTS, SUMS, bucket_attribute
from pushlane.telemetry.observations import Observation, observed
from pushlane.telemetry.sketch import bucket_of

# DynamoDB takes 300 operators and 4 KB of expression in one update; an observation adds up to five attributes.
FACTS_MAX: Final = 32
_REMEMBERED_MAX: Final = 10_000


class NotFolded(PushlaneError):
    """Some measures could not be written; the batch comes again, and what was counted is not counted twice."""


class Measures:
    """Counts in what it is given. It remembers of which tenants it has said that they were measured on a day."""

    def __init__(self, store: ItemStore, log: Callable[..., None]) -> None:
        self._store = store
        self._log = log
        self._said: set[tuple[str, int]] = set()

    def fold_changes(self, changes: Iterable[Change]) -> list[Observation]:
        """Count what is measured of committed changes; an unreadable one is logged and passed over."""
        return self.fold([one for change in changes if (one := self._observed(change)) is not None])

    def fold(self, observations: Iterable[Observation]) -> list[Observation]:
        """Count the observations, and return those that were not counted before. Raises `NotFolded` when nothing is
        known of some, and `StoreUnavailable`.
        """
        groups: dict[tuple[str, str, int], dict[str, Observation]] = {}
        for one in observations:
            groups.setdefault((one.tenant_id, one.tier, slice_of(one.at_ms)), {})[one.mark] = one
        return [one for place, group in groups.items() for part in _parts(group) for one in self._counted(place, part)]

    def _counted(self, place: tuple[str, str, int], part: dict[str, Observation]) -> list[Observation]:
        self._say(place[0], place[2])
        left = part
        while left:
            try:
                self._store.write(_update(place, left))
            except ConditionFailed as failed:
                counted = {} if failed.item is None else failed.item.attributes
                after = {mark: one for mark, one in left.items() if mark not in counted}
                if len(after) == len(left):
                    raise NotFolded(f"measures of {place[0]} were refused for no mark that is there") from failed
                left = after
            except InvalidRequest as refused:
                # The item is full: so many facts of one tenant and tier in a few seconds. No retry makes room.
                self._log("measures-dropped", tenant_id=place[0], facts=len(left), error=str(refused))
                return []
            else:
                return list(left.values())
        return []

    def _say(self, tenant_id: str, at_ms: int) -> None:
        """Before its first measures of a day, so that whoever reads all tenants never misses one."""
        day = (tenant_id, at_ms // DAY_MS)
        if day in self._said:
            return
        self._store.write(measured(tenant_id, at_ms))
        if len(self._said) >= _REMEMBERED_MAX:
            self._said.clear()
        self._said.add(day)

    def _observed(self, change: Change) -> Observation | None:
        try:
            return observed(change)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            self._log("not-measured", key=msgspec.to_builtins(change.key), error=str(error)[:500])
            return None


def _parts(group: Mapping[str, Observation]) -> Iterator[dict[str, Observation]]:
    marks = list(group)
    for start in range(0, len(marks), FACTS_MAX):
        yield {mark: group[mark] for mark in marks[start : start + FACTS_MAX]}


def _update(place: tuple[str, str, int], facts: Mapping[str, Observation]) -> Update:
    tenant_id, tier, slice_ms = place
    marks: dict[str, Scalar] = dict.fromkeys(facts, True)
    said: dict[str, Scalar] = {"v": VERSION, "expires_at_s": expiry(slice_ms)}
    conditions = tuple(Missing(mark) for mark in facts)
    return Update(
        slice_key(tenant_id, tier, slice_ms), set=said | marks, add=_sum(list(facts.values())), conditions=conditions
    )


def _sum(facts: Sequence[Observation]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in facts:
        total.update(bucket_attribute(name, bucket_of(ms)) for name, ms in one.durations_ms.items())
        total.update({COUNTS[name]: count for name, count in one.counts.items()})
        total.update({SUMS[name]: amount for name, amount in one.sums.items() if amount})
    return dict(total)
