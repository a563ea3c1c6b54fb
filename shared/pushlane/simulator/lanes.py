"""The lanes of a simulated pool, listed and read as those in the store are: a simulation chooses as a turn does.

A lane is listed anew when it was looked at or changed, not before: what has become late since stands where it stood.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.entry import RANKS, Entry, LaneRef, lane_of
from pushlane.scheduling.snapshot import (
    AccountRef,
    AccountView,
    Input,
    LaneState,
    LaneView,
    PoolSnapshot,
    ShapeView,
)
from pushlane.state import keys

_Placed = tuple[tuple[int, int, str], Entry]
_Listed = tuple[int, int, LaneRef]
_NEW: Final = AccountView()


class _Lane:
    """One lane: what can make its deadline and what cannot, each in order of place."""

    def __init__(self, feasible_first: bool) -> None:
        self.feasible_first = feasible_first
        self.on_time: list[_Placed] = []
        self.late: list[_Placed] = []
        self.state = LaneState()

    def __len__(self) -> int:
        return len(self.on_time) + len(self.late)

    def take(self, entry: Entry) -> None:
        for queue in (self.on_time, self.late):
            at = bisect_left(queue, (entry.place,))
            if at < len(queue) and queue[at][1].task_id == entry.task_id:
                del queue[at]
                return
        raise KeyError(entry.task_id)

    def settle(self, now_ms: int) -> None:
        """What has become late since goes to the late ones, as its key range says on its own in the store."""
        if not self.feasible_first:
            return
        at = 0
        while at < len(self.on_time) and self.on_time[at][1].start_by_ms < now_ms:
            if self.on_time[at][1].dated:
                insort(self.late, self.on_time.pop(at))
            else:
                at += 1

    def new_state(self, account: AccountView) -> LaneState:
        return LaneState(
            depth=len(self),
            turn_tag_ms=max(0, account.virtual_ms) if self.on_time else None,
            urgent_ms=max(0, self.on_time[0][1].start_by_ms) if self.on_time else None,
            late_tag_ms=max(0, account.late_virtual_ms) if self.late else None,
        )


class SimulatedLanes:
    """All lanes of one pool. As a source of heads (`pushlane.state.heads.Lanes`) it is as of the last `settle_at`."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lanes: dict[LaneRef, _Lane] = {}
        self._lists: dict[tuple[str, str], list[_Listed]] = {}
        self._shapes: dict[str, ShapeView] = {}
        self._moved: set[LaneRef] = set()
        self._now_ms = 0

    def __bool__(self) -> bool:
        return bool(self._lanes)

    @property
    def shapes(self) -> tuple[ShapeView, ...]:
        return tuple(self._shapes.values())

    def state(self, ref: LaneRef) -> LaneState | None:
        lane = self._lanes.get(ref)
        return None if lane is None else lane.state

    def settle_at(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def add(self, entry: Entry) -> None:
        ref = lane_of(entry)
        lane = self._lanes.get(ref)
        if lane is None:
            lane = self._lanes[ref] = _Lane(self._policy.tier(ref.tier).feasible_first)
            self._count(ref, 1)
        insort(lane.on_time, (entry.place, entry))
        self._moved.add(ref)

    def take(self, entry: Entry) -> None:
        ref = lane_of(entry)
        self._lanes[ref].take(entry)
        self._moved.add(ref)

    def relist(self, accounts: Mapping[AccountRef, AccountView]) -> None:
        """List anew every lane that was looked at or changed since, as a turn's commit does."""
        for ref in self._moved:
            lane = self._lanes[ref]
            lane.settle(self._now_ms)
            before, lane.state = lane.state, lane.new_state(accounts.get((ref.tier, ref.tenant_id), _NEW))
            self._move(ref, keys.BY_TURN, before.turn_tag_ms, lane.state.turn_tag_ms)
            self._move(ref, keys.BY_URGENCY, before.urgent_ms, lane.state.urgent_ms)
            self._move(ref, keys.BY_LATE, before.late_tag_ms, lane.state.late_tag_ms)
            if not lane:
                del self._lanes[ref]
                self._count(ref, -1)
        self._moved.clear()

    def listed(self, shape: str, index: str, tier: Tier, limit: int) -> dict[LaneRef, LaneState]:
        """See `Lanes.listed`."""
        places = self._lists.get((shape, index), [])
        first = bisect_left(places, (RANKS[tier],))
        return {ref: self._lanes[ref].state for _, _, ref in places[first : first + limit]}

    def on_time(self, ref: LaneRef, state: LaneState, limit: int) -> LaneView:
        """See `Lanes.on_time`."""
        lane = self._lanes[ref]
        lane.settle(self._now_ms)
        self._moved.add(ref)
        on_time = tuple(entry for _, entry in lane.on_time[:limit])
        return LaneView(
            ref=ref,
            state=state,
            on_time=on_time,
            on_time_complete=len(lane.on_time) < limit,
            late_complete=not lane.late,
        )

    def late(self, view: LaneView, limit: int) -> LaneView:
        """See `Lanes.late`."""
        lane = self._lanes[view.ref]
        lane.settle(self._now_ms)
        self._moved.add(view.ref)
        late = tuple(entry for _, entry in lane.late[:limit])
        return msgspec.structs.replace(view, late=late, late_complete=len(lane.late) < limit)

    def limits(self, snapshot: PoolSnapshot, inputs: Sequence[Input], refs: Sequence[LaneRef]) -> PoolSnapshot:
        """A simulation's snapshot has them all from the start."""
        return snapshot

    def _move(self, ref: LaneRef, index: str, before: int | None, after: int | None) -> None:
        if before == after:
            return
        places = self._lists.setdefault((ref.shape, index), [])
        if before is not None:
            del places[bisect_left(places, (RANKS[ref.tier], before, ref))]
        if after is not None:
            insort(places, (RANKS[ref.tier], after, ref))

    def _count(self, ref: LaneRef, change: int) -> None:
        shape = self._shapes.get(ref.shape, ShapeView(shape=ref.shape, capabilities=()))
        counts = {**shape.lanes, ref.tier: shape.lanes.get(ref.tier, 0) + change}
        counts = {tier: count for tier, count in counts.items() if count > 0}
        self._shapes[ref.shape] = msgspec.structs.replace(shape, lanes=counts)
        if not counts:
            del self._shapes[ref.shape]
