"""A pool's lanes in the store: the lists of them, and the tasks in each, a few at a time."""

from collections.abc import Sequence

import msgspec

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.ports import ItemStore, Table
from pushlane.scheduling.entry import Entry, LaneRef
from pushlane.scheduling.snapshot import Input, LaneState, LaneView, PoolSnapshot
from pushlane.state import keys
from pushlane.state.items import entry_of_item, lane_state_of
from pushlane.state.loading import load_limits


class StoredLanes:
    """Each call is one query, but that of a lane in which some have a deadline and some have none: that is two."""

    def __init__(self, store: ItemStore, pool: str, policy: Policy, now_ms: int) -> None:
        self._store = store
        self._pool = pool
        self._policy = policy
        self._now_ms = now_ms

    def listed(self, shape: str, index: str, tier: Tier, limit: int) -> dict[LaneRef, LaneState]:
        """Up to `limit` lanes of a list, lowest first, from the first of the tier on."""
        start = keys.index_start(tier)
        items = self._store.query(
            Table.SCHEDULER, keys.lanes_pk(self._pool, shape), index=index, limit=limit, start=start
        )
        return {keys.lane_ref(shape, item.key): lane_state_of(item.attributes) for item in items}

    def on_time(self, ref: LaneRef, state: LaneState, limit: int) -> LaneView:
        """The lane with the first of its tasks that are on time. Whether it has late ones is told by the counts."""
        feasible_first = self._policy.tier(ref.tier).feasible_first
        undated = self._entries(ref, "A#", limit) if state.undated else []
        start = keys.dated_from(self._now_ms if feasible_first else 0)
        dated_depth = state.depth - state.undated
        dated = self._entries(ref, start, limit) if dated_depth > 0 else []
        on_time = sorted((*undated, *dated), key=lambda entry: entry.place)[:limit]
        all_read = len(undated) < limit and len(dated) < limit
        some_late = feasible_first and (state.late_tag_ms is not None or len(dated) < min(limit, dated_depth))
        return LaneView(
            ref=ref,
            state=state,
            on_time=tuple(on_time),
            on_time_complete=all_read and len(undated) + len(dated) == len(on_time),
            late_complete=not some_late,
        )

    def late(self, view: LaneView, limit: int) -> LaneView:
        """The view with the first of the lane's late tasks."""
        entries = self._entries(view.ref, keys.dated_from(0), limit)
        late = tuple(entry for entry in entries if entry.late(self._now_ms))
        return msgspec.structs.replace(view, late=late, late_complete=len(late) < limit)

    def limits(self, snapshot: PoolSnapshot, inputs: Sequence[Input], refs: Sequence[LaneRef]) -> PoolSnapshot:
        """The snapshot with the accounts and limits that the inputs and the lanes lean on."""
        return load_limits(self._store, snapshot, inputs, refs)

    def _entries(self, ref: LaneRef, start: str, limit: int) -> list[Entry]:
        items = self._store.query(Table.SCHEDULER, keys.queue_pk(self._pool, ref), limit=limit, start=start)
        return [entry_of_item(item) for item in items if item.key.sk[0] == start[0]]
