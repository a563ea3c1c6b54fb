"""Both ways side by side, by tenant: what the polling fleet was measured at, what pollers claim, what is pushed, and
what pushing would have done with what was claimed.

Of Pushlane's own tasks the latest that ended are read, up to a bound, and told apart by the agent that ran them.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from pushlane.migrate.figures import percentiles
from pushlane.migrate.kept import kept
from pushlane.migrate.modes import TenantMode, agents_of, mode_of, modes_of
from pushlane.migrate.shadow import Seen, ShadowAgent, plan_beside
from pushlane.model.agent import Agent
from pushlane.model.mode import Route
from pushlane.model.policy import Policy
from pushlane.ports import Attributes, ItemStore, Table, TaskListing
from pushlane.state import keys
from pushlane.state.items import number, optional_number, shape_of_item, task_of, text
from pushlane.state.keys import TENANT_BUCKETS, bucket_of
from pushlane.state.loading import load_task_items
from pushlane.state.pools import registered_pools
from pushlane.telemetry.reading import summaries
from pushlane.telemetry.report import Percentiles, Summary

# So many tasks of a tenant are read at most, the latest; what is planned beside them is about the same ones.
TASKS_MAX: Final = 500
_ITEMS_MAX: Final = 10_000

POLLED_BEFORE: Final = "polled before"
CLAIMED: Final = "claimed"
PUSHED: Final = "pushed"
PLANNED: Final = "planned"


class Way(Struct, frozen=True, kw_only=True):
    """One way that tasks of a tenant went: `polled before` (as instrumented), `claimed`, `pushed`, or `planned`: what
    pushing would have done with those that were claimed. `source`: who measured it, of what was polled before.
    """

    way: str
    tasks: int
    pickup: Percentiles
    deadlines_met: int
    deadlines_missed: int
    empty_polls_per_hour: float | None = None
    source: str | None = None


class TenantStatus(Struct, frozen=True, kw_only=True):
    """One tenant on its way. `waiting`: tasks in its lanes now. `measured`: all of its tasks in the period."""

    tenant_id: str
    mode: str | None
    push_percent: int | None
    waiting: int
    ways: tuple[Way, ...]
    measured: Summary | None = None


class Moving(Struct, frozen=True, kw_only=True):
    """The whole of it, between two times (Unix milliseconds). `agent_slots` are there for
    what is pushed, `poller_slots` for what is claimed, in all pools.
    """

    from_ms: int
    to_ms: int
    agent_slots: int
    poller_slots: int
    tenants: tuple[TenantStatus, ...]


class _Ran(Struct, frozen=True, kw_only=True):
    seen: Seen
    route: Route | None


def status_of(
    store: ItemStore,
    listing: TaskListing,
    policy: Policy,
    *,
    tenants: Sequence[str],
    from_ms: int,
    to_ms: int,
    planned_slots: int | None = None,
) -> Moving:
    """The state of the move. Without `tenants`: those that have a mode. What is planned goes to the agents that are
    pushed to now; `planned_slots` plans with one agent of so many slots instead. Raises `StoreUnavailable`.
    """
    names = list(tenants) or [one.tenant_id for one in modes_of(policy)]
    agents, waiting = agents_of(store), _waiting(store)
    routes = {(agent.pool, agent.agent_id): agent.route for agent in agents}
    ran = {name: _ran(store, listing, name, routes, from_ms, to_ms) for name in names}
    shadow = _shadow_agents(agents, planned_slots)
    began = _planned([one for some in ran.values() for one in some], shadow, policy)
    return Moving(
        from_ms=from_ms,
        to_ms=to_ms,
        agent_slots=sum(one.slots for one in agents if one.accepting and one.route is Route.PUSH),
        poller_slots=sum(one.slots for one in agents if one.accepting and one.route is Route.PULL),
        tenants=tuple(
            TenantStatus(
                tenant_id=name,
                mode=_word(mode_of(policy, name)),
                push_percent=policy.tenant(name).push_percent,
                waiting=waiting.get(name, 0),
                ways=(*_before(store, name), *_ways(ran[name], began)),
                measured=next(iter(summaries(store, from_ms=from_ms, to_ms=to_ms, tenant_id=name)), None),
            )
            for name in names
        ),
    )


def _word(mode: TenantMode) -> str | None:
    return None if mode.mode is None else mode.mode.value


def _before(store: ItemStore, tenant_id: str) -> list[Way]:
    return [
        Way(
            way=POLLED_BEFORE,
            tasks=one.tenant.tasks,
            pickup=one.tenant.pickup,
            deadlines_met=one.tenant.deadlines_met,
            deadlines_missed=one.tenant.deadlines_missed,
            empty_polls_per_hour=one.polls.empty_per_hour,
            source=one.source,
        )
        for one in kept(store, tenant_id)
    ]


def _ways(ran: Sequence[_Ran], began: Mapping[str, int]) -> list[Way]:
    claimed = [one.seen for one in ran if one.route is Route.PULL]
    pushed = [one.seen for one in ran if one.route is Route.PUSH]
    ways = [_way(CLAIMED, [(one, one.picked_at_ms) for one in claimed])] if claimed else []
    ways += [_way(PUSHED, [(one, one.picked_at_ms) for one in pushed])] if pushed else []
    planned = [(one, began[one.ref]) for one in claimed if one.ref in began]
    return [*ways, _way(PLANNED, planned)] if planned else ways


def _way(name: str, tasks: Sequence[tuple[Seen, int]]) -> Way:
    dated = [(one, at_ms) for one, at_ms in tasks if one.deadline_ms is not None]
    missed = sum(one.late(at_ms) for one, at_ms in dated)
    return Way(
        way=name,
        tasks=len(tasks),
        pickup=percentiles(max(0, at_ms - one.enqueued_at_ms) for one, at_ms in tasks),
        deadlines_met=len(dated) - missed,
        deadlines_missed=missed,
    )


def _planned(ran: Sequence[_Ran], agents: Sequence[ShadowAgent], policy: Policy) -> dict[str, int]:
    """The plan is made of everything, pushed or claimed: they compete."""
    if not agents or not any(one.route is Route.PULL for one in ran):
        return {}
    tasks = sorted((one.seen for one in ran), key=lambda one: (one.enqueued_at_ms, one.ref))
    return plan_beside(tasks, agents, policy)


def _shadow_agents(agents: Iterable[Agent], planned_slots: int | None) -> list[ShadowAgent]:
    if planned_slots is not None:
        return [ShadowAgent(agent_id="planned", slots=planned_slots)]
    return [
        ShadowAgent(
            agent_id=f"{one.pool}.{one.agent_id}", slots=one.slots, capabilities=tuple(sorted(one.capabilities))
        )
        for one in agents
        if one.accepting and one.route is Route.PUSH
    ]


def _ran(
    store: ItemStore,
    listing: TaskListing,
    tenant_id: str,
    routes: Mapping[tuple[str, str], Route],
    from_ms: int,
    to_ms: int,
) -> list[_Ran]:
    buckets = [
        listing.newest(bucket_of(tenant_id, bucket), since_ms=from_ms, until_ms=to_ms, limit=TASKS_MAX)
        for bucket in range(TENANT_BUCKETS)
    ]
    newest = heapq.merge(*buckets, key=lambda one: -one.accepted_at_ms)
    ids = [one.task_id for one in islice(newest, TASKS_MAX)]
    items = load_task_items(store, ids)
    return [one for task_id in ids if task_id in items and (one := _ran_one(items[task_id], routes)) is not None]


def _ran_one(stored: Attributes, routes: Mapping[tuple[str, str], Route]) -> _Ran | None:
    """A task that was run to an end; by which way, as far as its agent is still known."""
    started, finished = optional_number(stored, "started_at_ms"), optional_number(stored, "finished_at_ms")
    if started is None or finished is None or "agent_id" not in stored:
        return None
    task = task_of(stored)
    seen = Seen(
        task_id=task.task_id,
        tenant_id=task.tenant_id,
        task_type=task.task_type,
        tier=task.tier.value,
        enqueued_at_ms=task.accepted_at_ms,
        picked_at_ms=started,
        run_ms=max(1, finished - started),
        deadline_ms=task.deadline_ms,
        capabilities=task.capabilities,
    )
    agent_id = text(stored, "agent_id")
    elsewhere = {route for (_, name), route in routes.items() if name == agent_id}
    route = routes.get((task.pool, agent_id)) or (elsewhere.pop() if len(elsewhere) == 1 else None)
    return _Ran(seen=seen, route=route)


def _waiting(store: ItemStore) -> dict[str, int]:
    """Tasks in the lanes of each tenant."""
    found: dict[str, int] = {}
    for pool in registered_pools(store):
        items = store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=_ITEMS_MAX)
        for shape in [shape_of_item(item) for item in items if item.key.sk.startswith(keys.SHAPE_PREFIX)]:
            for lane in store.query(Table.SCHEDULER, keys.lanes_pk(pool, shape.shape), limit=_ITEMS_MAX):
                tenant_id = lane.key.sk.partition("#")[2]
                found[tenant_id] = found.get(tenant_id, 0) + number(lane.attributes, "depth")
    return found
