"""Dead-lettered tasks in the store: each is an item of its pool beside the task, which keeps payload, error, history.

Bringing one back and giving one up are one transaction each, so a task is dead in both places or in neither.
"""

from msgspec import Struct

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Status
from pushlane.ports import (
    Absent,
    AnyOf,
    AtMost,
    Attributes,
    ConditionFailed,
    Delete,
    ItemStore,
    Missing,
    Present,
    Put,
    Scalar,
    Table,
    Update,
    Write,
)
from pushlane.scheduling.entry import Entry
from pushlane.state import keys
from pushlane.state.changes import ENDED
from pushlane.state.items import (
    VERSION,
    entry_attributes,
    entry_of_item,
    error_attributes,
    number,
    optional_number,
    text,
)
from pushlane.state.transitions import at_rest, transition

REDRIVES = "redrives"


class Grave(Struct, frozen=True, kw_only=True):
    """One dead-lettered task among those of its pool. `place`: where it lies, oldest first."""

    pool: str
    died_at_ms: int
    entry: Entry

    @property
    def task_id(self) -> str:
        return self.entry.task_id

    @property
    def place(self) -> str:
        return keys.dead_key(self.pool, self.died_at_ms, self.task_id).sk


def graves(store: ItemStore, pool: str, limit: int, after: str = "") -> list[Grave]:
    """Up to `limit` dead-lettered tasks of a pool, oldest first, those that lie behind the place `after`."""
    start = f"{after}#" if after else ""
    found = store.query(Table.SCHEDULER, keys.dead_pk(pool), limit=limit, start=start)
    return [
        Grave(pool=pool, died_at_ms=int(item.key.sk.partition("#")[0]), entry=entry_of_item(item)) for item in found
    ]


def died_at_ms(stored: Attributes) -> int:
    """When a dead-lettered task died, by its own item."""
    return number(stored, "ended_at_ms")


def redrives_of(stored: Attributes) -> int:
    """How often the task went back from the dead letters."""
    return optional_number(stored, REDRIVES) or 0


def bring_back(entry: Entry, pool: str, stored: Attributes, due_ms: int, now_ms: int) -> list[Write]:
    """The task competes again from `due_ms` on, as `entry`, in which no attempt so far counts."""
    said: dict[str, Scalar] = {
        "due_ms": due_ms,
        "changed_at_ms": now_ms,
        "uncounted": entry.uncounted,
        REDRIVES: redrives_of(stored) + 1,
    }
    return [
        transition(entry.task_id, entry.epoch, (Status.DEAD_LETTERED,), Status.RETRYING, said, ("ended_at_ms",)),
        Delete(keys.dead_key(pool, died_at_ms(stored), entry.task_id), (Present(),)),
        Put(keys.delayed_key(pool, due_ms, entry.task_id), entry_attributes(entry), (Absent(),)),
    ]


def give_up(
    entry: Entry, pool: str, stored: Attributes, status: Status, error: ErrorDetail, now_ms: int
) -> list[Write]:
    """The task ends for good, as FAILED or CANCELLED, and whoever waits for its end is told."""
    said = at_rest(status, now_ms) | error_attributes(error)
    operations: list[Write] = [
        transition(entry.task_id, entry.epoch, (Status.DEAD_LETTERED,), status, said),
        Delete(keys.dead_key(pool, died_at_ms(stored), entry.task_id), (Present(),)),
    ]
    if entry.tells:
        operations.append(Put(keys.duty_key(pool, now_ms, entry.task_id, ENDED), {"v": VERSION}))
    return operations


def take_minute(store: ItemStore, pool: str, minute: int) -> str | None:
    """Take a minute (of Unix time) for the pool's redrive: the place behind which it goes on, empty for the beginning.
    None: somebody has taken it, and the minute's tasks go back only once.
    """
    key, free = keys.redrive_key(pool), AnyOf((Missing("minute"), AtMost("minute", minute - 1)))
    try:
        said = store.write(Update(key, set={"v": VERSION, "minute": minute}, conditions=(free,)))
    except ConditionFailed:
        return None
    return text(said, "behind") if "behind" in said else ""


def go_on_behind(store: ItemStore, pool: str, place: str) -> None:
    """Where the next minute goes on. Advice: after a lost word some are looked at again."""
    store.write(Update(keys.redrive_key(pool), set={"behind": place}))
