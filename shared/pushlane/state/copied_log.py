"""Logs that repeat others: what a log has of its source, and the transaction that brings it forward.

How far a log has come with a source is an item beside it, written in the transaction that appends: so a source's
events are repeated once and in their order, whatever is delivered twice, late or in another order, and whoever dies
in between. The next look at the source makes up for one that was lost.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.live import is_feed
from pushlane.model.timeline import LoggedEvent
from pushlane.ports import Absent, Conditions, Equals, ItemStore, Key, Put, Scalar, Table, Write
from pushlane.state.event_log import (
    PAGE_MAX,
    VERSION,
    Appended,
    Head,
    head_key,
    head_of,
    kept_seconds,
    read_events,
    writes,
)
from pushlane.state.items import number, to_json

# With the HEAD and the sources' items a transaction holds at most 100.
EVENTS_MAX: Final = 80
# A transaction takes 4 MB; this leaves room for what is not counted here.
BYTES_MAX: Final = 3 * 1024 * 1024
_KEYS_MAX: Final = 100
# Parents may be named in a circle, by a tenant's own mistake: then this ends it. No task nests deeper.
HOPS_MAX: Final = 9


class Place(Struct, frozen=True, kw_only=True):
    """How far a log has come with a source; `stored`: as it was read, None when there is nothing of it yet."""

    source: str
    at: int
    stored: int | None


class Repeated(Struct, frozen=True, kw_only=True):
    """What to append, how far that brings every source, and whether there is more to repeat already."""

    done: Appended
    places: tuple[Place, ...]
    more: bool = False


def place_key(log: str, source: str) -> Key:
    return Key(Table.EVENTS, f"SRC#{log}", source)


def places_of(store: ItemStore, log: str, sources: Sequence[str]) -> list[Place]:
    """Where the log stands with each of at most 100 sources."""
    found = store.get([place_key(log, source) for source in sources])
    stored = {key.sk: number(item.attributes, "at") for key, item in found.items()}
    return [Place(source=source, at=stored.get(source, 0), stored=stored.get(source)) for source in sources]


def has_all(store: ItemStore, log: str) -> bool:
    """Whether every source that the log knows of (of up to 1,000) has ended and stands in it with everything."""
    places = store.query(Table.EVENTS, place_key(log, "-").pk, limit=PAGE_MAX)
    for start in range(0, len(places), _KEYS_MAX):
        at = {item.key.sk: number(item.attributes, "at") for item in places[start : start + _KEYS_MAX]}
        found = store.get([head_key(source) for source in at])
        heads = {key.pk: head_of(item.attributes) for key, item in found.items()}
        if any(not heads[source].ended or heads[source].last > at[source] for source in heads):
            return False
    return True


def repeat(store: ItemStore, log: str, head: Head, places: Sequence[Place]) -> Repeated:
    """Read on in the sources, as much as one transaction takes, and number it. Reads only."""
    events: list[LoggedEvent] = []
    size = 0
    moved: list[Place] = []
    more = False
    for place in places:
        page = read_events(store, place.source, after=place.at, limit=max(1, EVENTS_MAX - len(events)))
        at = place.at
        for event in page.events:
            taken = _repeats(log, place.source, event)
            size += len(to_json(event)) if taken else 0
            if size > BYTES_MAX or (taken and len(events) == EVENTS_MAX):
                break
            at = event.sequence
            if taken:
                events.append(event)
        more = more or page.more or at < page.last
        moved.append(msgspec.structs.replace(place, at=at))
    return Repeated(done=_numbered(head, events), places=tuple(moved), more=more)


def repeat_writes(
    log: str, before: Head | None, repeated: Repeated, now_ms: int, retention_seconds: int
) -> list[Write]:
    """The transaction that makes it so, unless the log or its place in a source has gone on; none when nothing new."""
    moved = [place for place in repeated.places if place.at != (place.stored or 0)]
    if not moved:
        return []
    expires_at_s = now_ms // 1_000 + kept_seconds(repeated.done.head, retention_seconds)
    puts = [_place_put(log, place, expires_at_s) for place in moved]
    return [*writes(log, before, repeated.done, now_ms, retention_seconds), *puts]


def _repeats(log: str, source: str, event: LoggedEvent) -> bool:
    """A feed repeats what is a log's own: of what that one repeats it hears at first hand."""
    if is_feed(log):
        return event.task_id == source
    return event.task_id != log and event.hops < HOPS_MAX


def _numbered(head: Head, events: Sequence[LoggedEvent]) -> Appended:
    numbered = tuple(
        msgspec.structs.replace(event, sequence=head.last + count, hops=event.hops + 1)
        for count, event in enumerate(events, start=1)
    )
    return Appended(head=msgspec.structs.replace(head, last=head.last + len(numbered), copies=True), events=numbered)


def _place_put(log: str, place: Place, expires_at_s: int) -> Put:
    attributes: Mapping[str, Scalar] = {"v": VERSION, "at": place.at, "expires_at_s": expires_at_s}
    unchanged: Conditions = (Absent(),) if place.stored is None else (Equals("at", place.stored),)
    return Put(place_key(log, place.source), attributes, unchanged)
