"""The lanes' share of a transaction: depths, heads, and the count of non-empty lanes of each shape.

A lane leaves the `by_turn` index only under the condition that its depth is exactly what this turn takes, so a task
parked at the same moment can never be left in a lane that no turn looks at.
"""

from collections.abc import Mapping

from pushlane.ports import AnyOf, AtLeast, Conditions, Equals, Missing, Scalar, Update
from pushlane.scheduling.decisions import Decision, Dispatch, FromLane, Park
from pushlane.scheduling.snapshot import Entry, LaneRef, PoolSnapshot
from pushlane.state import keys


class LaneLedger:
    """Adds up what parks in and what leaves each lane."""

    def __init__(self, snapshot: PoolSnapshot, depths: Mapping[LaneRef, int]) -> None:
        self.pool = snapshot.pool
        self.views = {lane.ref: lane for lane in snapshot.lanes}
        self.depths = {**{lane.ref: lane.depth for lane in snapshot.lanes}, **depths}
        self.parked: dict[LaneRef, list[Entry]] = {}
        self.taken: dict[LaneRef, list[Entry]] = {}

    def add(self, decision: Decision) -> None:
        if isinstance(decision, Park):
            self.parked.setdefault(keys.lane_of(decision.entry), []).append(decision.entry)
        elif isinstance(decision, Dispatch) and isinstance(decision.origin, FromLane):
            self.taken.setdefault(keys.lane_of(decision.entry), []).append(decision.entry)

    @property
    def size(self) -> int:
        """An upper bound of the operations so far: each lane and its shape."""
        return 2 * len(self.parked.keys() | self.taken.keys())

    def operations(self) -> list[Update]:
        """One update for each touched lane, and one for each shape whose number of non-empty lanes changes."""
        lanes = [self._lane(ref) for ref in sorted(self.parked.keys() | self.taken.keys())]
        opened: dict[str, int] = {}
        capabilities: dict[str, tuple[str, ...]] = {}
        for ref, (_, change) in zip(sorted(self.parked.keys() | self.taken.keys()), lanes, strict=True):
            opened[ref.shape] = opened.get(ref.shape, 0) + change
            sample = (self.parked.get(ref) or self.taken[ref])[0]
            capabilities[ref.shape] = sample.capabilities
        shapes = [self._shape(shape, change, capabilities[shape]) for shape, change in opened.items() if change]
        return [update for update, _ in lanes] + shapes

    def _lane(self, ref: LaneRef) -> tuple[Update, int]:
        """The lane's update and the change (-1, 0, 1) of its shape's non-empty lanes."""
        parked, taken = self.parked.get(ref, []), self.taken.get(ref, [])
        if not taken:
            return self._grow(ref, parked)
        rest = self._rest(ref, taken)
        key, delta = keys.lane_key(self.pool, ref), {"depth": len(parked) - len(taken)}
        if rest is not None:
            more: Conditions = (AtLeast("depth", len(taken) + 1),)
            return Update(key, set={"turn_key": rest}, add=delta, conditions=more), 0
        emptied: Conditions = (Equals("depth", len(taken)),)
        if parked:
            first = min(keys.entry_order(entry) for entry in parked)
            return Update(key, set={"turn_key": first}, add=delta, conditions=emptied), 0
        return Update(key, add=delta, remove=("turn_key",), conditions=emptied), -1

    def _grow(self, ref: LaneRef, parked: list[Entry]) -> tuple[Update, int]:
        key, delta = keys.lane_key(self.pool, ref), {"depth": len(parked)}
        if self.depths.get(ref, 0) > 0:
            return Update(key, add=delta, conditions=(AtLeast("depth", 1),)), 0
        first: dict[str, Scalar] = {"turn_key": min(keys.entry_order(entry) for entry in parked)}
        empty: Conditions = (AnyOf((Missing("depth"), Equals("depth", 0))),)
        return Update(key, set=first, add=delta, conditions=empty), 1

    def _rest(self, ref: LaneRef, taken: list[Entry]) -> str | None:
        """The turn key of the lane once `taken` have left; None when nothing that was there remains."""
        view, gone = self.views[ref], {entry.task_id for entry in taken}
        left = [keys.entry_order(entry) for entry in view.heads if entry.task_id not in gone]
        if left:
            return min(left)
        # More remain than were read: right behind the last one taken is a lower bound of the true head.
        return None if view.complete else max(keys.entry_order(entry) for entry in taken) + "~"

    def _shape(self, shape: str, change: int, capabilities: tuple[str, ...]) -> Update:
        conditions: Conditions = (AtLeast("lanes", -change),) if change < 0 else ()
        known: dict[str, Scalar] = {"capabilities": list(capabilities)}
        return Update(keys.shape_key(self.pool, shape), set=known, add={"lanes": change}, conditions=conditions)
