"""Claims: an agent that is not pushed to asks for work, and the same turn that pushes to others gives it some.

Idempotent by its id: a claim whose answer was lost is answered with the same attempts again, as long as nobody has
started them. What no claim has started within its start lease goes to whichever claim of the agent comes next.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.errors import InvalidEvent
from pushlane.ports import ItemStore
from pushlane.router.duties import take_turn
from pushlane.router.push import Addressed, Pusher
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.claiming import Claim
from pushlane.scheduling.decisions import Decision
from pushlane.scheduling.snapshot import PoolSnapshot
from pushlane.state import keys
from pushlane.state.items import agent_of, attempt_of
from pushlane.state.mailbox import Letter, clear, letters, take

# As many heads as one turn reads of a lane.
CLAIM_MAX: Final = 10


class Claimed(Struct, frozen=True, kw_only=True):
    """One dispatch document (JSON), as a push would have carried it."""

    task_id: str
    epoch: int
    document: str


class NoSuchAgent(InvalidEvent):
    """The pool has no agent of this id."""

    def __init__(self) -> None:
        super().__init__("$.agent_id", "the pool has no agent of this id; register it first", "unknown_agent")


def claim(
    ports: TurnPorts, pusher: Pusher, pool: str, agent_id: str, claim_id: str, at_most: int
) -> tuple[Claimed, ...]:
    """At most `at_most` (1 to `CLAIM_MAX`) attempts for the agent to start; the same ones when it asks again by the
    same id. Raises `NoSuchAgent`, `InvalidEvent` for an agent that is pushed to, and what a turn raises.
    """
    agent = pulling_agent(ports.store, pool, agent_id)
    found = _unstarted(ports.store, agent)
    answered = [one for letter, one in found if letter.claim_id == claim_id]
    if not answered:
        answered = _orphans(ports.store, agent, found, claim_id, at_most)
        if len(answered) < at_most:
            asks = Claim(agent_id=agent_id, at_most=at_most - len(answered), claim_id=claim_id)
            take_turn(ports, pusher, Turn(ports, _Claiming(pusher, asks), pool), [asks])
            answered = [one for letter, one in _unstarted(ports.store, agent) if letter.claim_id == claim_id]
    return _documents(ports, pusher, answered)


def pulling_agent(store: ItemStore, pool: str, agent_id: str) -> Agent:
    """The registered agent; raises `NoSuchAgent`, and `InvalidEvent` for one that is pushed to."""
    key = keys.agent_key(pool, agent_id)
    item = store.get([key]).get(key)
    if item is None or "status" not in item.attributes:
        raise NoSuchAgent
    agent = agent_of(item)
    if agent.endpoint.pushed:
        reason = (
            f"the agent is pushed to ({agent.endpoint.kind.value}); register it with the endpoint kind pull to claim"
        )
        raise InvalidEvent("$.agent_id", reason, "not_pulling")
    return agent


class _Claiming:
    """Pushes of a claim's turn: what they lay into the agent's mailbox is the claim's."""

    def __init__(self, pusher: Pusher, asks: Claim) -> None:
        self._pusher = pusher
        self._asks = asks

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        return self._pusher.push(decisions, snapshot, now_ms, self._asks.claim_id)


_Found = list[tuple[Letter, tuple[Addressed, str]]]


def _unstarted(store: ItemStore, agent: Agent) -> _Found:
    """The agent's letters whose attempts nobody has started, each with its attempt and the pool that this is of; what
    lies there besides is cleared away.
    """
    lying = letters(store, agent.pool, agent.agent_id)
    wanted = {keys.attempt_key(letter.of_pool, letter.task_id): letter for letter in lying}
    found = store.get(list(wanted)) if wanted else {}
    live: _Found = []
    for key, letter in wanted.items():
        attempt = attempt_of(found[key]) if key in found else None
        if attempt is not None and attempt.epoch == letter.epoch and attempt.runner is None:
            addressed = Addressed(
                agent=agent,
                task_id=letter.task_id,
                epoch=letter.epoch,
                held=attempt.reservation,
                lease_until_ms=attempt.lease_until_ms,
            )
            live.append((letter, (addressed, letter.of_pool)))
    kept = {letter.task_id for letter, _ in live}
    clear(store, agent.pool, agent.agent_id, [letter for letter in lying if letter.task_id not in kept])
    return live


def _orphans(store: ItemStore, agent: Agent, found: _Found, claim_id: str, at_most: int) -> list[tuple[Addressed, str]]:
    """Attempts that no claim has started in time, now this claim's."""
    taken: list[tuple[Addressed, str]] = []
    for letter, one in found:
        if len(taken) == at_most:
            break
        if letter.claim_id is None and take(store, agent.pool, agent.agent_id, letter, claim_id):
            taken.append(one)
    return taken


def _documents(ports: TurnPorts, pusher: Pusher, answered: Sequence[tuple[Addressed, str]]) -> tuple[Claimed, ...]:
    policy, now_ms = ports.policies.current(), ports.clock.now_ms()
    made: list[Claimed] = []
    for pool in dict.fromkeys(of_pool for _, of_pool in answered):
        ours = [one for one, of_pool in answered if of_pool == pool]
        made += [
            Claimed(task_id=one.task_id, epoch=one.epoch, document=body)
            for one, _, body in pusher.documents(ours, pool, policy, now_ms)
        ]
    return tuple(made)
