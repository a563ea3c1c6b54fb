"""The lanes' share of a transaction: depths, where each lane is listed, and the count of non-empty lanes of each shape.

A lane is listed by its turn while it has tasks on time, by its late work while it has that. It leaves a list only under
the condition that nobody changed it since this turn read it (its depth could be the same again, with other tasks), and
a task parks only under the condition that the lane is listed as this turn saw it: so no task is ever left in a lane
that no turn looks at. The keys inside a list are advisory.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from pushlane.model.policy import PoolPolicy
from pushlane.model.task import Tier
from pushlane.ports import AnyOf, AtLeast, Condition, Conditions, Equals, Missing, Scalar, Update
from pushlane.scheduling.backpressure import pressure_after
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Decision, Dispatch, Drop, Park, ended_of, leaves_lane
from pushlane.scheduling.entry import Entry, LaneRef, lane_of
from pushlane.scheduling.snapshot import LaneState, LaneView, PoolSnapshot, asked_by
from pushlane.state import keys
from pushlane.state.items import lanes_attribute

# Lanes that were looked at and are listed wrongly: corrected on the way, a few at a time.
RELISTED_MAX = 5


class PressureChange(Struct, frozen=True):
    """A lane crossed one of its marks: producers are told."""

    ref: LaneRef
    depth: int
    pressed: bool


class _Listing(Struct, frozen=True):
    """Where a lane stands after the commit; None: not in that list."""

    turn: int | None
    urgent: int | None
    late: int | None


class LaneLedger:
    """Adds up what parks in and what leaves each lane."""

    def __init__(self, snapshot: PoolSnapshot, now_ms: int) -> None:
        self._snapshot = snapshot
        self._rules: PoolPolicy = snapshot.policy.pool(snapshot.pool)
        self._now_ms = now_ms
        self._views: dict[LaneRef, LaneView] = {lane.ref: lane for lane in snapshot.lanes}
        self._states: dict[LaneRef, LaneState] = {
            **snapshot.lane_states,
            **{lane.ref: lane.state for lane in snapshot.lanes},
        }
        self._parked: dict[LaneRef, list[Entry]] = {}
        self._taken: dict[LaneRef, list[Entry]] = {}

    def add(self, decision: Decision) -> None:
        match decision:
            case Park(entry=entry):
                self._parked.setdefault(lane_of(entry), []).append(entry)
            case Dispatch(entry=entry) | Drop(entry=entry) if leaves_lane(decision):
                self._taken.setdefault(lane_of(entry), []).append(entry)
        over = ended_of(decision)
        if over is not None and (asks := asked_by(over)) is not None:
            self._taken.setdefault(lane_of(asks), []).append(asks)

    @property
    def touched(self) -> list[LaneRef]:
        return sorted(self._parked.keys() | self._taken.keys())

    @property
    def size(self) -> int:
        """An upper bound of the operations so far: each lane, its shape, its change of pressure, and relisted lanes."""
        return 3 * len(self._parked.keys() | self._taken.keys()) + RELISTED_MAX

    def operations(self, books: Books) -> tuple[list[Update], list[PressureChange]]:
        """One update for each touched or wrongly listed lane, and one for each shape whose count changes."""
        updates: list[Update] = []
        pressures: list[PressureChange] = []
        opened: dict[str, dict[Tier, int]] = {}
        samples: dict[str, Entry] = {}
        for ref in self.touched:
            update, pressure = self._lane(ref, books)
            updates.append(update)
            pressures += pressure
            samples[ref.shape] = (self._parked.get(ref) or self._taken[ref])[0]
            if change := self._opened(ref):
                tiers = opened.setdefault(ref.shape, {})
                tiers[ref.tier] = tiers.get(ref.tier, 0) + change
        updates += [self._shape(samples[shape], tiers) for shape, tiers in opened.items() if any(tiers.values())]
        return updates + self._relisted(books), pressures

    def _depth(self, ref: LaneRef) -> tuple[int, int]:
        before = self._states.get(ref, LaneState()).depth
        return before, before + len(self._parked.get(ref, ())) - len(self._taken.get(ref, ()))

    def _opened(self, ref: LaneRef) -> int:
        before, after = self._depth(ref)
        return (after > 0) - (before > 0)

    def _lane(self, ref: LaneRef, books: Books) -> tuple[Update, list[PressureChange]]:
        state = self._states.get(ref, LaneState())
        parked, taken = self._parked.get(ref, []), self._taken.get(ref, [])
        listing = self._listing(ref, books)
        set_, remove = _keys(ref, state, listing)
        before, after = self._depth(ref)
        pressed = pressure_after(after, state.pressed, self._rules)
        pressures: list[PressureChange] = []
        conditions: Conditions = (*_seen(state), _depth_holds(before, len(taken)), *_unmoved(state, remove))
        if pressed is not state.pressed:
            set_["pressed"] = int(pressed)
            pressures.append(PressureChange(ref, after, pressed))
            conditions += (_pressed_as_seen(state),)
        undated = sum(not entry.dated for entry in parked) - sum(not entry.dated for entry in taken)
        add = {"depth": len(parked) - len(taken), "revision": 1}
        if undated:
            add["undated"] = undated
        update = Update(
            keys.lane_key(self._snapshot.pool, ref), set=set_, add=add, remove=tuple(remove), conditions=conditions
        )
        return update, pressures

    def _listing(self, ref: LaneRef, books: Books) -> _Listing:
        state, view = self._states.get(ref, LaneState()), self._views.get(ref)
        parked, gone = self._parked.get(ref, []), {entry.task_id for entry in self._taken.get(ref, ())}
        if self._depth(ref)[1] <= 0:
            return _Listing(None, None, None)
        behind = [entry for entry in parked if self._late(ref, entry)]
        on_time = [entry.start_by_ms for entry in parked if not self._late(ref, entry)]
        if view is None:  # nothing is known of what waits in it but where it is listed
            has_turn, has_late = bool(on_time) or state.turn_tag_ms is not None, state.late_tag_ms is not None
            urgent = min([*on_time, *([] if state.urgent_ms is None else [state.urgent_ms])], default=None)
        else:
            left = [entry.start_by_ms for entry in view.on_time if entry.task_id not in gone]
            urgent = min([*on_time, *left, *([] if left else _unread(view))], default=None)
            has_turn = urgent is not None
            has_late = not view.late_complete or any(entry.task_id not in gone for entry in view.late)
            if not (has_turn or has_late or behind):
                # Tasks are left in it, and by this turn's clock, which may be behind, they are in the other list.
                has_turn, has_late = state.turn_tag_ms is not None, state.late_tag_ms is not None
                urgent = state.urgent_ms
        account = books.accounts.get((ref.tier, ref.tenant_id))
        seen = self._snapshot.accounts.get((ref.tier, ref.tenant_id))
        tag = account.virtual.after if account is not None else 0 if seen is None else seen.virtual_ms
        late_tag = account.late_virtual.after if account is not None else 0 if seen is None else seen.late_virtual_ms
        return _Listing(
            tag if has_turn else None, urgent if has_turn else None, late_tag if has_late or behind else None
        )

    def _late(self, ref: LaneRef, entry: Entry) -> bool:
        return self._snapshot.policy.tier(ref.tier).feasible_first and entry.late(self._now_ms)

    def _relisted(self, books: Books) -> list[Update]:
        """Lanes that were looked at, not touched, and are listed where they do not belong any more."""
        updates: list[Update] = []
        for ref, view in self._views.items():
            if ref in self._parked or ref in self._taken or len(updates) == RELISTED_MAX:
                continue
            listing = self._listing(ref, books)
            if not _misplaced(view.state, listing):
                continue
            set_, remove = _keys(ref, view.state, listing)
            conditions: Conditions = (*_seen(view.state), AtLeast("depth", 1), *_unmoved(view.state, remove))
            key = keys.lane_key(self._snapshot.pool, ref)
            updates.append(Update(key, set_, {"revision": 1}, tuple(remove), conditions))
        return updates

    def wrongly_listed(self, books: Books) -> bool:
        """Whether a commit would correct anything although nothing was decided."""
        return bool(self._relisted(books))

    def _shape(self, sample: Entry, tiers: Mapping[Tier, int]) -> Update:
        conditions: Conditions = tuple(
            AtLeast(lanes_attribute(tier), -change) for tier, change in tiers.items() if change < 0
        )
        known: dict[str, Scalar] = {
            "capabilities": list(sample.capabilities),
            "resources": [name for name, _ in sample.resources],
        }
        if sample.route is not None:
            known["route"] = sample.route.value
        add = {lanes_attribute(tier): change for tier, change in tiers.items() if change}
        return Update(keys.shape_key(self._snapshot.pool, sample.shape), set=known, add=add, conditions=conditions)


def _unread(view: LaneView) -> list[int]:
    """When the first task on time that was not read has to start, or earlier."""
    if view.on_time_complete:
        return []
    if view.on_time:
        return [max(entry.start_by_ms for entry in view.on_time)]
    return [] if view.state.urgent_ms is None else [view.state.urgent_ms]


def _keys(ref: LaneRef, state: LaneState, listing: _Listing) -> tuple[dict[str, Scalar], list[str]]:
    """The index keys to set and to remove, and the mark of where the lane is listed."""
    wanted = {"turn_key": listing.turn, "urgent_key": listing.urgent, "late_key": listing.late}
    before = {"turn_key": state.turn_tag_ms, "urgent_key": state.urgent_ms, "late_key": state.late_tag_ms}
    set_: dict[str, Scalar] = {
        name: keys.index_key(ref.tier, value)
        for name, value in wanted.items()
        if value is not None and max(0, value) != before[name]
    }
    remove = [name for name, value in wanted.items() if value is None and before[name] is not None]
    listed = _listed(listing.turn, listing.late)
    if listed != _listed(state.turn_tag_ms, state.late_tag_ms):
        set_["listed"] = listed
    return set_, remove


def _listed(turn: int | None, late: int | None) -> str:
    return ("turn" if turn is not None else "") + ("late" if late is not None else "")


def _seen(state: LaneState) -> Conditions:
    """The lane is listed as this turn saw it."""
    listed = _listed(state.turn_tag_ms, state.late_tag_ms)
    return (Equals("listed", listed),) if listed else (AnyOf((Missing("listed"), Equals("listed", ""))),)


def _pressed_as_seen(state: LaneState) -> Condition:
    """Of several turns that see the lane cross a mark, one says so."""
    return Equals("pressed", 1) if state.pressed else AnyOf((Missing("pressed"), Equals("pressed", 0)))


def _depth_holds(before: int, taken: int) -> AtLeast | Equals | AnyOf:
    if before == 0:
        return AnyOf((Missing("depth"), Equals("depth", 0)))
    return Equals("depth", before) if taken >= before else AtLeast("depth", taken + 1)


def _unmoved(state: LaneState, removed: Sequence[str]) -> Conditions:
    """The lane is as this turn read it, if it is to leave a list."""
    if not removed:
        return ()
    same = Equals("revision", state.revision)
    return (same if state.revision else AnyOf((Missing("revision"), same)),)


def _misplaced(state: LaneState, listing: _Listing) -> bool:
    if _listed(state.turn_tag_ms, state.late_tag_ms) != _listed(listing.turn, listing.late):
        return True
    stale_turn = listing.turn is not None and listing.turn != state.turn_tag_ms
    return stale_turn or (listing.urgent is not None and listing.urgent != state.urgent_ms)
