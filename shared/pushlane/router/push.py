"""Push dispatched attempts to their agents' queues."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pushlane.model import token
from pushlane.model.agent import Agent
from pushlane.model.attempt import Reservation
from pushlane.model.events import Dispatch as DispatchMessage
from pushlane.model.task import DeadlineKind, Task
from pushlane.ports import BlobStore, ItemStore, Message, MessageSender
from pushlane.router.parents import parents_of
from pushlane.scheduling.decisions import Decision, Dispatch, Repush
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot
from pushlane.state import keys
from pushlane.state.briefing import Briefing, load_briefings
from pushlane.state.items import agent_of, task_of, to_json
from pushlane.state.loading import load_task_items

# The proof outlives any backlog of the results queue; what ends an attempt is its epoch and lease, not this.
TOKEN_LIFE_MS: Final = 14 * 24 * 3_600_000


class Pushes(Protocol):
    """What a turn does with the attempts that it has committed."""

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        """Returns the tasks whose push no queue accepted."""
        ...


class Pusher:
    """Builds and sends dispatch messages. `signing_key` is called at the first push, not at start-up."""

    def __init__(
        self, store: ItemStore, sender: MessageSender, blobs: BlobStore, signing_key: Callable[[], bytes]
    ) -> None:
        self._store = store
        self._sender = sender
        self._blobs = blobs
        self._signing_key = signing_key

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        """Push what the committed decisions dispatch; returns the tasks whose push no queue accepted (their start lease
        or the redelivered input pushes them again).
        """
        attempts = [found for decision in decisions if (found := _attempt(decision)) is not None]
        if not attempts:
            return frozenset()
        tasks = {task.task_id: task for decision in decisions if (task := _arrived(decision)) is not None}
        stored = load_task_items(self._store, [task_id for task_id, _, _ in attempts if task_id not in tasks])
        tasks |= {task_id: task_of(attributes) for task_id, attributes in stored.items()}
        briefings = load_briefings(self._store, stored)
        agents = self._agents(snapshot, [held for _, _, held in attempts])
        by_queue: dict[str, list[tuple[str, Message]]] = {}
        for task_id, epoch, held in attempts:
            agent = agents.get((held.agent_pool, held.agent_id))
            if task_id in tasks and agent is not None:
                briefing = briefings.get(task_id, Briefing())
                message = self._message(tasks[task_id], epoch, snapshot, held, briefing, now_ms)
                by_queue.setdefault(agent.queue_url, []).append((task_id, message))
        return frozenset(task_id for url, batch in by_queue.items() for task_id in self._send(url, batch))

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
        return token.sign(claims, self._signing_key())

    def _send(self, queue_url: str, batch: Sequence[tuple[str, Message]]) -> list[str]:
        refused = self._sender.send(queue_url, [message for _, message in batch])
        return [batch[index][0] for index in refused]

    def _message(
        self, task: Task, epoch: int, snapshot: PoolSnapshot, held: Reservation, briefing: Briefing, now_ms: int
    ) -> Message:
        pool, watched = snapshot.pool, snapshot.policy.task_type(task.task_type)
        parents = parents_of(self._store, self._blobs, task)
        dispatch = DispatchMessage(
            task_id=task.task_id,
            tenant_id=task.tenant_id,
            task_type=task.task_type,
            epoch=epoch,
            pool=pool,
            agent_id=held.agent_id,
            attempt_pk=keys.attempt_key(pool, task.task_id).pk,
            token=self.token_of(task.task_id, epoch, pool, held, now_ms),
            payload=task.payload,
            deadline_ms=task.deadline_ms,
            correlation_id=task.correlation_id,
            traceparent=task.traceparent,
            cause_depth=task.depth,
            checkpoint=briefing.checkpoint,
            signals=briefing.signals,
            parents=parents.inline,
            parents_claim=parents.claim,
            workflow_id=None if task.workflow is None else task.workflow.workflow_id,
            node=None if task.workflow is None else task.workflow.node,
            lease_seconds=watched.lease_seconds,
            stall_seconds=watched.stall_seconds,
            ends_at_ms=task.deadline_ms if task.deadline_kind is DeadlineKind.HARD else None,
        )
        return Message(to_json(dispatch), group=task.tenant_id)


def _attempt(decision: Decision) -> tuple[str, int, Reservation] | None:
    match decision:
        case Dispatch(entry=entry, epoch=epoch, reservation=reservation) if entry.runner is None:
            return entry.task_id, epoch, reservation
        case Repush(expired=expired):
            return expired.attempt.task_id, expired.attempt.epoch, expired.attempt.reservation
        case _:
            return None


def _arrived(decision: Decision) -> Task | None:
    """The task itself, when it has just arrived and need not be read."""
    match decision:
        case Dispatch(origin=Arrival(task=task)):
            return task
        case _:
            return None
