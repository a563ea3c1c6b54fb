"""Admission: whether everything that an attempt needs is there, and taking it, all or nothing.

A ledger of one plan over the snapshot. What it hands out is checked again by the commit, against the stored limits.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pushlane.model.agent import Agent
from pushlane.model.attempt import Hold, Reservation
from pushlane.model.mode import Route
from pushlane.model.policy import Rate, SlotsOf, TenantPolicy
from pushlane.scheduling.decisions import Block, ParkReason
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.rates import drawn, gcra, gcra_of
from pushlane.scheduling.settlement import settlement
from pushlane.scheduling.snapshot import (
    PoolSnapshot,
    Releasing,
    ResourceView,
    ShapeView,
    TenantView,
    ended_task_id,
    held_by,
)
from pushlane.scheduling.windows import day_of, month_of, next_day_ms, next_month_ms, tokens_by_window

AgentRef = tuple[str, str]
_NO_TENANT: Final = TenantView()


def _over(hard: int | None, used: int, more: int = 0) -> bool:
    """A spent budget admits nothing, not even what is estimated at no tokens."""
    return hard is not None and (used >= hard or used + more > hard)


class _Tenant:
    """What a limited tenant has used, as the plan goes on."""

    def __init__(self, view: TenantView, now_ms: int) -> None:
        self.in_flight = view.in_flight
        self.rate_tat_us = view.rate_tat_us
        self.day_tokens = view.day_tokens if view.day == day_of(now_ms) else 0
        self.month_tokens = view.month_tokens if view.month == month_of(now_ms) else 0


class Admission:
    """Free slots, tenants' limits and shared resources while a plan is made: local to one call of `plan`."""

    def __init__(self, snapshot: PoolSnapshot, now_ms: int) -> None:
        self._policy = snapshot.policy
        self._now_ms = now_ms
        self._home = snapshot.pool
        self.agents: dict[AgentRef, Agent] = {(a.pool, a.agent_id): a for a in snapshot.agents}
        # Signed: an agent whose slots were lowered below what it runs takes nothing until enough is released.
        self.free = {ref: agent.offered() for ref, agent in self.agents.items() if agent.accepting}
        self._handoffs: dict[AgentRef, list[str]] = {}
        self._able: dict[tuple[tuple[str, ...], Route | None], list[AgentRef]] = {}
        self._views: Mapping[str, TenantView] = snapshot.tenants
        self._tenants: dict[str, _Tenant] = {}
        self._shards: dict[str, list[ResourceView]] = {}
        for view in snapshot.resources:
            self._shards.setdefault(view.name, []).append(view)
        self._closed: dict[str, Block] = {}

    def release(self, ended: Releasing) -> None:
        """What an attempt gives back is there for the rest of the plan."""
        held = held_by(ended)
        ref = (held.agent_pool, held.agent_id)
        if ref in self.free and held.slots and self.agents[ref].endpoint.pushed:
            self.free[ref] += held.slots
            self._handoffs.setdefault(ref, []).append(ended_task_id(ended))
        settled = settlement(ended, self._policy, self._now_ms)
        if held.counted:
            tenant = self._tenant(held.tenant_id)
            tenant.in_flight -= 1
            day, month = tokens_by_window(settled.tokens, held.reserved_at_ms, self._now_ms)
            tenant.day_tokens += day
            tenant.month_tokens += month
        for hold in held.holds:
            if hold.slots and isinstance(self._policy.resources.get(hold.resource), SlotsOf):
                self._change(hold.resource, hold.shard, used=-hold.amount)
        for hold, draw_us in settled.draws_us:
            if draw_us > 0:  # debt counts at once; what is refunded is there for the next plan
                self._change(hold.resource, hold.shard, draw_us=draw_us)

    def close(self, ref: AgentRef) -> None:
        """The agent gets nothing more."""
        self.free.pop(ref, None)

    def affinity(self, capabilities: tuple[str, ...]) -> float:
        """How exactly the best free agent fits: 1 when it can do nothing else."""
        fits = [len(self.agents[ref].capabilities) for ref in self._able_agents(capabilities) if self.free[ref] > 0]
        return len(capabilities) / min(fits) if fits else 0.0

    def known(self, capabilities: tuple[str, ...]) -> bool:
        """Whether any agent of the pool, free or not, has the capabilities."""
        return bool(self._able_agents(capabilities))

    def route(self, entry: Entry) -> Route | None:
        """The way that the task's tenant leaves it; None: any."""
        return self._policy.tenant(entry.tenant_id).route(entry.route)

    def unreached(self, tenant_id: str, shape: ShapeView) -> bool:
        """The tenant's mode leaves its work of this kind no agent with a free slot."""
        route = self._policy.tenant(tenant_id).route(shape.route)
        return route is not None and not self._any_free(shape.capabilities, route)

    def spent(self, tenant_id: str) -> bool:
        """The tenant can have nothing now, whatever it asks for."""
        return self.spent_block(tenant_id) is not None

    def spent_block(self, tenant_id: str) -> Block | None:
        """What keeps a tenant from having anything: its cap is reached, its rate used up, or a budget exceeded."""
        rules = self._policy.tenant(tenant_id)
        return self._limits_block(rules, self._tenant(tenant_id), tokens=0) if rules.limited else None

    def tenant_block(self, entry: Entry) -> Block | None:
        """What a limit of its tenant has against the task."""
        rules = self._policy.tenant(entry.tenant_id)
        return self._limits_block(rules, self._tenant(entry.tenant_id), entry.tokens) if rules.limited else None

    def budget_spent_until_ms(self, tenant_id: str) -> int | None:
        """When the window ends whose hard token budget the tenant has used up; None when it has tokens left."""
        rules = self._policy.tenant(tenant_id)
        if not rules.limited:
            return None
        tenant = self._tenant(tenant_id)
        if _over(rules.tokens_per_month.hard, tenant.month_tokens):
            return next_month_ms(self._now_ms)
        return next_day_ms(self._now_ms) if _over(rules.tokens_per_day.hard, tenant.day_tokens) else None

    def can_admit(self, entry: Entry) -> Block | None:
        """What keeps the task from running now; None: `reserve` will succeed."""
        if (block := self.agent_block(entry)) is not None:
            return block
        return self.lacks_beside_slot(entry)

    def agent_block(self, entry: Entry) -> Block | None:
        """What agents lack that may get the task."""
        route = self.route(entry)
        if not self._able_agents(entry.capabilities, route):
            return Block(ParkReason.NO_AGENT)
        if self._any_free(entry.capabilities, route):
            return None
        return Block(ParkReason.CLAIM if route is Route.PULL else ParkReason.CAPACITY)

    def lacks_beside_slot(self, entry: Entry) -> Block | None:
        """What would keep the task from running even if an agent had a slot for it."""
        return self.tenant_block(entry) or self._resource_block(entry)

    def reserve(self, entry: Entry, *, charged: bool, late: bool) -> tuple[Reservation, str | None]:
        """Take everything; also names the ended task whose slot it is, if one was handed on. Ask `can_admit` first."""
        able = [one for one in self._able_agents(entry.capabilities, self.route(entry)) if self.free[one] > 0]
        ref = min(able, key=lambda one: (one[1] in entry.avoid, self._load(one)))
        self.free[ref] -= 1
        handed = self._handoffs.get(ref)
        rules = self._policy.tenant(entry.tenant_id)
        if rules.limited:
            self._charge_tenant(entry, rules)
        holds = tuple(self._draw(name, amount) for name, amount in entry.resources if name in self._policy.resources)
        reservation = Reservation(
            agent_id=ref[1],
            agent_pool=ref[0],
            tenant_id=entry.tenant_id,
            tier=entry.tier,
            reserved_at_ms=self._now_ms,
            cost_ms=entry.cost_ms,
            tokens=entry.tokens,
            weight_milli=round(rules.weight * 1_000),
            charged=charged,
            late=late,
            home_pool=entry.home_pool,
            counted=rules.limited,
            tells=entry.tells,
            holds=holds,
        )
        return reservation, handed.pop(0) if handed else None

    def _able_agents(self, capabilities: tuple[str, ...], route: Route | None = None) -> list[AgentRef]:
        able = self._able.get((capabilities, route))
        if able is None:
            able = [r for r, agent in self.agents.items() if r in self.free and agent.can_run(capabilities, route)]
            self._able[capabilities, route] = able
        return able

    def _any_free(self, capabilities: tuple[str, ...], route: Route | None) -> bool:
        return any(self.free[ref] > 0 for ref in self._able_agents(capabilities, route))

    def _load(self, ref: AgentRef) -> tuple[bool, float, int, str]:
        # The pool's own first, then the least loaded; among equals the most specialised, so that generalists stay free.
        agent = self.agents[ref]
        return (ref[0] != self._home, -self.free[ref] / agent.slots, len(agent.capabilities), ref[1])

    def _tenant(self, tenant_id: str) -> _Tenant:
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = _Tenant(self._views.get(tenant_id, _NO_TENANT), self._now_ms)
            self._tenants[tenant_id] = tenant
        return tenant

    def _limits_block(self, rules: TenantPolicy, tenant: _Tenant, tokens: int) -> Block | None:
        if rules.in_flight_max is not None and tenant.in_flight >= rules.in_flight_max:
            return Block(ParkReason.TENANT_QUOTA)
        if rules.tasks_per_minute is not None:
            rate = gcra(rules.tasks_per_minute, rules.task_burst or rules.tasks_per_minute)
            at_us = rate.admits_at_us(tenant.rate_tat_us, 1)
            if at_us > self._now_ms * 1_000:
                return Block(ParkReason.TENANT_QUOTA, -(-at_us // 1_000))
        return self._budget_block(rules, tenant, tokens)

    def _budget_block(self, rules: TenantPolicy, tenant: _Tenant, tokens: int) -> Block | None:
        month, day = rules.tokens_per_month.hard, rules.tokens_per_day.hard
        if _over(month, tenant.month_tokens, tokens):
            return Block(ParkReason.WINDOW, next_month_ms(self._now_ms))
        if _over(day, tenant.day_tokens, tokens):
            return Block(ParkReason.WINDOW, next_day_ms(self._now_ms))
        return None

    def _charge_tenant(self, entry: Entry, rules: TenantPolicy) -> None:
        tenant = self._tenant(entry.tenant_id)
        tenant.in_flight += 1
        tenant.day_tokens += entry.tokens
        tenant.month_tokens += entry.tokens
        if rules.tasks_per_minute is not None:
            rate = gcra(rules.tasks_per_minute, rules.task_burst or rules.tasks_per_minute)
            tenant.rate_tat_us = drawn(tenant.rate_tat_us, self._now_ms * 1_000, rate.time_of(1))

    def _resource_block(self, entry: Entry) -> Block | None:
        for name, amount in entry.resources:
            if name in self._policy.resources and (block := self._blocked(name, amount)) is not None:
                # Closed for the rest of the plan: whoever comes later must not eat what the first one waits for.
                self._closed[name] = block
                return block
        return None

    def _blocked(self, name: str, amount: int) -> Block | None:
        if name in self._closed:
            return self._closed[name]
        rule, shards = self._policy.resources[name], self._state(name)
        paused_ms = max(shard.paused_until_ms for shard in shards)
        if paused_ms > self._now_ms:
            return Block(ParkReason.RATE, paused_ms, name)
        if isinstance(rule, SlotsOf):
            fits = shards[0].used + amount <= rule.slots or (amount > rule.slots and shards[0].used == 0)
            return None if fits else Block(ParkReason.RATE, None, name)
        rate = gcra_of(rule)
        at_us = min(rate.admits_at_us(shard.tat_us, amount) for shard in shards)
        return None if at_us <= self._now_ms * 1_000 else Block(ParkReason.RATE, -(-at_us // 1_000), name)

    def _draw(self, name: str, amount: int) -> Hold:
        rule = self._policy.resources[name]
        if isinstance(rule, SlotsOf):
            self._change(name, 0, used=amount)
            return Hold(name, amount, slots=True)
        shard = min(self._state(name), key=lambda one: one.tat_us).shard
        self._change(name, shard, draw_us=gcra_of(rule).time_of(amount))
        return Hold(name, amount, shard)

    def _state(self, name: str) -> Sequence[ResourceView]:
        shards = self._shards.get(name)
        if shards is None:
            rule = self._policy.resources[name]
            count = rule.shards if isinstance(rule, Rate) else 1
            shards = [ResourceView(name=name, shard=number) for number in range(count)]
            self._shards[name] = shards
        return shards

    def _change(self, name: str, shard: int, *, used: int = 0, draw_us: int = 0) -> None:
        views = self._shards[name] = list(self._state(name))
        for at, view in enumerate(views):
            if view.shard == shard:
                tat_us = drawn(view.tat_us, self._now_ms * 1_000, draw_us) if draw_us else view.tat_us
                views[at] = ResourceView(
                    name=name,
                    shard=shard,
                    tat_us=tat_us,
                    used=view.used + used,
                    paused_until_ms=view.paused_until_ms,
                )
