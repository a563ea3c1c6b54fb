"""Cooperative preemption: which running attempt is asked to yield for which waiting task.

An order frees nothing; the slot comes back when the victim yields or completes, and goes to whoever is first then.
"""

from collections.abc import Collection, Sequence

from pushlane.model.agent import Agent
from pushlane.model.policy import Policy
from pushlane.scheduling.admission import Admission
from pushlane.scheduling.decisions import Preempt
from pushlane.scheduling.entry import RANKS, Entry
from pushlane.scheduling.snapshot import PoolSnapshot, Running


def preemptions(
    snapshot: PoolSnapshot, admission: Admission, now_ms: int, decided: Collection[str] = ()
) -> list[Preempt]:
    """Orders for the waiting tasks that may ask, most urgent first; at most one outstanding for each waiter.

    `decided`: tasks that something else is decided of in this very plan; one whose attempt ends frees its slot unasked.
    """
    rules = snapshot.policy.preemption
    if not rules.enabled or not snapshot.claimants:
        return []
    ordered = {one.order_for for one in snapshot.running if one.order_for is not None}
    able = [one for one in snapshot.running if one.task_id not in decided and _may_yield(snapshot, one)]
    agents = {(agent.pool, agent.agent_id): agent for agent in snapshot.agents}
    orders: list[Preempt] = []
    for waiter in sorted(snapshot.claimants, key=lambda entry: (RANKS[entry.tier], entry.place)):
        if len(orders) == rules.orders_max or waiter.task_id in ordered or waiter.task_id in decided:
            continue
        asks = _asks(waiter, snapshot, admission, now_ms)
        victim = _cheapest(waiter, able, agents, snapshot, now_ms) if asks else None
        if victim is not None:
            able.remove(victim)
            orders.append(Preempt(victim=victim, waiter=waiter))
    return orders


def asks_at_ms(waiter: Entry, snapshot: PoolSnapshot) -> int:
    """From when on the task may ask: at once without a deadline, else when little of its laxity is left."""
    if not waiter.dated:
        return waiter.enqueued_at_ms
    return waiter.start_by_ms - round(snapshot.policy.preemption.laxity_seconds * 1_000)


def _asks(waiter: Entry, snapshot: PoolSnapshot, admission: Admission, now_ms: int) -> bool:
    """It may ask, and a slot is all that it lacks: what yields for a task that cannot run then loses for nothing."""
    if asks_at_ms(waiter, snapshot) > now_ms or (waiter.hard and waiter.late(now_ms)):
        return False
    return admission.lacks_beside_slot(waiter) is None


def _may_yield(snapshot: PoolSnapshot, running: Running) -> bool:
    unasked = running.order_for is None and running.preemptible
    return unasked and running.reservation.tier in snapshot.policy.preemption.victims


def _cheapest(
    waiter: Entry,
    able: Sequence[Running],
    agents: dict[tuple[str, str], Agent],
    snapshot: PoolSnapshot,
    now_ms: int,
) -> Running | None:
    """Of the lowest tier, the attempt that has done least: that is what is lost beyond its last checkpoint at most."""
    fitting = [
        one
        for one in able
        if RANKS[one.reservation.tier] > RANKS[waiter.tier]
        and (agent := agents.get((one.reservation.agent_pool, one.reservation.agent_id))) is not None
        and _takes(agent, waiter, snapshot.policy)
    ]

    def loss(one: Running) -> tuple[int, int, str]:
        return (-RANKS[one.reservation.tier], now_ms - one.reservation.reserved_at_ms, one.task_id)

    return min(fitting, key=loss, default=None)


def _takes(agent: Agent, waiter: Entry, policy: Policy) -> bool:
    """A slot that the agent gets back is one for the waiter: it drains not, and has no more running than slots."""
    route = policy.tenant(waiter.tenant_id).route(waiter.route)
    return agent.accepting and agent.used <= agent.capacity and agent.can_run(waiter.capabilities, route)
