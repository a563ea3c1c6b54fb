"""Agents that are there, or are not: heartbeats that come, stay away and come again; and agents that start nothing.

An agent that is found unavailable gets nothing more, and what it runs goes to others at once, fenced by its lease: an
attempt that lives after all, and has said so meanwhile, is left alone.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import Attempt
from pushlane.model.errors import InvalidEvent, TurnContended
from pushlane.ports import ConditionFailed, Item, ItemStore, Table, TransactionCancelled, Write
from pushlane.router.duties import take_turn
from pushlane.router.push import Pusher
from pushlane.router.release import BATCH_MAX
from pushlane.router.turn import Turn, TurnPorts
from pushlane.router.wake_later import wake_later
from pushlane.scheduling.snapshot import Ended, Input, LeaseExpired, RetryState, end_of
from pushlane.state import health, keys
from pushlane.state.items import agent_of, attempt_of, optional_number
from pushlane.state.loading import Duty, load_retry_states

_TRIES_MAX: Final = 5
_ATTEMPTS_MAX: Final = 10_000


def heard(ports: TurnPorts, pusher: Pusher, pool: str, agent_id: str) -> str:
    """A heartbeat has come; says what that changed. Raises `InvalidEvent` for an agent that should send none."""
    for attempt_number in range(_TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        now_ms = ports.clock.now_ms()
        try:
            ports.store.write(health.beat(pool, agent_id, now_ms))
            return "heard"
        except ConditionFailed as refused:
            agent = _beating(refused.item)
        if agent.heartbeat_at_ms is not None and agent.heartbeat_at_ms > now_ms:
            return "late"
        wake_later(ports, pool)
        if _transacted(ports, health.bring_back(agent, now_ms)):
            take_turn(ports, pusher, Turn(ports, pusher, pool), [])
            return "available" if agent.status is AgentStatus.UNAVAILABLE else "watched"
    raise TurnContended(f"agent {pool}/{agent_id} changed faster than its heartbeat could be taken; deliver again")


def _beating(item: Item | None) -> Agent:
    if item is None or "status" not in item.attributes:
        raise InvalidEvent("$.data.agent_id", "the pool has no agent of this id; register it first", "unknown_agent")
    agent = agent_of(item)
    if agent.heartbeat_ms is None:
        reason = "the agent is not registered with heartbeat_seconds, so its heartbeats mean nothing"
        raise InvalidEvent("$.data.agent_id", reason, "no_heartbeats")
    return agent


def look_after(ports: TurnPorts, pusher: Pusher, duty: Duty) -> Sequence[Duty]:
    """A heartbeat may be missing: see that somebody looks again, or take the agent out and give its work to others."""
    pool, agent_id = duty.pool, duty.subject_id
    for attempt_number in range(_TRIES_MAX):
        if attempt_number:
            ports.back_off(attempt_number)
        now_ms = ports.clock.now_ms()
        agent = _watched(ports.store, duty)
        if agent is None:
            return ()
        lives_until_ms = (agent.heartbeat_at_ms or 0) + (agent.heartbeat_ms or 0)
        if lives_until_ms > now_ms:
            if _transacted(ports, health.watch_on(agent, duty.due_ms, lives_until_ms)):
                return ()
        elif agent.status is not AgentStatus.ACTIVE or _transacted(ports, health.take_out(agent, duty.due_ms, now_ms)):
            return _redispatched(ports, pusher, pool, agent_id)
    raise TurnContended(f"agent {pool}/{agent_id} changed faster than it could be looked after; deliver again")


def _watched(store: ItemStore, duty: Duty) -> Agent | None:
    """The agent, if this duty is the one that watches it."""
    key = keys.agent_key(duty.pool, duty.subject_id)
    found = store.get([key]).get(key)
    if found is None or optional_number(found.attributes, "watched_ms") != duty.due_ms:
        return None
    return agent_of(found)


def _redispatched(ports: TurnPorts, pusher: Pusher, pool: str, agent_id: str) -> list[Duty]:
    """End all that the agent runs, for whatever pool."""
    duties: list[Duty] = []
    for of_pool in _borrowers(ports, pool):
        attempts = list(_attempts(ports.store, of_pool, pool, agent_id))
        for first in range(0, len(attempts), BATCH_MAX):
            turn = Turn(ports, pusher, of_pool)
            turn.run(_ends(ports, attempts[first : first + BATCH_MAX]))
            duties += turn.duties
    return duties


def _ends(ports: TurnPorts, attempts: Sequence[Attempt]) -> list[Input]:
    refs = [(attempt.task_id, attempt.epoch) for attempt in attempts]
    states = load_retry_states(ports.store, refs, ports.policies.current())
    known = [(attempt, states.get((attempt.task_id, attempt.epoch))) for attempt in attempts]
    return [_end(attempt, state) for attempt, state in known if state is not None]


def _end(attempt: Attempt, state: RetryState) -> Ended:
    over = end_of(attempt, state)
    return LeaseExpired(attempt, state, agent_gone=True) if isinstance(over, LeaseExpired) else over


def _borrowers(ports: TurnPorts, pool: str) -> list[str]:
    """The pools that run tasks on this one's agents."""
    rules = ports.policies.current().pools
    return [pool, *(name for name in sorted(rules) if rules[name].overflow_pool == pool)]


def _attempts(store: ItemStore, of_pool: str, agent_pool: str, agent_id: str) -> Iterator[Attempt]:
    for bucket in range(keys.ATTEMPT_BUCKETS):
        for item in store.query(Table.ATTEMPTS, keys.attempt_pk(of_pool, bucket), limit=_ATTEMPTS_MAX):
            if item.attributes.get("agent_id") == agent_id:
                attempt = attempt_of(item)
                if attempt.reservation.agent_pool == agent_pool:
                    yield attempt


def look_at_starts(
    ports: TurnPorts, pusher: Pusher, agents: Iterable[Item], running: Collection[tuple[str, str]]
) -> None:
    """What a sweep does for agents that start nothing: once they have cooled down they are on trial, and one that runs
    a task then is an agent like any other.
    """
    now_ms = ports.clock.now_ms()
    for agent in map(agent_of, agents):
        cooled = agent.cools_until_ms is not None and agent.cools_until_ms <= now_ms
        if agent.status is AgentStatus.UNAVAILABLE and cooled:
            changed = _transacted(ports, health.try_again(agent, now_ms))
        elif agent.status is AgentStatus.ACTIVE and agent.on_trial and (agent.pool, agent.agent_id) in running:
            changed = _transacted(ports, [health.trusted(agent)])
        else:
            continue
        if changed:
            take_turn(ports, pusher, Turn(ports, pusher, agent.pool), [])


def _transacted(ports: TurnPorts, operations: Sequence[Write]) -> bool:
    """False: what it was decided on has changed."""
    try:
        ports.store.transact(operations, ports.new_token())
    except TransactionCancelled:
        return False
    return True
