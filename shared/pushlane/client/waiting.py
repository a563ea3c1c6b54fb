"""How long a parked task may still wait: its place, whom it shares with, the bound and an estimate. Reads only."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.ports import ItemStore, Table
from pushlane.scheduling.bounds import Contender, WaitTerms, guaranteed_share, tenant_share, wait_bound_ms
from pushlane.scheduling.decisions import Block, ParkReason
from pushlane.scheduling.entry import RANKS, TIERS, Entry, LaneRef, lane_of
from pushlane.scheduling.fairness import TierClocks
from pushlane.scheduling.reasons import reason_now
from pushlane.scheduling.snapshot import AccountView, LaneState, LaneView, PoolSnapshot, Ready, TierView
from pushlane.state import keys
from pushlane.state.items import attempt_of, lane_state_of
from pushlane.state.loading import load_limits
from pushlane.state.looking import Look, look
from pushlane.state.stored_lanes import StoredLanes

# Tasks of its lane, and lanes of each kind of work, that are looked at one by one; beyond them counts stand for them.
HEADS_MAX: Final = 100
LANES_MAX: Final = 100
_ATTEMPTS_MAX: Final = 250

ASSUMED: Final = (
    "tasks cost what they are estimated at",
    "agents that can run it stay, and can run every kind of work of the pool",
    "no resource, cap or window blocks it",
    "tasks that come later and have to start earlier count as ahead",
    "tenants whose tasks were not read have tasks as large as the largest that was",
)
_OF_TURN: Final = frozenset({ParkReason.CAPACITY, ParkReason.FAIRNESS, ParkReason.PRIORITY, ParkReason.CONTENTION})


class Place(Struct, frozen=True, kw_only=True):
    """Where it stands. `in_lane`: 1 is the lane's next; when it is not exact, at most that. `lanes_before`: lanes of
    its kind of work whose turn is listed before its lane's, at least. `late`: among those that can no longer make their
    deadline, which are served apart.
    """

    in_lane: int
    exact: bool
    lane_depth: int
    lanes_before: int
    late: bool


class Shares(Struct, frozen=True, kw_only=True):
    """Virtual times (milliseconds of cost / weight) and guaranteed shares (0 to 1) that its turn depends on."""

    tenant_virtual_ms: int
    tier_virtual_ms: int
    tier_served_ms: int
    pool_served_ms: int
    tier_below_share: bool
    tier_share: float
    tenant_share: float
    tenants: int
    slots: int


class Wait(Struct, frozen=True, kw_only=True):
    """How long. `bound_ms`: from now, or from when the reason ends by itself, it waits no longer; None when nothing is
    guaranteed. `estimated_start_ms`: Unix milliseconds, if others come no faster than they are served.
    """

    bound_ms: int | None
    latest_start_ms: int | None
    estimated_start_ms: int | None
    assumed: tuple[str, ...] = ASSUMED


class Parked(Struct, frozen=True, kw_only=True):
    """All that is known of a task that waits in its lane."""

    block: Block
    place: Place
    shares: Shares
    wait: Wait


class _Work(Struct, frozen=True, kw_only=True):
    """Cost that is known or taken to go before, and what runs now."""

    ahead_ms: int
    before_ms: int
    others: tuple[Contender, ...]
    running: tuple[Attempt, ...]
    largest_ms: dict[Tier, int]


def parked(store: ItemStore, pool: str, policy: Policy, entry: Entry, now_ms: int) -> Parked:
    """What keeps a task that waits in its lane, and how long. A bounded number of reads, whatever the backlog."""
    return _Reader(store, pool, policy, entry, now_ms).parked()


class _Reader:
    def __init__(self, store: ItemStore, pool: str, policy: Policy, entry: Entry, now_ms: int) -> None:
        self._store = store
        self._pool = pool
        self._policy = policy
        self._entry = entry
        self._now_ms = now_ms
        self._late = policy.tier(entry.tier).feasible_first and entry.late(now_ms)
        seen: Look = look(store, pool, policy, [], now_ms)
        self._planned = seen.planned
        # A due retry leans on just the limits, and the lane, that the waiting task does.
        self._snapshot: PoolSnapshot = load_limits(store, seen.snapshot, [Ready(entry)])
        self._state = self._snapshot.lane_states.get(lane_of(entry), LaneState())
        self._lanes = StoredLanes(store, pool, policy, now_ms)
        self._view = self._own_lane()
        self._listed = self._tier_lanes()

    def parked(self) -> Parked:
        place, work = self._place(), self._work()
        block = reason_now(self._snapshot, self._planned, self._entry, self._now_ms)
        shares = self._shares(work)
        return Parked(block=block, place=place, shares=shares, wait=self._wait(block, work, shares))

    def _own_lane(self) -> LaneView:
        view = self._lanes.on_time(lane_of(self._entry), self._state, HEADS_MAX)
        return view if view.late_complete else self._lanes.late(view, HEADS_MAX)

    def _tier_lanes(self) -> dict[LaneRef, LaneState]:
        """Lanes of the task's tier and of those above, of every kind of work; and its own, wherever it is listed."""
        index = keys.BY_LATE if self._late else keys.BY_TURN
        tiers = [self._entry.tier] if self._late else TIERS[: RANKS[self._entry.tier] + 1]
        found: dict[LaneRef, LaneState] = {}
        for shape in self._snapshot.shapes:
            for tier in (tier for tier in tiers if shape.lanes.get(tier)):
                listed = self._lanes.listed(shape.shape, index, tier, LANES_MAX)
                found |= {ref: state for ref, state in listed.items() if ref.tier is tier}
        return found

    def _queue(self) -> tuple[Entry, ...]:
        return self._view.late if self._late else self._view.on_time

    def _index(self) -> int | None:
        ids = [one.task_id for one in self._queue()]
        return ids.index(self._entry.task_id) if self._entry.task_id in ids else None

    def _place(self) -> Place:
        at, mine = self._index(), _turn(self._state, late=self._late)
        own = lane_of(self._entry)
        above = [ref for ref in self._listed if ref.shape == own.shape and RANKS[ref.tier] < RANKS[own.tier]]
        level = [ref for ref in self._listed if ref.shape == own.shape and ref.tier is own.tier and ref != own]
        sooner = [ref for ref in level if _turn(self._listed[ref], late=self._late) < mine]
        return Place(
            in_lane=max(1, self._state.depth) if at is None else at + 1,
            exact=at is not None,
            lane_depth=self._state.depth,
            lanes_before=len(above) + len(sooner),
            late=self._late,
        )

    def _work(self) -> _Work:
        running = self._running()
        largest = self._largest(running)
        own, weight = lane_of(self._entry), self._policy.tenant(self._entry.tenant_id).weight
        level = {ref: state for ref, state in self._listed.items() if ref.tier is own.tier}
        ahead_ms = self._ahead_ms(largest[own.tier])
        others = {ref.tenant_id for ref in level} - {own.tenant_id}
        mean_ms = self._mean_ms()
        before_ms = ahead_ms + sum(s.depth * mean_ms for ref, s in self._listed.items() if ref.tier is not own.tier)
        for tenant_id in others:
            waiting_ms = sum(state.depth * mean_ms for ref, state in level.items() if ref.tenant_id == tenant_id)
            before_ms += min(waiting_ms, round(ahead_ms * self._policy.tenant(tenant_id).weight / weight))
        unread = max(0, sum(shape.lanes.get(own.tier, 0) for shape in self._snapshot.shapes) - len(level) - 1)
        default = self._policy.default_tenant.weight
        weights = [self._policy.tenant(one).weight for one in sorted(others)] + [default] * unread
        contenders = tuple(Contender(weight=one, largest_ms=largest[own.tier]) for one in weights)
        return _Work(
            ahead_ms=ahead_ms, before_ms=before_ms, others=contenders, running=running, largest_ms=largest
        )  # fmt: skip

    def _ahead_ms(self, largest_ms: int) -> int:
        """Cost of its tenant's tasks of the tier before it: those read at theirs, all others at the largest."""
        at = self._index()
        before = self._queue() if at is None else self._queue()[:at]
        unread = self._state.depth - len(before) - 1 if at is None else 0
        late = () if self._late else self._view.late
        return sum(one.cost_ms for one in (*before, *late)) + (max(0, unread) + self._siblings()) * largest_ms

    def _siblings(self) -> int:
        """Tasks that its tenant has waiting in the tier for other kinds of work: they share its virtual time."""
        own = lane_of(self._entry)
        refs = [
            LaneRef(shape=shape.shape, tier=own.tier, tenant_id=own.tenant_id)
            for shape in self._snapshot.shapes
            if shape.shape != own.shape and shape.lanes.get(own.tier)
        ]
        found = self._store.get([keys.lane_key(self._pool, ref) for ref in refs[:LANES_MAX]]) if refs else {}
        return sum(lane_state_of(item.attributes).depth for item in found.values())

    def _seen(self) -> list[Entry]:
        read = [one for view in self._snapshot.lanes for one in (*view.on_time, *view.late)]
        return [self._entry, *self._view.on_time, *self._view.late, *read]

    def _mean_ms(self) -> int:
        costs = [one.cost_ms for one in self._seen()]
        return sum(costs) // len(costs)

    def _largest(self, running: Sequence[Attempt]) -> dict[Tier, int]:
        costs = [(one.tier, one.cost_ms) for one in self._seen()]
        costs += [(one.tier, one.reservation.cost_ms) for one in running]
        largest = dict.fromkeys(Tier, self._entry.cost_ms)
        for tier, cost_ms in costs:
            largest[tier] = max(largest[tier], cost_ms)
        return largest

    def _running(self) -> tuple[Attempt, ...]:
        able = {(one.pool, one.agent_id) for one in self._snapshot.agents if self._may_get_it(one)}
        found = [
            attempt_of(item)
            for bucket in range(keys.ATTEMPT_BUCKETS)
            for item in self._store.query(Table.ATTEMPTS, keys.attempt_pk(self._pool, bucket), limit=_ATTEMPTS_MAX)
        ]
        return tuple(one for one in found if (one.reservation.agent_pool, one.agent_id) in able)

    def _shares(self, work: _Work) -> Shares:
        tier, tenant_id = self._entry.tier, self._entry.tenant_id
        account = self._snapshot.accounts.get((tier, tenant_id), AccountView())
        clocks, view = TierClocks(self._policy, self._snapshot.tiers), self._snapshot.tiers.get(tier, TierView())
        return Shares(
            tenant_virtual_ms=account.late_virtual_ms if self._late else account.virtual_ms,
            tier_virtual_ms=view.late_virtual_ms if self._late else view.virtual_ms,
            tier_served_ms=view.served_ms,
            pool_served_ms=clocks.served_ms,
            tier_below_share=clocks.owed(tier),
            tier_share=guaranteed_share(self._policy, tier),
            tenant_share=tenant_share(self._tenant(work), work.others),
            tenants=len(work.others) + 1,
            slots=self._slots(),
        )

    def _slots(self) -> int:
        """That its tenant may use at once."""
        agents = [one for one in self._snapshot.agents if one.accepting and self._may_get_it(one)]
        return sum(one.slots for one in agents)

    def _may_get_it(self, agent: Agent) -> bool:
        route = self._policy.tenant(self._entry.tenant_id).route(self._entry.route)
        return agent.can_run(self._entry.capabilities, route)

    def _tenant(self, work: _Work) -> Contender:
        weight = self._policy.tenant(self._entry.tenant_id).weight
        return Contender(weight=weight, largest_ms=work.largest_ms[self._entry.tier])

    def _wait(self, block: Block, work: _Work, shares: Shares) -> Wait:
        from_ms = max(self._now_ms, block.until_ms or 0)
        # What only others can end, and is no matter of turns, has no bound of its own.
        bounded = block.reason in _OF_TURN or block.until_ms is not None
        bound_ms = wait_bound_ms(self._policy, self._terms(work, shares)) if bounded else None
        return Wait(
            bound_ms=bound_ms,
            latest_start_ms=None if bound_ms is None else from_ms + bound_ms,
            estimated_start_ms=self._estimated_ms(block, work, shares.slots),
        )

    def _terms(self, work: _Work, shares: Shares) -> WaitTerms:
        view = self._snapshot.tiers.get(self._entry.tier, TierView())
        return WaitTerms(
            tier=self._entry.tier,
            slots=shares.slots,
            tenant=self._tenant(work),
            others=work.others,
            ahead_ms=work.ahead_ms,
            lead_ms=max(0, shares.tenant_virtual_ms - shares.tier_virtual_ms),
            tier_lead_ms=max(0, view.share_clock_ms - shares.pool_served_ms),
            late_lead_ms=max(0, view.late_clock_ms - view.served_ms),
            largest_ms=work.largest_ms,
            longest_runtime_ms=max(work.largest_ms.values()),
            late=self._late,
        )

    def _estimated_ms(self, block: Block, work: _Work, slots: int) -> int | None:
        """When the slots that it may use have done what runs and what goes before."""
        if slots == 0 or (block.reason is ParkReason.RATE and block.until_ms is None):
            return None
        from_ms = max(self._now_ms, block.until_ms or 0)
        if block.reason is ParkReason.CONTENTION:
            return from_ms
        left = [self._left_ms(one) for one in work.running]
        first_ms = min(left) if len(left) >= slots else 0
        return from_ms + max(first_ms, (work.before_ms + sum(left)) // slots if work.before_ms else first_ms)

    def _left_ms(self, attempt: Attempt) -> int:
        return max(0, attempt.dispatched_at_ms + attempt.reservation.cost_ms - self._now_ms)


def _turn(state: LaneState, *, late: bool) -> int:
    """The virtual time under which a lane is listed; one that is not listed comes last."""
    tag_ms = state.late_tag_ms if late else state.turn_tag_ms
    return 2**63 if tag_ms is None else tag_ms
