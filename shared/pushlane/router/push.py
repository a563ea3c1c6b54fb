"""Push dispatched attempts to their agents' endpoints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.agent import Agent
from pushlane.model.attempt import Reservation
from pushlane.model.endpoint import DISPATCH_BYTES_MAX, Endpoint
from pushlane.model.events import Dispatch as DispatchMessage
from pushlane.model.keyring import KeyRing
from pushlane.model.policy import Policy
from pushlane.model.task import DeadlineKind, Task
from pushlane.model.trace_context import task_trace
from pushlane.ports import BlobStore, Dispatching, ItemStore, Message
from pushlane.router.claimed import as_claim
from pushlane.router.parents import parents_of
from pushlane.router.turn_spans import TurnSpans
from pushlane.scheduling.decisions import Decision, Dispatch, Repush
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot
from pushlane.state import keys
from pushlane.state.briefing import Briefing, load_briefings
from pushlane.state.items import agent_of, task_of, to_json
from pushlane.state.loading import load_task_items
from pushlane.state.mailbox import Letter, leave

# The proof outlives any backlog of the results queue; what ends an attempt is its epoch and lease, not this.
TOKEN_LIFE_MS: Final = 14 * 24 * 3_600_000


class Pushes(Protocol):
    """What a turn does with the attempts that it has committed."""

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        """Returns the tasks whose push no endpoint accepted."""
        ...


class Addressed(Struct, frozen=True, kw_only=True):
    """One attempt and the agent that is to run it, until when it has to be started."""

    agent: Agent
    task_id: str
    epoch: int
    held: Reservation
    lease_until_ms: int
    again: bool = False


class Pusher:
    """Builds and sends dispatch messages. `keyring` is called at the first push, not at start-up."""

    def __init__(
        self,
        store: ItemStore,
        dispatching: Dispatching,
        blobs: BlobStore,
        keyring: Callable[[], KeyRing],
        spans: TurnSpans | None = None,
    ) -> None:
        self._store = store
        self._dispatching = dispatching
        self._blobs = blobs
        self._keyring = keyring
        self._spans = spans

    def push(
        self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int, claim_id: str | None = None
    ) -> frozenset[str]:
        """Push what the committed decisions dispatch; returns the tasks whose push no endpoint accepted (their start
        lease or the redelivered input pushes them again). What is for a pull agent is laid into its mailbox, for the
        claim `claim_id` if that asked for it.
        """
        attempts = self._addressed(decisions, snapshot)
        for one in attempts:
            if not one.agent.endpoint.pushed:
                self._leave(one, snapshot.pool, None if one.again else claim_id)
        pushed = [one for one in attempts if one.agent.endpoint.pushed]
        if not pushed:
            return frozenset()
        arrived = {task.task_id: task for decision in decisions if (task := _arrived(decision)) is not None}
        by_endpoint: dict[Endpoint, list[tuple[str, Message]]] = {}
        for one, task, body in self.documents(pushed, snapshot.pool, snapshot.policy, now_ms, arrived):
            message = Message(body, group=task.tenant_id, trace_header=self._traced(task, one.epoch))
            by_endpoint.setdefault(one.agent.endpoint, []).append((one.task_id, message))
        return frozenset(task_id for to, batch in by_endpoint.items() for task_id in self._send(to, batch))

    def documents(
        self,
        attempts: Sequence[Addressed],
        pool: str,
        policy: Policy,
        now_ms: int,
        arrived: Mapping[str, Task] | None = None,
    ) -> list[tuple[Addressed, Task, str]]:
        """The dispatch of each attempt of the pool as its agent gets it, with its task. `arrived`: tasks that need
        not be read; a task that is gone is left out.
        """
        tasks = dict(arrived or {})
        stored = load_task_items(self._store, [one.task_id for one in attempts if one.task_id not in tasks])
        tasks |= {task_id: task_of(attributes) for task_id, attributes in stored.items()}
        briefings = load_briefings(self._store, stored)
        found: list[tuple[Addressed, Task, str]] = []
        for one in attempts:
            if (task := tasks.get(one.task_id)) is not None:
                briefing = briefings.get(one.task_id, Briefing())
                dispatch = self._dispatch(task, one, pool, policy, briefing, now_ms)
                found.append((one, task, self._fitting(dispatch, one.agent.endpoint)))
        return found

    def _traced(self, task: Task, epoch: int) -> str | None:
        """Note that the attempt goes out, where turns are traced; X-Ray's header of it, where that is the tracer."""
        if self._spans is None:
            return None
        attempt = task_trace(task).run(epoch)
        self._spans.pushed(attempt)
        return attempt.xray_header if self._spans.tracing.headers else None

    def _addressed(self, decisions: Sequence[Decision], snapshot: PoolSnapshot) -> list[Addressed]:
        """What the decisions dispatch, each with its agent; one whose agent is gone is left out."""
        attempts = [found for decision in decisions if (found := _attempt(decision)) is not None]
        agents = self._agents(snapshot, [held for _, _, held, *_ in attempts])
        return [
            Addressed(agent=agent, task_id=task_id, epoch=epoch, held=held, lease_until_ms=lease_until_ms, again=again)
            for task_id, epoch, held, lease_until_ms, again in attempts
            if (agent := agents.get((held.agent_pool, held.agent_id))) is not None
        ]

    def _agents(self, snapshot: PoolSnapshot, held: Sequence[Reservation]) -> dict[tuple[str, str], Agent]:
        """The agents by pool and id; those that another pool lent are read when the turn did not need to."""
        agents = {(agent.pool, agent.agent_id): agent for agent in snapshot.agents}
        missing = {(one.agent_pool, one.agent_id) for one in held} - agents.keys()
        if missing:
            found = self._store.get([keys.agent_key(*ref) for ref in sorted(missing)])
            agents |= {(agent.pool, agent.agent_id): agent for agent in map(agent_of, found.values())}
        return agents

    def token_of(self, task_id: str, epoch: int, pool: str, held: Reservation, now_ms: int) -> str:
        """The signed proof that an attempt holds its reservation."""
        claims = token.ReservationClaims(
            tenant_id=held.tenant_id,
            task_id=task_id,
            epoch=epoch,
            pool=pool,
            reservation=held,
            expires_at_ms=now_ms + TOKEN_LIFE_MS,
        )
        return token.sign(claims, self._keyring())

    def _leave(self, one: Addressed, pool: str, claim_id: str | None) -> None:
        letter = Letter(task_id=one.task_id, epoch=one.epoch, of_pool=pool, claim_id=claim_id)
        leave(self._store, one.agent.pool, one.agent.agent_id, letter)

    def _send(self, endpoint: Endpoint, batch: Sequence[tuple[str, Message]]) -> list[str]:
        refused = self._dispatching.send(endpoint, [message for _, message in batch])
        return [batch[index][0] for index in refused]

    def _fitting(self, dispatch: DispatchMessage, endpoint: Endpoint) -> str:
        """The dispatch as JSON; by claim check, where it is too large for the agent's endpoint."""
        body = to_json(dispatch)
        if len(body.encode()) <= DISPATCH_BYTES_MAX[endpoint.kind]:
            return body
        claim = as_claim(self._blobs, dispatch.tenant_id, msgspec.to_builtins(dispatch))
        bare = msgspec.structs.replace(
            dispatch, payload={}, checkpoint=None, signals=(), parents={}, parents_claim=None, whole=claim
        )
        return to_json(bare)

    def _dispatch(
        self, task: Task, one: Addressed, pool: str, policy: Policy, briefing: Briefing, now_ms: int
    ) -> DispatchMessage:
        watched = policy.task_type(task.task_type)
        parents = parents_of(self._store, self._blobs, task)
        return DispatchMessage(
            task_id=task.task_id,
            tenant_id=task.tenant_id,
            task_type=task.task_type,
            epoch=one.epoch,
            pool=pool,
            agent_id=one.held.agent_id,
            attempt_pk=keys.attempt_key(pool, task.task_id).pk,
            token=self.token_of(task.task_id, one.epoch, pool, one.held, now_ms),
            payload=task.payload,
            deadline_ms=task.deadline_ms,
            correlation_id=task.correlation_id,
            traceparent=task_trace(task).run(one.epoch).traceparent,
            cause_depth=task.depth,
            checkpoint=briefing.checkpoint,
            signals=briefing.signals,
            parents=parents.inline,
            parents_claim=parents.claim,
            workflow_id=None if task.workflow is None else task.workflow.workflow_id,
            node=None if task.workflow is None else task.workflow.node,
            lease_seconds=watched.lease_seconds,
            stall_seconds=watched.stall_seconds,
            lease_until_ms=one.lease_until_ms,
            ends_at_ms=task.deadline_ms if task.deadline_kind is DeadlineKind.HARD else None,
        )


def _attempt(decision: Decision) -> tuple[str, int, Reservation, int, bool] | None:
    """The attempt that a decision has pushed, its lease, and whether it was pushed before."""
    match decision:
        case Dispatch(entry=entry, epoch=epoch, reservation=held, lease_until_ms=until_ms) if entry.runner is None:
            return entry.task_id, epoch, held, until_ms, False
        case Repush(expired=expired, lease_until_ms=until_ms):
            return expired.attempt.task_id, expired.attempt.epoch, expired.attempt.reservation, until_ms, True
        case _:
            return None


def _arrived(decision: Decision) -> Task | None:
    """The task itself, when it has just arrived and need not be read."""
    match decision:
        case Dispatch(origin=Arrival(task=task)):
            return task
        case _:
            return None
