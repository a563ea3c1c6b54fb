"""The invariants, looked at after every write, by what the write has touched.

Each has a name in the report: `lost`, `double_effects`, `stale_accepted`, `leaked`, `stuck`.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.ports import Attributes, BlobStore, Change, Key, PublishedFact, Table
from pushlane.telemetry.layout import COUNTS
from tests.reliability.broken import Broken, Violation
from tests.reliability.mirror import TERMINAL, CounterRef, Mirror, Whereabouts
from tests.reliability.words import Words

TERMINAL_FACTS: Final = frozenset({"TaskSucceeded", "TaskFailed", "TaskCancelled", "TaskExpired"})
# Where a task is in each of its states: entries in lanes, live attempts, items among the delayed, dead letters. One
# that is suspended or waits is in one more place when its own item says so.
PLACES: Final = {
    "PARKED": (1, 0, 0, 0),
    "DISPATCHED": (0, 1, 0, 0),
    "WAITING": (0, 1, 0, 0),
    "RETRYING": (0, 0, 1, 0),
    "DEAD_LETTERED": (0, 0, 0, 1),
}
# In which states a hard deadline is watched by an item of its own.
_WATCHED: Final = frozenset({"PARKED", "SUSPENDED", "BLOCKED"})
_VIOLATIONS_MAX: Final = 20
# What the measures count of ends that are for good.
_ENDS: Final = tuple(COUNTS[name] for name in ("succeeded", "failed", "expired", "cancelled"))


class _FactMetadata(Struct):
    name: str
    fact_id: str


class _FactData(Struct):
    task_id: str | None = None


class _Fact(Struct):
    metadata: _FactMetadata
    data: _FactData


_fact_decoder = msgspec.json.Decoder(_Fact)


class Audit:
    """Gets every change (`note`) and looks when a write is over (`settle`). `now_ms` tells the store's time."""

    def __init__(self, blobs: BlobStore, now_ms: Callable[[], int]) -> None:
        self.mirror = Mirror()
        self.violations: list[Violation] = []
        self.drifts: dict[CounterRef, int] = {}  # counters that the world itself has falsified, and by how much
        self.terminal_facts: dict[str, set[str]] = {}
        self.accepted_facts: set[str] = set()
        self.measured_ends: dict[Key, int] = {}  # what each item of the measures counts
        self.moved: list[Callable[[str, Attributes], None]] = []  # told of every task that enters a state
        self._now_ms = now_ms
        self._changes: list[Change] = []
        self.words = Words(self.mirror, blobs, now_ms, self.broken)

    def note(self, change: Change) -> None:
        self._changes.append(change)
        if change.key.table is Table.MEASURES and change.new is not None:
            self.measured_ends[change.key] = sum(int(str(change.new.get(name, 0))) for name in _ENDS)

    def settle(self) -> None:
        """Look at what the writes since the last look have done."""
        changes, self._changes = self._changes, []
        for change in changes:
            self.mirror.follow(change)
        for task_id in self.mirror.malformed:
            self.broken(Broken.STALE_ACCEPTED, f"task {task_id}: a word was taken for an attempt that does not exist")
        for change in changes:
            if change.key.table is Table.ATTEMPTS and change.key.sk not in self.mirror.malformed:
                self.words.changed(change)
            elif change.key.table is Table.TASKS and change.key.sk == "TASK":
                self._task(change)
            elif change.key.table is Table.TASKS and change.key.sk == "WORKFLOW":
                self._workflow(change)
        self._look()

    def published(self, facts: Iterable[PublishedFact]) -> None:
        """Facts that went out: repeated ones are the same fact, by their id."""
        for one in facts:
            if one.name in TERMINAL_FACTS or one.name == "TaskAccepted":
                fact = _fact_decoder.decode(one.body)
                task_id = fact.data.task_id or ""
                if one.name == "TaskAccepted":
                    self.accepted_facts.add(task_id)
                    continue
                known = self.terminal_facts.setdefault(task_id, set())
                known.add(fact.metadata.fact_id)
                if len(known) > 1:
                    self.broken(Broken.DOUBLE_EFFECTS, f"task {task_id}: {len(known)} different terminal facts")

    def told_before(self, task_ids: Iterable[str]) -> None:
        """Tasks that were there before the world began: facts about what they were then went out long ago."""
        for task_id in task_ids:
            self.accepted_facts.add(task_id)
            if self.mirror.tasks[task_id].status in TERMINAL:
                self.terminal_facts[task_id] = {"before"}

    def broken(self, kind: Broken, what: str) -> None:
        if len(self.violations) < _VIOLATIONS_MAX:
            self.violations.append(Violation(kind, f"{what} (at {self._now_ms()})"))

    def unended(self) -> list[str]:
        """The accepted tasks that are not terminal."""
        return [f"{task_id} {self.mirror.tasks[task_id].status}" for task_id in sorted(self.mirror.live)]

    def close(self) -> None:
        """When all is over: what was accepted is told, and what has ended is told once."""
        for task_id, one in self.mirror.tasks.items():
            if task_id not in self.accepted_facts:
                self.broken(Broken.LOST, f"task {task_id}: no fact says that it was accepted")
            if one.status in TERMINAL and not self.terminal_facts.get(task_id):
                self.broken(Broken.LOST, f"task {task_id} is {one.status}, and no fact says so")
        self._measured()
        for ref, drift in self.drifts.items():
            if drift and self.mirror.counted.get(ref, 0) != self.mirror.held[ref]:
                self.broken(Broken.LEAKED, f"{'/'.join(ref)}: a wrong counter was never repaired")

    def _measured(self) -> None:
        """Every end is counted once, however often its change was told."""
        ended = [task_id for task_id, one in self.mirror.tasks.items() if one.status in TERMINAL]
        told = sum(self.terminal_facts.get(task_id) != {"before"} for task_id in ended)
        counted = sum(self.measured_ends.values())
        if counted != told:
            kind = Broken.DOUBLE_EFFECTS if counted > told else Broken.LOST
            self.broken(kind, f"{told} tasks have ended, and the measures count {counted}")

    def _look(self) -> None:
        mirror = self.mirror
        for task_id in mirror.dirty_tasks:
            self._placed(task_id, mirror.tasks[task_id])
        for ref in mirror.dirty_counters:
            self._counts(ref)
        for lane in mirror.dirty_lanes:
            self._lane(lane)
        for shape in mirror.dirty_shapes:
            stored, open_lanes = mirror.shape_items.get(shape, 0), mirror.open_lanes[shape]
            if stored != open_lanes:
                kind = Broken.LOST if stored < open_lanes else Broken.LEAKED
                self.broken(kind, f"shape {shape}: counts {stored} lanes that are not empty, there are {open_lanes}")
        for dirty in (mirror.dirty_tasks, mirror.dirty_counters, mirror.dirty_lanes, mirror.dirty_shapes):
            dirty.clear()

    def _placed(self, task_id: str, one: Whereabouts) -> None:
        """Each accepted task is in exactly the one place that its status names, and one that has ended in none."""
        if one.task is None:
            self.broken(Broken.LOST, f"task {task_id}: its row is gone, or it waits or runs without one")
            return
        found = (len(one.entries), int(one.attempt is not None), len(one.delayed), len(one.dead))
        wanted = _places(str(one.status), one.task)
        if found != wanted:
            kind = Broken.LOST if any(a < b for a, b in zip(found, wanted, strict=True)) else Broken.LEAKED
            said = "entries, attempts, delayed, dead letters"
            self.broken(kind, f"task {task_id} is {one.status}: {said} are {found}, not {wanted}")
        if one.attempt is not None and one.attempt.get("epoch") != one.epoch:
            what = f"task {task_id}: epoch {one.epoch}, its live attempt has {one.attempt.get('epoch')}"
            self.broken(Broken.STALE_ACCEPTED, what)
        if one.expiries and one.status not in _WATCHED:
            self.broken(Broken.LEAKED, f"task {task_id} is {one.status} and waits for its deadline still")

    def _counts(self, ref: CounterRef) -> None:
        """A counter is what the live reservations hold of it (plus what the world itself has falsified it by)."""
        stored, held = self.mirror.counted.get(ref, 0), self.mirror.held[ref]
        drift = self.drifts.get(ref, 0)
        if drift and stored == held:
            del self.drifts[ref]  # repaired
        elif stored != held + drift:
            kind = Broken.LEAKED if stored > held + drift else Broken.DOUBLE_EFFECTS
            self.broken(kind, f"{'/'.join(ref)} is {stored}, live reservations hold {held}, falsified by {drift}")

    def _lane(self, lane: tuple[str, str, str, str]) -> None:
        item, queued = self.mirror.lane_items.get(lane, {}), self.mirror.queued[lane]
        depth = item.get("depth", 0)
        if depth != queued:
            kind = Broken.LOST if isinstance(depth, int) and depth < queued else Broken.LEAKED
            self.broken(kind, f"lane {lane}: its depth is {depth}, {queued} tasks wait in it")
        if queued and "turn_key" not in item and "late_key" not in item:
            self.broken(Broken.LOST, f"lane {lane}: {queued} tasks wait in it and it is in no list")

    def _task(self, change: Change) -> None:
        task_id, old, new = change.key.pk, change.old, change.new
        if old is None or new is None:
            return
        if old["status"] in TERMINAL and new["status"] != old["status"]:
            self.broken(Broken.DOUBLE_EFFECTS, f"task {task_id} was {old['status']} and is {new['status']}")
        if old["status"] in TERMINAL and new.get("result") != old.get("result"):
            self.broken(Broken.DOUBLE_EFFECTS, f"task {task_id}: its result was changed after its end")
        if old["status"] == "BLOCKED" and new["status"] in ("PARKED", "DISPATCHED"):
            self._unblocked(task_id, new)
        if new["status"] != "BLOCKED" and new["status"] != old["status"]:
            for listener in self.moved:
                listener(task_id, new)

    def _unblocked(self, task_id: str, new: Attributes) -> None:
        """A node of a workflow is let go once, when every parent has ended."""
        place = msgspec.json.decode(str(new["body"])).get("workflow") or {}
        for _, parent, *_ in place.get("parents", ()):
            status = self.mirror.tasks[parent].status if parent in self.mirror.tasks else None
            if status not in TERMINAL:
                what = f"task {task_id} was let go while its parent {parent} is {status}"
                self.broken(Broken.DOUBLE_EFFECTS, what)

    def _workflow(self, change: Change) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and old["status"] in TERMINAL and new["status"] != old["status"]:
            what = f"workflow {change.key.pk} was {old['status']} and is {new['status']}"
            self.broken(Broken.DOUBLE_EFFECTS, what)


def _places(status: str, task: Attributes) -> tuple[int, int, int, int]:
    if status == "SUSPENDED":
        return (0, 0, int("due_ms" in task), 0)
    if status == "WAITING" and "waits_at" in task:
        return (1, 1, 0, 0)
    return PLACES.get(status, (0, 0, 0, 0))
