"""What the store holds, kept beside it change by change, in the terms that the invariants speak of.

Written from the documentation of the items and not with the product's readers: a mistake there must not hide itself.
"""

from collections import Counter
from typing import Any, Final

import msgspec

from pushlane.ports import Attributes, Change, Table

# An item that counts something, and the attribute that holds the count.
CounterRef = tuple[str, str, str]
LaneRef = tuple[str, str, str, str]  # pool, shape, tier, tenant
ShapeRef = tuple[str, str, str]  # pool, shape, tier


TERMINAL: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})


class Whereabouts:
    """Everything in the store that is one task's."""

    __slots__ = ("attempt", "dead", "delayed", "entries", "epoch", "expiries", "status", "task")

    def __init__(self) -> None:
        self.task: Attributes | None = None
        self.status: str | None = None
        self.epoch = -1
        self.attempt: Attributes | None = None
        self.entries: set[str] = set()
        self.delayed: set[str] = set()
        self.expiries: set[str] = set()
        self.dead: set[str] = set()


class Mirror:
    """Follows committed changes; `dirty_*` name what the changes since the last look have touched."""

    def __init__(self) -> None:
        self.tasks: dict[str, Whereabouts] = {}
        self.live: set[str] = set()  # accepted, and not terminal
        self.workflows: dict[str, str] = {}  # each one's status
        self.open_workflows: set[str] = set()
        self.duties: set[str] = set()
        self.malformed: set[str] = set()  # attempts that nobody has reserved
        self.counted: dict[CounterRef, int] = {}  # as stored
        self.held: Counter[CounterRef] = Counter()  # as the live reservations say
        self.agents: dict[tuple[str, str], str] = {}  # each one's status
        self.lane_items: dict[LaneRef, Attributes] = {}
        self.queued: Counter[LaneRef] = Counter()
        self.shape_items: dict[ShapeRef, int] = {}
        self.open_lanes: Counter[ShapeRef] = Counter()
        self.dirty_tasks: set[str] = set()
        self.dirty_counters: set[CounterRef] = set()
        self.dirty_lanes: set[LaneRef] = set()
        self.dirty_shapes: set[ShapeRef] = set()

    def follow(self, change: Change) -> None:
        if change.key.table is Table.SCHEDULER:
            self._scheduler(change)
        elif change.key.table is Table.ATTEMPTS:
            self._attempt(change)
        elif change.key.table is Table.TASKS and change.key.sk == "TASK":
            self._task(change)
        elif change.key.table is Table.TASKS and change.key.sk == "WORKFLOW":
            self._workflow(change)

    def accepted(self, subject_id: str) -> bool:
        """There is a task, or a workflow, of this id; none (a command about no task) is there always."""
        one = self.tasks.get(subject_id)
        return not subject_id or subject_id in self.workflows or (one is not None and one.task is not None)

    def left_for_a_wait(self) -> set[tuple[str, str]]:
        """The agents (pool and id) that a live attempt holds nothing of just now, as it gave back what it held."""
        attempts = [one.attempt for one in self.tasks.values() if one.attempt is not None]
        waiting = [one for one in attempts if counted(one, "gave_back") > counted(one, "granted")]
        reservations = [msgspec.json.decode(str(one["reservation"])) for one in waiting]
        return {(one["agent_pool"], one["agent_id"]) for one in reservations}

    def of(self, task_id: str) -> Whereabouts:
        found = self.tasks.get(task_id)
        if found is None:
            found = self.tasks[task_id] = Whereabouts()
        self.dirty_tasks.add(task_id)
        return found

    def _task(self, change: Change) -> None:
        one = self.of(change.key.pk)
        one.task = change.new
        one.status = None if change.new is None else str(change.new["status"])
        one.epoch = -1 if change.new is None else counted(change.new, "epoch")
        if one.status is None or one.status in TERMINAL:
            self.live.discard(change.key.pk)
        else:
            self.live.add(change.key.pk)

    def _workflow(self, change: Change) -> None:
        status = "gone" if change.new is None else str(change.new["status"])
        self.workflows[change.key.pk] = status
        if status in TERMINAL:
            self.open_workflows.discard(change.key.pk)
        else:
            self.open_workflows.add(change.key.pk)

    def _attempt(self, change: Change) -> None:
        self.of(change.key.sk).attempt = change.new
        if any("reservation" not in one for one in (change.old, change.new) if one is not None):
            self.malformed.add(change.key.sk)
            return
        if change.old is None and change.new is not None:
            self._hold(change.new, 1)
        elif change.new is None and change.old is not None:
            self._hold(change.old, -1)
        elif (
            change.old is not None and change.new is not None and change.old["reservation"] != change.new["reservation"]
        ):
            self._hold(change.old, -1)
            self._hold(change.new, 1)

    def _hold(self, attempt: Attributes, sign: int) -> None:
        for ref, amount in held_by(attempt):
            self.held[ref] += sign * amount
            self.dirty_counters.add(ref)

    def _scheduler(self, change: Change) -> None:
        kind, _, rest = change.key.pk.partition("#")
        if kind == "Q":
            self._entry(change, rest)
        elif kind == "LANES":
            self._lane(change, rest)
        elif kind == "POOL":
            self._pool_item(change, rest)
        elif kind == "DELAYED":
            self._delayed(change)
        elif kind == "DEAD":
            self._place(self.of(change.key.sk.partition("#")[2]).dead, change)
        elif kind == "TENANT" and change.key.sk == "STATE":
            self._counter(change, "in_flight")
        elif kind == "RESOURCE" and change.key.sk == "STATE":
            self._counter(change, "used")

    def _entry(self, change: Change, rest: str) -> None:
        pool, shape, tier, tenant_id = rest.split("#")
        lane = (pool, shape, tier, tenant_id)
        self._place(self.of(change.key.sk.split("#")[2]).entries, change)
        before = self.queued[lane]
        after = self.queued[lane] = before + (change.new is not None) - (change.old is not None)
        self.dirty_lanes.add(lane)
        if (before > 0) != (after > 0):
            self.open_lanes[pool, shape, tier] += 1 if after > 0 else -1
            self.dirty_shapes.add((pool, shape, tier))

    def _lane(self, change: Change, rest: str) -> None:
        pool, shape = rest.split("#")
        tier, _, tenant_id = change.key.sk.partition("#")
        self.lane_items[pool, shape, tier, tenant_id] = change.new or {}
        self.dirty_lanes.add((pool, shape, tier, tenant_id))

    def _pool_item(self, change: Change, pool: str) -> None:
        if change.key.sk.startswith("AGENT#"):
            self._counter(change, "used")
            self.agents[pool, change.key.sk.removeprefix("AGENT#")] = str((change.new or {}).get("status"))
        elif change.key.sk.startswith("SHAPE#"):
            shape = change.key.sk.removeprefix("SHAPE#")
            for name, value in (change.new or {}).items():
                if name.startswith("lanes_") and isinstance(value, int):
                    ref = (pool, shape, name.removeprefix("lanes_"))
                    self.shape_items[ref] = value
                    self.dirty_shapes.add(ref)

    def _delayed(self, change: Change) -> None:
        _, task_id, *kind = change.key.sk.split("#")
        if not kind:
            self._place(self.of(task_id).delayed, change)
        elif kind == ["expiry"]:
            self._place(self.of(task_id).expiries, change)
        elif kind != ["heartbeat"]:  # an agent is looked after as long as it is there
            self._place(self.duties, change)

    def _counter(self, change: Change, attribute: str) -> None:
        ref = (change.key.pk, change.key.sk, attribute)
        if change.new is None:
            self.counted.pop(ref, None)
        else:
            self.counted[ref] = counted(change.new, attribute)
        self.dirty_counters.add(ref)

    @staticmethod
    def _place(places: set[str], change: Change) -> None:
        where = f"{change.key.pk}/{change.key.sk}"
        if change.new is None:
            places.discard(where)
        else:
            places.add(where)


def held_by(attempt: Attributes) -> list[tuple[CounterRef, int]]:
    """What a live attempt keeps from others, as its reservation says."""
    reservation: dict[str, Any] = msgspec.json.decode(str(attempt["reservation"]))
    agent = (f"POOL#{reservation['agent_pool']}", f"AGENT#{reservation['agent_id']}", "used")
    held = [(agent, slots)] if (slots := reservation.get("slots", 1)) else []
    if reservation.get("counted"):
        held.append(((f"TENANT#{reservation['tenant_id']}", "STATE", "in_flight"), 1))
    for resource, amount, *more in reservation.get("holds", ()):
        if len(more) > 1 and more[1]:
            held.append(((f"RESOURCE#{resource}", "STATE", "used"), amount))
    return held


def counted(attributes: Attributes, name: str) -> int:
    """A number of an item; 0 where it has none."""
    value = attributes.get(name, 0)
    return value if isinstance(value, int) else 0
