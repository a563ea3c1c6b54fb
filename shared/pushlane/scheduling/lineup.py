"""Whose turn it is: tier, then lane, then task, among everything that could run now."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from pushlane.model.mode import Route
from pushlane.model.task import Tier
from pushlane.scheduling.admission import Admission
from pushlane.scheduling.decisions import Block, Dispatch, Drop, FromLane, Origin, ParkReason
from pushlane.scheduling.entry import Entry, LaneRef, lane_of
from pushlane.scheduling.fairness import TenantClocks, TierClocks
from pushlane.scheduling.score import score
from pushlane.scheduling.snapshot import LaneView, PoolSnapshot

# An attempt that has not started by then is pushed again. Above an SQS hop plus a cold start by a wide margin.
START_LEASE_MS: Final = 30_000


def start_lease_ms(ends_at_ms: int | None, now_ms: int) -> int:
    """Until when an attempt that was pushed has to start; no lease reaches beyond its hard end."""
    lease_until_ms = now_ms + START_LEASE_MS
    return lease_until_ms if ends_at_ms is None else min(lease_until_ms, ends_at_ms)


# Blocks that hold for every task of the lane's shape, and those that hold for its whole tenant.
_OF_AGENTS: Final = frozenset({ParkReason.CAPACITY, ParkReason.CLAIM, ParkReason.NO_AGENT})
_OF_SHAPE: Final = _OF_AGENTS | {ParkReason.RATE}

Waiting = tuple[Entry, Origin]
_FROM_LANE: Final = FromLane()


class _Lane:
    """A lane's tasks that compete now, the next one last in each list."""

    def __init__(self, ref: LaneRef) -> None:
        self.ref = ref
        self.tier = ref.tier
        self.on_time: list[Waiting] = []
        self.late: list[Waiting] = []
        self.scored: tuple[str, float] | None = None
        self.marked: Route | None = None

    def add(self, waiting: Iterable[Waiting], now_ms: int, feasible_first: bool) -> None:
        for one in waiting:
            self.marked = one[0].route  # the same of all, as their shape is
            behind = feasible_first and one[0].late(now_ms)
            (self.late if behind else self.on_time).append(one)
        for queue in (self.on_time, self.late):
            if len(queue) > 1:
                queue.sort(key=_place, reverse=True)


def _place(waiting: Waiting) -> tuple[int, int, str]:
    return waiting[0].place


def _queue(lane: _Lane, late: bool) -> list[Waiting]:
    return lane.late if late else lane.on_time


class Lineup:
    """Everything that competes for capacity in one plan: heads of lanes, due retries and arrivals together."""

    def __init__(
        self,
        snapshot: PoolSnapshot,
        arrived: Sequence[Waiting],
        admission: Admission,
        tenants: TenantClocks,
        now_ms: int,
        gone: Collection[str] = (),
    ) -> None:
        self._gone = gone
        self._snapshot = snapshot
        self._policy = snapshot.policy
        self._admission = admission
        self._tenants = tenants
        self._shares = TierClocks(snapshot.policy, snapshot.tiers)
        self._now_ms = now_ms
        self._credit_ms = round(snapshot.policy.urgency_credit_seconds * 1_000)
        self._waits = {tier for shape in snapshot.shapes for tier, count in shape.lanes.items() if count > 0}
        self._tiers: dict[Tier, list[_Lane]] = {}
        self.blocks: dict[LaneRef, Block] = {}
        self.expired: list[Drop] = []
        self._stand(arrived)

    def dispatches(self) -> list[Dispatch]:
        """Who runs now, in order; afterwards `blocks` says what keeps each other lane, `expired` what came too late."""
        made: list[Dispatch] = []
        while (dispatched := self._serve()) is not None:
            made.append(dispatched)
        return made

    def _stand(self, arrived: Sequence[Waiting]) -> None:
        by_lane: dict[LaneRef, list[Waiting]] = {}
        for one in arrived:
            by_lane.setdefault(lane_of(one[0]), []).append(one)
        for ref in self._snapshot.capped:
            if (block := self._admission.spent_block(ref.tenant_id)) is not None:
                self.blocks[ref] = block
        for view in self._snapshot.lanes:
            more = by_lane.pop(view.ref, [])
            self._line_up(view.ref, [*self._parked(view), *self._not_beyond(view, more)])
        for ref, waiting in by_lane.items():
            state = self._snapshot.lane_states.get(ref)
            if state is not None and state.depth > 0:  # its own lane's tasks go before, and were not even read
                self.blocks[ref] = self._out_of_reach(waiting[0][0]) or Block(ParkReason.FAIRNESS)
            else:
                self._line_up(ref, waiting)

    def _out_of_reach(self, entry: Entry) -> Block | None:
        """Why its lane was not read, if that is its tenant's mode."""
        return None if self._admission.route(entry) is None else self._admission.agent_block(entry)

    def _parked(self, view: LaneView) -> list[Waiting]:
        return [(one, _FROM_LANE) for one in (*view.on_time, *view.late) if one.task_id not in self._gone]

    def _not_beyond(self, view: LaneView, more: Sequence[Waiting]) -> list[Waiting]:
        """Those that would not overtake tasks of their own lane which were not read."""
        feasible_first = self._policy.tier(view.ref.tier).feasible_first
        kept = []
        for one in more:
            late = feasible_first and one[0].late(self._now_ms)
            read, complete = (view.late, view.late_complete) if late else (view.on_time, view.on_time_complete)
            if complete or (read and one[0].place < read[-1].place):
                kept.append(one)
        return kept

    def _line_up(self, ref: LaneRef, waiting: Sequence[Waiting]) -> None:
        lane = _Lane(ref)
        lane.add(waiting, self._now_ms, self._policy.tier(lane.tier).feasible_first)
        self._tiers.setdefault(lane.tier, []).append(lane)

    def _serve(self) -> Dispatch | None:
        """The next dispatch: a tier's late work while it is below its part; then what is on time, tier by tier; then
        what is late, which uses only what all others leave.
        """
        for late in (False, True):
            open_tiers = {tier for tier in self._tiers if self._open(tier, late)}
            while open_tiers:
                tier = self._shares.first(open_tiers)
                first = not late and self._late_first(tier) and self._serve_from(tier, late=True)
                made = first or self._serve_from(tier, late=late)
                if made:
                    return made
                open_tiers.discard(tier)  # all that is left of it is blocked
        return None

    def _open(self, tier: Tier, late: bool) -> bool:
        """A tier that has only late work still gets its guaranteed share beside other tiers' work on time."""
        if self._has(tier, late):
            return True
        return not late and self._shares.owed(tier) and self._has(tier, late=True)

    def _late_first(self, tier: Tier) -> bool:
        return self._shares.late_owed(tier) or not self._has(tier, late=False)

    def _has(self, tier: Tier, late: bool) -> bool:
        return any(_queue(lane, late) for lane in self._tiers[tier])

    def _serve_from(self, tier: Tier, *, late: bool) -> Dispatch | None:
        while (lane := self._next(tier, late)) is not None:
            entry, origin = _queue(lane, late)[-1]
            if entry.hard and entry.late(self._now_ms):
                _queue(lane, late).pop()
                self.expired.append(Drop(entry=entry, origin=origin))
                continue
            block = self._admission.can_admit(entry)
            if block is None:
                _queue(lane, late).pop()
                return self._dispatch(entry, origin, tier, late)
            self._block(tier, lane, block)
        return None

    def _next(self, tier: Tier, late: bool) -> _Lane | None:
        """The lane whose turn it is: of those within the credit of the lowest tag, the one with the best head.

        A lead costs score in proportion to the credit that it takes, so a head has to be worth its lead: between heads
        that are equally good the lowest tag goes first, however old the others are.
        """
        able = [lane for lane in self._tiers[tier] if _queue(lane, late)]
        if not able:
            return None
        tag = self._tenants.late_tag if late else self._tenants.tag
        tags = [tag(tier, lane.ref.tenant_id) for lane in able]
        lowest = min(tags)
        if not late and tier in self._waits:
            self._tenants.raise_floor(tier, [lane.ref.tenant_id for lane in able])
        if len(able) == 1:
            return able[0]
        credit_ms = max(1, self._credit_ms)
        leads = [(lane, at - lowest) for lane, at in zip(able, tags, strict=True) if at - lowest <= self._credit_ms]
        worth = [(self._score(lane, late) - lead / credit_ms, -lead, lane) for lane, lead in leads]
        return max(worth, key=lambda one: (one[0], one[1], one[2].ref))[2]

    def _score(self, lane: _Lane, late: bool) -> float:
        entry = _queue(lane, late)[-1][0]
        if lane.scored is None or lane.scored[0] != entry.task_id:
            affinity = self._admission.affinity(entry.capabilities)
            lane.scored = (entry.task_id, score(entry, affinity, self._policy.score, self._now_ms))
        return lane.scored[1]

    def _dispatch(self, entry: Entry, origin: Origin, tier: Tier, late: bool) -> Dispatch:
        charged = tier in self._waits
        start_tag_ms = self._tenants.tag(tier, entry.tenant_id)
        reservation, handed_from = self._admission.reserve(entry, charged=charged, late=late)
        if charged:
            self._tenants.charge(entry, late=late)
        else:
            self._tenants.in_flight(entry)
        if self._waits:
            self._shares.charge(tier, entry.cost_ms, late=late)
        return Dispatch(
            entry=entry,
            epoch=entry.epoch if entry.runner is not None else entry.epoch + 1,
            reservation=reservation,
            lease_until_ms=start_lease_ms(entry.ends_at_ms, self._now_ms),
            origin=origin,
            start_tag_ms=start_tag_ms,
            floor_tag_ms=self._tenants.floor(tier),
            handed_from=handed_from,
        )

    def _route(self, lane: _Lane) -> Route | None:
        return self._policy.tenant(lane.ref.tenant_id).route(lane.marked)

    def _block(self, tier: Tier, lane: _Lane, block: Block) -> None:
        """Take out of the line-up what the block holds for: every lane of the shape, or of the tenant."""
        if block.reason in _OF_SHAPE:
            route = self._route(lane) if block.reason in _OF_AGENTS else None
            alike = [one for one in self._tiers[tier] if one.ref.shape == lane.ref.shape]
            gone = [one for one in alike if route is None or self._route(one) is route]
        else:
            gone = [one for one in self._tiers[tier] if one.ref.tenant_id == lane.ref.tenant_id]
        for one in gone:
            self.blocks.setdefault(one.ref, block)
            one.on_time.clear()
            one.late.clear()
