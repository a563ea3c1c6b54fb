"""A tenant's tasks, the newest first, page by page. The cursor says where each bucket goes on."""

import heapq
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.api.cursors import CURSOR_CHARACTERS_MAX, cursor_of, no_cursor, place_of
from pushlane.model.ids import Identifier
from pushlane.model.task import Status, Tier
from pushlane.ports import Listed, TaskListing
from pushlane.state.keys import TENANT_BUCKETS, bucket_of

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 50
# Tasks that are looked at for one page, whatever the filters let through; then the cursor goes on.
LOOKED_AT_MAX: Final = 1_000
_PAGE: Final = 50
_LAST_MS: Final = 2**52

TimeMs = Annotated[int, Meta(ge=0, le=_LAST_MS, description="Unix time in milliseconds")]


class TaskFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which tasks: by status, type, tier and the time of acceptance (both ends included). `cursor`: of the page before,
    with the same filters.
    """

    status: Status | None = None
    task_type: Identifier | None = None
    tier: Tier | None = None
    since_ms: TimeMs = 0
    until_ms: TimeMs = _LAST_MS
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARACTERS_MAX)] | None = None

    def lets(self, status: str, task_type: str, tier: str) -> bool:
        """Whether a task of these is asked for."""
        return self.status in (None, status) and self.task_type in (None, task_type) and self.tier in (None, tier)


class Page(Struct, frozen=True, kw_only=True):
    """Ids of tasks, and the cursor of what follows; None at the end."""

    task_ids: tuple[str, ...]
    cursor: str | None


# Where each bucket goes on: the time and id of its last task that was looked at.
Places = dict[int, tuple[int, Annotated[str, Meta(max_length=64)]]]


def page_of(listing: TaskListing, tenant_id: str, wanted: TaskFilter) -> Page:
    """The next page. Raises the 422 problem for a cursor that is none."""
    places = dict(_places(wanted.cursor))
    found: list[str] = []
    for looked_at, (bucket, one) in enumerate(_merged(listing, tenant_id, wanted, places)):
        if len(found) == wanted.limit or looked_at == LOOKED_AT_MAX:
            return Page(task_ids=tuple(found), cursor=cursor_of(places))
        places[bucket] = (one.accepted_at_ms, one.task_id)
        if wanted.lets(one.status, one.task_type, one.tier):
            found.append(one.task_id)
    return Page(task_ids=tuple(found), cursor=None)


def _merged(listing: TaskListing, tenant_id: str, wanted: TaskFilter, places: Places) -> Iterator[tuple[int, Listed]]:
    """The tasks of all buckets, the newest first."""
    ways = [_bucket(listing, tenant_id, bucket, wanted, places.get(bucket)) for bucket in range(TENANT_BUCKETS)]
    return heapq.merge(*ways, key=_age)


def _age(pair: tuple[int, Listed]) -> int:
    return -pair[1].accepted_at_ms


def _bucket(
    listing: TaskListing, tenant_id: str, bucket: int, wanted: TaskFilter, behind: tuple[int, str] | None
) -> Iterator[tuple[int, Listed]]:
    """The tasks of one bucket, each with the bucket."""
    name, size = bucket_of(tenant_id, bucket), min(_PAGE, wanted.limit + 1)
    if behind is not None and not wanted.since_ms <= behind[0] <= wanted.until_ms:
        # The cursor is of other times than these: a key outside of what is asked for cannot be gone on from.
        if behind[0] < wanted.since_ms:
            return
        behind = None
    while True:
        page = listing.newest(name, since_ms=wanted.since_ms, until_ms=wanted.until_ms, limit=size, behind=behind)
        yield from ((bucket, one) for one in page)
        if len(page) < size:
            return
        behind = (page[-1].accepted_at_ms, page[-1].task_id)


def _places(cursor: str | None) -> Places:
    if cursor is None:
        return {}
    places = place_of(cursor, Places)
    if any(not 0 <= bucket < TENANT_BUCKETS or at_ms < 0 or not one for bucket, (at_ms, one) in places.items()):
        raise no_cursor()
    return places
