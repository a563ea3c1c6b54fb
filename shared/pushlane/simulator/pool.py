"""The policy `pushlane`: the product's own `plan`, over lanes that are held in memory.

A snapshot is made by the loader's own choice of lanes and heads.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from pushlane.model.agent import Agent
from pushlane.model.attempt import Outcome, OutcomeKind, Reservation, Usage
from pushlane.model.endpoint import sqs
from pushlane.model.policy import Policy, Rate, TenantPolicy
from pushlane.model.task import DEFAULT_POOL, Door, Source, Task, Tier
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Decision, Dispatch, Drop, FromLane, Park, Plan, ended_of
from pushlane.scheduling.entry import Entry, cost_ms, lane_of
from pushlane.scheduling.plan import plan
from pushlane.scheduling.rates import drawn
from pushlane.scheduling.snapshot import (
    AccountRef,
    AccountView,
    Arrival,
    Finished,
    Input,
    PoolSnapshot,
    ResourceView,
    TenantView,
    TierView,
    held_by,
)
from pushlane.simulator.lanes import SimulatedLanes
from pushlane.simulator.run import Decided
from pushlane.simulator.setting import Setting
from pushlane.simulator.tasks import SimTask
from pushlane.state.heads import with_heads

_SUCCEEDED: Final = OutcomeKind.SUCCEEDED


class SimulatedPool:
    """All pools of a setting, each with its own lanes and clocks; tenants and resources are shared by all."""

    def __init__(self, setting: Setting, tasks: Sequence[SimTask], policy: Policy | None = None) -> None:
        self._setting = setting
        self._policy = _with_setting(policy or Policy(), setting)
        self._pools = {
            pool.name: _Pool(pool.name, _agents(pool.name, pool.slots, pool.agents), self._policy)
            for pool in setting.pools
        }
        self._shared = _Shared(self._policy)
        self._running: dict[int, tuple[str, Reservation, int]] = {}
        self._wake_ms: dict[str, int] = {}
        self._tasks: dict[str, SimTask] = {}

    def next_wake_ms(self) -> int | None:
        return min(self._wake_ms.values(), default=None)

    def decide(self, arrivals: Sequence[SimTask], finished: Sequence[SimTask], now_ms: int) -> Decided:
        for name in [name for name, at in self._wake_ms.items() if at <= now_ms]:
            del self._wake_ms[name]
        inputs: dict[str, list[Input]] = {name: [] for name in self._pools}
        for done in finished:
            pool, reservation, began_ms = self._running.pop(done.number)
            inputs[pool].append(_finished(done, reservation, began_ms, now_ms))
        for task in arrivals:
            self._tasks[task.task_id] = task
            inputs[task.pool].append(_arrival(task, self._policy, now_ms))
        start: list[SimTask] = []
        drop: list[SimTask] = []
        # What one pool frees of a shared limit, another may have waited for.
        for name in sorted(self._pools, key=lambda one: not inputs[one]):
            if inputs[name] or self._pools[name].lanes:
                self._turn(name, inputs[name], now_ms, start, drop)
        return Decided(start=start, drop=drop)

    def _turn(self, name: str, inputs: list[Input], now_ms: int, start: list[SimTask], drop: list[SimTask]) -> None:
        """Rounds, as a turn makes them: it looks again while it takes tasks from lanes."""
        pending = inputs
        while True:
            planned = self._round(name, pending, now_ms)
            made = [one for one in planned.decisions if isinstance(one, Dispatch | Drop)]
            start += [self._tasks[one.entry.task_id] for one in made if isinstance(one, Dispatch)]
            drop += [self._tasks[one.entry.task_id] for one in made if isinstance(one, Drop)]
            if not any(isinstance(one.origin, FromLane) for one in made) or not self._pools[name].free:
                break
            pending = []
        dues = [block.until_ms for _, block in planned.blocks if block.until_ms is not None]
        if dues:
            self._wake_ms[name] = max(now_ms + 1, min(dues))

    def _round(self, name: str, inputs: Sequence[Input], now_ms: int) -> Plan:
        pool = self._pools[name]
        snapshot = pool.snapshot(self._shared, inputs, now_ms)
        planned = plan(snapshot, inputs, now_ms)
        books = Books(snapshot, now_ms)
        for decision in planned.decisions:
            books.add(decision)
            pool.apply(decision)
            if isinstance(decision, Dispatch):
                number = self._tasks[decision.entry.task_id].number
                self._running[number] = (name, decision.reservation, now_ms)
        pool.keep(books)
        self._shared.keep(books, now_ms)
        return planned


class _Shared:
    """Tenants' limits and resources."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.tenants: dict[str, TenantView] = {}
        self.resources = {
            (name, shard): ResourceView(name=name, shard=shard)
            for name, rule in policy.resources.items()
            for shard in range(rule.shards if isinstance(rule, Rate) else 1)
        }

    def keep(self, books: Books, now_ms: int) -> None:
        for tenant_id, tenant in books.tenants.items():
            before = self.tenants.get(tenant_id, TenantView())
            self.tenants[tenant_id] = TenantView(in_flight=before.in_flight + tenant.in_flight)
        for ref, change in books.resources.items():
            view, now_us = self.resources[ref], now_ms * 1_000
            tat_us = max(view.tat_us - change.refund_us, min(view.tat_us, now_us))
            if change.draw_us:
                tat_us = drawn(tat_us, now_us, change.draw_us)
            self.resources[ref] = msgspec.structs.replace(view, tat_us=tat_us, used=view.used + change.used)


class _Pool:
    def __init__(self, name: str, agents: Sequence[Agent], policy: Policy) -> None:
        self.name = name
        self.policy = policy
        self.agents = {agent.agent_id: agent for agent in agents}
        self.lanes = SimulatedLanes(policy)
        self.tiers: dict[Tier, TierView] = {}
        self.accounts: dict[AccountRef, AccountView] = {}

    def snapshot(self, shared: _Shared, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
        """What a turn would have read."""
        arriving = {lane_of(one.entry) for one in inputs if isinstance(one, Arrival)}
        snapshot = PoolSnapshot(
            pool=self.name,
            agents=tuple(self.agents.values()),
            policy=self.policy,
            shapes=self.lanes.shapes,
            lane_states={ref: state for ref in arriving if (state := self.lanes.state(ref)) is not None},
            tiers=self.tiers,
            accounts=self.accounts,
            tenants=shared.tenants,
            resources=tuple(shared.resources.values()),
        )
        self.lanes.settle_at(now_ms)
        return with_heads(self.lanes, snapshot, inputs, now_ms)

    @property
    def free(self) -> int:
        return sum(agent.slots - agent.used for agent in self.agents.values())

    def apply(self, decision: Decision) -> None:
        if isinstance(decision, Park):
            self.lanes.add(decision.entry)
        elif isinstance(decision, Dispatch | Drop) and isinstance(decision.origin, FromLane):
            self.lanes.take(decision.entry)
        if isinstance(decision, Dispatch):
            self._use(decision.agent_id, 1)
        elif (ended := ended_of(decision)) is not None:
            self._use(held_by(ended).agent_id, -1)

    def _use(self, agent_id: str, slots: int) -> None:
        agent = self.agents[agent_id]
        self.agents[agent_id] = msgspec.structs.replace(agent, used=agent.used + slots)

    def keep(self, books: Books) -> None:
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


def _agents(pool: str, slots: int, count: int) -> list[Agent]:
    return [
        Agent(
            agent_id=f"agent-{number}",
            pool=pool,
            capabilities=frozenset({"task"}),
            slots=slots // count + (number < slots % count),
            endpoint=sqs("simulated"),
        )
        for number in range(count)
    ]


def _with_setting(policy: Policy, setting: Setting) -> Policy:
    """The policy with the setting's rates and caps in it."""
    rates = {rate.name: Rate(per_minute=rate.tokens_per_minute, burst=rate.burst_tokens) for rate in setting.rates}
    caps = {tenant: TenantPolicy(in_flight_max=cap) for tenant, cap in setting.caps.items()}
    return msgspec.structs.replace(policy, resources=policy.resources | rates, tenants=policy.tenants | caps)


def _arrival(task: SimTask, policy: Policy, now_ms: int) -> Arrival:
    entry = Entry(
        task_id=task.task_id,
        tenant_id=task.tenant,
        task_type=task.task_type,
        tier=task.tier,
        capabilities=("task",),
        enqueued_at_ms=now_ms,
        start_by_ms=task.start_by_ms - task.downstream_ms,
        runtime_ms=task.estimate_ms,
        dated=True,
        tokens=task.tokens_estimate,
        cost_ms=cost_ms(task.estimate_ms, task.tokens_estimate, policy),
        resources=tuple(sorted(task.charges)),
        unblocks=task.unblocks,
    )
    return Arrival(_unsaid(task), entry)


def _unsaid(task: SimTask) -> Task:
    """The task itself; the plan reads its entry, and only whether it overflowed already of this."""
    return Task(
        task_id=task.task_id,
        tenant_id=task.tenant,
        task_type=task.task_type,
        capabilities=("task",),
        payload={},
        source=Source(door=Door.SQS, source_id=task.task_id),
        body_digest="",
        accepted_at_ms=task.ready_ms,
        pool=task.pool or DEFAULT_POOL,
        tier=task.tier,
    )


def _finished(task: SimTask, reservation: Reservation, began_ms: int, now_ms: int) -> Finished:
    usage = Usage(tokens=task.tokens, resources=dict.fromkeys((name for name, _ in task.charges), task.tokens))
    outcome = Outcome(kind=_SUCCEEDED, started_at_ms=began_ms, finished_at_ms=now_ms, usage=usage)
    return Finished(task.task_id, 1, "simulated", reservation, outcome)
