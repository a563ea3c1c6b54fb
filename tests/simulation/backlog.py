"""One pool under a virtual clock: the product's `plan`, its choice of lanes and its books, over lanes in memory.

Everything that the bounds speak of is recorded: who was served when, and where the clocks stood when a task parked.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.endpoint import sqs
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Dispatch, FromLane, Park, ended_of
from pushlane.scheduling.entry import Entry, lane_of
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import (
    AccountRef,
    AccountView,
    Arrival,
    Finished,
    Input,
    LaneState,
    PoolSnapshot,
    TierView,
)
from pushlane.simulator.lanes import SimulatedLanes
from pushlane.state.heads import with_heads
from tests.unit.values import a_task

START_MS: Final = 10_000_000
_TURNS_MAX: Final = 5_000


class Work(Struct, frozen=True, kw_only=True):
    """One task: when it comes, and how much later it has to start (below zero: it comes too late)."""

    number: int
    tenant_id: str
    tier: Tier
    cost_ms: int
    arrives_ms: int = 0
    laxity_ms: int = 10**9


class Served(Struct, frozen=True, kw_only=True):
    """A dispatch, with the tenants' virtual times and the tiers' clocks as they were at the task's arrival."""

    work: Work
    started_ms: int
    waited: bool
    late: bool
    accounts: Mapping[AccountRef, AccountView] = {}
    tiers: Mapping[Tier, TierView] = {}
    backlog: frozenset[tuple[Tier, str]] = frozenset()


class Backlog:
    """`served`: in order of dispatch."""

    def __init__(self, policy: Policy, slots: int, works: Sequence[Work]) -> None:
        self.policy = policy
        self.works = {f"t-{work.number:04d}": work for work in works}
        self.agent = Agent(agent_id="one", capabilities=frozenset({"work"}), slots=slots, endpoint=sqs("simulated"))
        self.lanes = SimulatedLanes(policy)
        self.tiers: dict[Tier, TierView] = {}
        self.accounts: dict[AccountRef, AccountView] = {}
        self.waiting: dict[str, Served] = {}
        self.served: list[Served] = []
        self._running: list[tuple[int, int, Finished]] = []
        self.now_ms = START_MS

    def run(self) -> list[Served]:
        coming = sorted(self.works.values(), key=lambda work: (work.arrives_ms, work.number), reverse=True)
        for _ in range(_TURNS_MAX):
            times = [START_MS + coming[-1].arrives_ms] if coming else []
            times += [self._running[0][0]] if self._running else []
            if not times:
                assert not self.waiting, f"these wait beside free slots: {sorted(self.waiting)}"
                return self.served
            self.now_ms = min(times)
            inputs: list[Input] = []
            while self._running and self._running[0][0] <= self.now_ms:
                inputs.append(heapq.heappop(self._running)[2])
            while coming and START_MS + coming[-1].arrives_ms <= self.now_ms:
                inputs.append(self._arrival(coming.pop()))
            self._turn(inputs)
        raise AssertionError("the backlog never ends")

    def _turn(self, inputs: Sequence[Input]) -> None:
        while self._round(inputs):
            inputs = ()

    def _round(self, inputs: Sequence[Input]) -> bool:
        snapshot = self._snapshot(inputs)
        decisions = plan(snapshot, inputs, self.now_ms).decisions
        books = Books(snapshot, self.now_ms)
        for decision in decisions:
            books.add(decision)
            if isinstance(decision, Park):
                self.lanes.add(decision.entry)
            elif isinstance(decision, Dispatch):
                self._start(decision)
            elif ended_of(decision) is not None:
                self._use(-1)
        self._keep(books)
        for decision in decisions:
            if isinstance(decision, Park):
                self._park(decision.entry)
        taken = any(isinstance(one, Dispatch) and isinstance(one.origin, FromLane) for one in decisions)
        return (taken or bool(inputs)) and self.agent.free > 0 and bool(self.lanes)

    def _snapshot(self, inputs: Sequence[Input]) -> PoolSnapshot:
        refs = {lane_of(one.entry) for one in inputs if isinstance(one, Arrival)}
        states: dict[Any, LaneState] = {ref: state for ref in refs if (state := self.lanes.state(ref)) is not None}
        snapshot = PoolSnapshot(
            pool="default",
            agents=(self.agent,),
            policy=self.policy,
            shapes=tuple(msgspec.structs.replace(shape, capabilities=("work",)) for shape in self.lanes.shapes),
            lane_states=states,
            tiers=dict(self.tiers),
            accounts=dict(self.accounts),
        )
        self.lanes.settle_at(self.now_ms)
        return with_heads(self.lanes, snapshot, inputs, self.now_ms)

    def _start(self, made: Dispatch) -> None:
        task_id = made.entry.task_id
        if isinstance(made.origin, FromLane):
            self.lanes.take(made.entry)
        self._use(1)
        work = self.works[task_id]
        before = self.waiting.pop(task_id, None) or Served(work=work, started_ms=0, waited=False, late=False)
        self.served.append(msgspec.structs.replace(before, started_ms=self.now_ms, late=made.reservation.late))
        ends_ms = self.now_ms + work.cost_ms
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=self.now_ms, finished_at_ms=ends_ms)
        finished = Finished(task_id, 1, "run", made.reservation, outcome)
        heapq.heappush(self._running, (ends_ms, work.number, finished))

    def _park(self, entry: Entry) -> None:
        work = self.works[entry.task_id]
        backlog = frozenset((one.work.tier, one.work.tenant_id) for one in self.waiting.values())
        self.waiting[entry.task_id] = Served(
            work=work,
            started_ms=0,
            waited=True,
            late=False,
            accounts=dict(self.accounts),
            tiers=dict(self.tiers),
            backlog=backlog | {(work.tier, work.tenant_id)},
        )

    def _use(self, slots: int) -> None:
        self.agent = msgspec.structs.replace(self.agent, used=self.agent.used + slots)
        assert 0 <= self.agent.used <= self.agent.slots

    def _keep(self, books: Books) -> None:
        for ref, account in books.accounts.items():
            self.accounts[ref] = AccountView(
                virtual_ms=account.virtual.after,
                late_virtual_ms=account.late_virtual.after,
                uncharged_ms=account.uncharged.after,
                charged_ms=account.charged.after,
            )
        for tier, change in books.tiers.items():
            self.tiers[tier] = TierView(
                virtual_ms=change.virtual.after,
                late_virtual_ms=change.late_virtual.after,
                served_ms=change.served.after,
                share_clock_ms=change.share_clock.after,
                late_clock_ms=change.late_clock.after,
            )
        self.lanes.relist(self.accounts)

    def _arrival(self, work: Work) -> Arrival:
        task = a_task(work.number, tenant_id=work.tenant_id, tier=work.tier, accepted_at_ms=self.now_ms)
        entry = Entry(
            task_id=task.task_id,
            tenant_id=work.tenant_id,
            task_type="work",
            tier=work.tier,
            capabilities=("work",),
            enqueued_at_ms=self.now_ms,
            start_by_ms=self.now_ms + work.laxity_ms,
            runtime_ms=work.cost_ms,
            dated=True,
            cost_ms=work.cost_ms,
        )
        return Arrival(task, entry)
