"""Schedules in the config table: the schedule itself, its place in its tenant's list, and marks of unfinished changes.

The item is the truth, and the scheduling service follows it: a change writes the item and a mark of its own in one
transaction, then tells the service, and removes the mark when what it told is still what stands. Whoever finds a mark
can finish the change: it names the schedule and where the service's entry lies.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.schedule import Fires, ScheduleData, timing_of
from pushlane.ports import (
    AnyOf,
    AtMost,
    ConditionFailed,
    Delete,
    Equals,
    Item,
    ItemStore,
    Key,
    Missing,
    Put,
    ScheduleEntry,
    Table,
    Update,
    Write,
)
from pushlane.state.items import VERSION, number, text, to_json

_UNAPPLIED: Final = "SCHEDULES_UNAPPLIED"
_SCHEDULE: Final = "SCHEDULE"
_PAGE: Final = 100


class Schedule(Struct, frozen=True, kw_only=True):
    """A stored schedule. `revision` counts its changes from 1; `change_id` names the last one."""

    schedule_id: str
    tenant_id: str
    revision: int
    change_id: str
    created_at_ms: int
    changed_at_ms: int
    data: ScheduleData

    @property
    def entry(self) -> ScheduleEntry:
        """What the scheduling service is told."""
        fires = Fires(schedule_id=self.schedule_id, scheduled_at="{time}")
        return ScheduleEntry(
            name=self.schedule_id,
            expression=self.data.expression,
            timezone=self.data.timezone,
            message=to_json(fires),
            enabled=self.data.enabled,
            window_minutes=self.data.window_minutes,
            starts_at_ms=self.data.starts_at_ms,
            ends_at_ms=self.data.ends_at_ms,
        )

    def next_after(self, time_ms: int) -> int | None:
        """When it fires next, in Unix milliseconds; None when it does not any more, or is paused."""
        return timing_of(self.data, self.created_at_ms).next_after(time_ms) if self.data.enabled else None


class Unapplied(Struct, frozen=True, kw_only=True):
    """The mark of a change that the scheduling service may not know of. `place`: where its entry lies, as JSON."""

    change_id: str
    schedule_id: str
    place: str
    since_ms: int


def schedule_key(schedule_id: str) -> Key:
    return Key(Table.CONFIG, f"SCHEDULE#{schedule_id}", _SCHEDULE)


def listed_key(tenant_id: str, schedule_id: str) -> Key:
    """The schedule in the list of its tenant."""
    return Key(Table.CONFIG, f"SCHEDULES#{tenant_id}", schedule_id)


def unapplied_key(change_id: str) -> Key:
    return Key(Table.CONFIG, _UNAPPLIED, change_id)


def caught_up_key(schedule_id: str) -> Key:
    """Up to when one late firing has stood for all; in the table that the router writes."""
    return Key(Table.SCHEDULER, f"SCHEDULE#{schedule_id}", "CAUGHT_UP")


def load_schedule(store: ItemStore, schedule_id: str) -> Schedule | None:
    """The schedule as it stands; None when there is none of this id."""
    key = schedule_key(schedule_id)
    found = store.get([key]).get(key)
    return None if found is None else _schedule_of(found)


def list_schedules(
    store: ItemStore, tenant_id: str, *, after: str = "", limit: int = _PAGE
) -> tuple[tuple[Schedule, ...], str | None]:
    """Up to `limit` (at most 100) schedules of the tenant in the order of their ids, and where to go on from."""
    pk = listed_key(tenant_id, "").pk
    start = f"{after}!" if after else ""  # sorts behind the id itself, before whatever else an id goes on with
    listed = store.query(Table.CONFIG, pk, limit=limit + 1, start=start)
    wanted = [schedule_key(item.key.sk) for item in listed[:limit]]
    found = store.get(wanted) if wanted else {}
    schedules = tuple(_schedule_of(found[key]) for key in wanted if key in found)
    return schedules, listed[limit - 1].key.sk if len(listed) > limit else None


def put_operations(before: Schedule | None, after: Schedule, place: str) -> list[Write]:
    """The transaction that makes or changes a schedule, unless it has changed since `before` was read."""
    unchanged = Missing("change_id") if before is None else Equals("change_id", before.change_id)
    document = to_json(after)
    return [
        Put(
            schedule_key(after.schedule_id),
            {"v": VERSION, "change_id": after.change_id, "schedule": document},
            (unchanged,),
        ),
        Put(listed_key(after.tenant_id, after.schedule_id), {"v": VERSION, "name": after.data.name}),
        _mark(after, after.change_id, place, after.changed_at_ms),
    ]


def delete_operations(before: Schedule, change_id: str, place: str, now_ms: int) -> list[Write]:
    """The transaction that removes a schedule, unless it has changed since it was read."""
    return [
        Delete(schedule_key(before.schedule_id), (Equals("change_id", before.change_id),)),
        Delete(listed_key(before.tenant_id, before.schedule_id)),
        Delete(caught_up_key(before.schedule_id)),
        _mark(before, change_id, place, now_ms),
    ]


def unapplied(store: ItemStore, limit: int = _PAGE) -> Sequence[Unapplied]:
    """Marks of changes that are not finished: one query, and empty unless something broke off."""
    return [
        Unapplied(
            change_id=item.key.sk,
            schedule_id=text(item.attributes, "schedule_id"),
            place=text(item.attributes, "place"),
            since_ms=number(item.attributes, "since_ms"),
        )
        for item in store.query(Table.CONFIG, _UNAPPLIED, limit=limit)
    ]


def applied(store: ItemStore, change_id: str) -> None:
    """The change is finished."""
    store.write(Delete(unapplied_key(change_id)))


def stands_for_all(store: ItemStore, schedule: Schedule, due_ms: int, now_ms: int) -> bool:
    """Whether the late firing of `due_ms` is the one that stands for all that were due by now. It is again when it is
    delivered again.
    """
    first = AnyOf((Missing("until_ms"), AtMost("until_ms", due_ms - 1)))
    again = Equals("by_ms", due_ms)
    try:
        store.write(
            Update(
                caught_up_key(schedule.schedule_id),
                set={"tenant_id": schedule.tenant_id, "until_ms": now_ms, "by_ms": due_ms},
                conditions=(AnyOf((*first.conditions, again)),),
            )
        )
    except ConditionFailed:
        return False
    return True


def _mark(schedule: Schedule, change_id: str, place: str, now_ms: int) -> Put:
    said = {"schedule_id": schedule.schedule_id, "tenant_id": schedule.tenant_id}
    return Put(unapplied_key(change_id), {**said, "place": place, "since_ms": now_ms})


def _schedule_of(item: Item) -> Schedule:
    return msgspec.json.decode(text(item.attributes, "schedule"), type=Schedule)
