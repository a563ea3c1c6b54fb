"""Choose the lanes whose turn it is, and read the first tasks of each: heads, never the backlog.

A choice is made from what the lane lists say, before any task is read: of each kind of work with free slots, the lanes
with the lowest virtual times, the first of tiers below their share, and the most urgent within the credit. Lanes whose
tenants can have nothing now do not count, so they hide no others. Late work is read when it is owed, or slots are left.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from pushlane.model.mode import Route
from pushlane.model.task import Tier
from pushlane.ports import ItemStore
from pushlane.scheduling.admission import Admission
from pushlane.scheduling.entry import RANKS, TIERS, LaneRef
from pushlane.scheduling.fairness import TierClocks
from pushlane.scheduling.snapshot import (
    Input,
    LaneState,
    LaneView,
    PoolSnapshot,
    Releasing,
    ShapeView,
)
from pushlane.state import keys
from pushlane.state.loading import freed_slots, waiting_shapes
from pushlane.state.stored_lanes import StoredLanes

TAKE_MAX: Final = 10
# Lanes looked at beside those that are first by turn, so that the most urgent within the credit is among them.
LANES_MORE: Final = 3
# Of those, lanes that are listed by a head that has become late: reading one is what corrects its place.
_STALE_MAX: Final = 2
# A tier below its share, or the late work of one, is made good by one or two tasks.
_OWED_LANES: Final = 2
# How many lanes one read lists. More than the first page is needed only when the tenants of a whole page are at limits.
_PAGES: Final = (20, 100, 500)

_States = dict[LaneRef, LaneState]


class Lanes(Protocol):
    """A pool's lanes as they are listed: those in the store, or those of a simulation."""

    def listed(self, shape: str, index: str, tier: Tier, limit: int) -> _States:
        """Up to `limit` lanes of a list, lowest first, from the first of the tier on. One read."""
        ...

    def on_time(self, ref: LaneRef, state: LaneState, limit: int) -> LaneView:
        """The lane with the first of its tasks that are on time. One read, or two if some have no deadline."""
        ...

    def late(self, view: LaneView, limit: int) -> LaneView:
        """The view with the first of the lane's late tasks. One read."""
        ...

    def limits(self, snapshot: PoolSnapshot, inputs: Sequence[Input], refs: Sequence[LaneRef]) -> PoolSnapshot:
        """The snapshot with the accounts and limits that the inputs and the lanes lean on. One read."""
        ...


def load_heads(store: ItemStore, snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
    """The snapshot with what competes for the slots that are free or freed by the inputs: limits, lanes, heads."""
    return with_heads(StoredLanes(store, snapshot.pool, snapshot.policy, now_ms), snapshot, inputs, now_ms)


def with_heads(lanes: Lanes, snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
    """The same from any source of lanes."""
    waiting = waiting_shapes(snapshot, freed_slots(inputs))
    if not waiting:
        return lanes.limits(snapshot, inputs, ())
    clocks = TierClocks(snapshot.policy, snapshot.tiers)
    looks = [_Look(lanes, shape, min(free, TAKE_MAX), clocks, snapshot, now_ms) for shape, free in waiting]
    snapshot = lanes.limits(snapshot, inputs, [ref for look in looks for ref in look.chosen])
    for look in looks:
        snapshot = look.on_time(snapshot, inputs)
        snapshot = look.late(snapshot, inputs)
    return msgspec.structs.replace(
        snapshot,
        lanes=tuple(view for look in looks for view in look.views.values()),
        capped=tuple(ref for look in looks for ref in look.capped),
    )


class _Look:
    """One kind of work: lanes are looked at until its slots are covered, or no lane is left."""

    def __init__(
        self, lanes: Lanes, shape: ShapeView, take: int, clocks: TierClocks, snapshot: PoolSnapshot, now_ms: int
    ) -> None:
        self._lanes = lanes
        self._shape = shape
        self._take = take
        self._clocks = clocks
        self._policy = snapshot.policy
        self._credit_ms = round(snapshot.policy.urgency_credit_seconds * 1_000)
        self._now_ms = now_ms
        self._owed = [tier for tier in TIERS if shape.lanes.get(tier) and clocks.owed(tier)]
        self._bare: list[Tier] = []  # owed tiers that have nothing on time
        self._all_listed = shape.waiting <= _PAGES[0]
        self._pages = self._by_turn()
        self._page: _States = {}
        self._ready = 0  # lanes whose first task no limit of its tenant keeps
        self._tasks = 0  # the tasks on time in those
        self._late_read: set[LaneRef] = set()
        self.views: dict[LaneRef, LaneView] = {}
        self._capped: dict[LaneRef, None] = {}
        self._elsewhere: set[LaneRef] = set()
        self._claimed = any(agent.claimed for agent in snapshot.agents)
        self.chosen = self._next_chosen()

    @property
    def capped(self) -> list[LaneRef]:
        """Lanes that a limit of their tenant closes, if slots may be left because of that."""
        return list(self._capped) if self._ready < self._take else []

    def on_time(self, snapshot: PoolSnapshot, inputs: Sequence[Input]) -> PoolSnapshot:
        """Read the chosen lanes, and choose more while they do not cover the slots."""
        while True:
            admission = _admission(snapshot, inputs, self._now_ms)
            for ref, state in self._open(self.chosen, admission):
                view = self.views[ref] = self._lanes.on_time(ref, state, self._take + 1)
                if view.on_time and admission.tenant_block(view.on_time[0]) is None:
                    self._ready += 1
                    self._tasks += len(view.on_time)
            if self._ready >= self._take:
                return snapshot
            self.chosen = self._next_chosen()
            if not self.chosen:
                return snapshot
            snapshot = self._lanes.limits(snapshot, (), list(self.chosen))

    def late(self, snapshot: PoolSnapshot, inputs: Sequence[Input]) -> PoolSnapshot:
        """Read late work: of those tiers to which some is owed, and of every tier when slots are left."""
        if self._none_late():
            return snapshot
        for tier in self._late_owed():
            snapshot = self._late_from(snapshot, inputs, (tier,), min(self._take, _OWED_LANES))
        if self._tasks < self._take:
            snapshot = self._late_from(snapshot, inputs, TIERS, self._take - self._tasks)
        return snapshot

    def _none_late(self) -> bool:
        every = len(self.views) >= self._shape.waiting
        return every and all(view.late_complete for view in self.views.values())

    def _open(self, lanes: _States, admission: Admission) -> list[tuple[LaneRef, LaneState]]:
        spent = {ref: None for ref in lanes if admission.spent(ref.tenant_id)}
        self._capped |= spent
        self._elsewhere |= {ref for ref in lanes if self._not_for_these(ref.tenant_id, admission)}
        return [(ref, state) for ref, state in lanes.items() if self._open_lane(ref)]

    def _open_lane(self, ref: LaneRef) -> bool:
        return ref not in self._capped and ref not in self._elsewhere

    def _not_for_these(self, tenant_id: str, admission: Admission) -> bool:
        """Its tenant's mode keeps it from the agents that have slots; or from whoever claims, where somebody does."""
        pushed = self._policy.tenant(tenant_id).route(self._shape.route) is Route.PUSH
        return admission.unreached(tenant_id, self._shape) or (self._claimed and pushed)

    def _by_turn(self) -> Iterator[_States]:
        """The lists to choose from, one after the other, each longer than the one before."""
        first = {} if self._all_listed else self._first_owed()
        if self._take > 1 or not first:
            first |= self._list(keys.BY_TURN, TIERS[0], _PAGES[0])
        if self._all_listed:
            self._bare = [tier for tier in self._owed if all(ref.tier is not tier for ref in first)]
        yield first
        limits = _PAGES[1:] if self._take > 1 or not self._owed else _PAGES
        for limit in () if self._all_listed else limits:
            page = self._list(keys.BY_TURN, TIERS[0], limit)
            yield page
            if len(page) < limit:
                return

    def _first_owed(self) -> _States:
        found: _States = {}
        for tier in self._owed:
            page = self._list(keys.BY_TURN, tier, _PAGES[0])
            own = {ref: state for ref, state in page.items() if ref.tier is tier}
            found |= own
            if not own:
                self._bare.append(tier)
            elif self._take == 1:
                break
        return found

    def _next_chosen(self) -> _States:
        """The next lanes to look at, none when all that are listed were."""
        while True:
            fresh = {ref: state for ref, state in self._page.items() if self._unseen(ref)}
            if fresh:
                chosen = self._first(fresh)
                return {ref: fresh[ref] for ref in chosen} | self._urgent(fresh, chosen)
            page = next(self._pages, None)
            if page is None:
                return {}
            self._page = page

    def _unseen(self, ref: LaneRef) -> bool:
        return ref not in self.views and self._open_lane(ref)

    def _first(self, fresh: _States) -> list[LaneRef]:
        """As many lanes as slots, in the order of tiers and virtual times; beside them the first of owed tiers."""
        ordered = sorted(fresh, key=lambda ref: (RANKS[ref.tier], fresh[ref].turn_tag_ms or 0, ref))
        owed = [ref for tier in self._owed for ref in [r for r in ordered if r.tier is tier][:_OWED_LANES]]
        count = self._take + len(owed) if self._take > 1 else 1
        return list(dict.fromkeys([*owed, *ordered]))[:count]

    def _urgent(self, fresh: _States, chosen: Sequence[LaneRef]) -> _States:
        """The most urgent lanes of the tier that gets the last slot, among those within the credit of its lowest."""
        tier = chosen[-1].tier
        lowest = min(state.turn_tag_ms or 0 for ref, state in fresh.items() if ref.tier is tier)
        known = fresh if self._all_listed else self._list(keys.BY_URGENCY, tier, _PAGES[0])
        close = {
            ref: state
            for ref, state in known.items()
            if ref.tier is tier and ref not in chosen and self._unseen(ref) and self._within(state, lowest)
        }
        ordered = sorted(close, key=lambda ref: (close[ref].urgent_ms or 0, ref))
        stale = [ref for ref in ordered if self._stale(ref.tier, close[ref])]
        lively = [ref for ref in ordered if ref not in stale]
        return {ref: close[ref] for ref in [*stale[:_STALE_MAX], *lively][:LANES_MORE]}

    def _within(self, state: LaneState, lowest_ms: int) -> bool:
        return state.turn_tag_ms is not None and state.turn_tag_ms <= lowest_ms + self._credit_ms

    def _stale(self, tier: Tier, state: LaneState) -> bool:
        behind = state.urgent_ms is not None and state.urgent_ms < self._now_ms
        return behind and not state.undated and self._policy.tier(tier).feasible_first

    def _late_owed(self) -> list[Tier]:
        """Tiers with a task on time that is read, whose late work is owed; and owed tiers that have nothing on time."""
        read = {ref.tier for ref, view in self.views.items() if view.on_time}
        # Listed by a turn that all their tasks have missed by now.
        bare = {*self._bare, *({ref.tier for ref in self.views} & {*self._owed} - read)}
        owed = [tier for tier in TIERS if tier in bare or (tier in read and self._clocks.late_owed(tier))]
        return [tier for tier in owed if self._policy.tier(tier).feasible_first]

    def _late_from(
        self, snapshot: PoolSnapshot, inputs: Sequence[Input], tiers: Sequence[Tier], count: int
    ) -> PoolSnapshot:
        for limit in _PAGES:
            page = self._list(keys.BY_LATE, tiers[0], limit)
            known = page | self._just_late()
            fresh = {ref: state for ref, state in known.items() if ref not in self._late_read and ref.tier in tiers}
            while fresh and count > 0:
                some = dict(list(fresh.items())[:count])
                self._late_read.update(some)
                fresh = {ref: state for ref, state in fresh.items() if ref not in some}
                snapshot = self._lanes.limits(snapshot, (), list(some))
                count -= self._read_late(some, _admission(snapshot, inputs, self._now_ms))
            if count <= 0 or len(page) < limit:
                break
        return snapshot

    def _just_late(self) -> _States:
        """Lanes that were looked at and have late tasks, listed as such or not yet."""
        return {ref: view.state for ref, view in self.views.items() if not view.late_complete}

    def _read_late(self, lanes: _States, admission: Admission) -> int:
        """How many of the lanes have a late task that no limit of its tenant keeps."""
        found = 0
        for ref, state in self._open(lanes, admission):
            unread = LaneView(ref=ref, state=state, on_time_complete=state.turn_tag_ms is None, late_complete=False)
            view = self.views[ref] = self._lanes.late(self.views.get(ref, unread), self._take + 1)
            found += bool(view.late) and admission.tenant_block(view.late[0]) is None
        return found

    def _list(self, index: str, tier: Tier, limit: int) -> _States:
        return self._lanes.listed(self._shape.shape, index, tier, limit)


def _admission(snapshot: PoolSnapshot, inputs: Iterable[Input], now_ms: int) -> Admission:
    """What tenants may have, once what the inputs give back is counted."""
    admission = Admission(snapshot, now_ms)
    for one in inputs:
        if isinstance(one, Releasing):
            admission.release(one)
    return admission
