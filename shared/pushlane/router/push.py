"""Push dispatched attempts to their agents' queues."""

from collections.abc import Callable, Sequence
from typing import Final

from pushlane.model import token
from pushlane.model.events import Dispatch as DispatchMessage
from pushlane.model.task import Task
from pushlane.ports import ItemStore, Message, MessageSender
from pushlane.scheduling.decisions import Decision, Dispatch, Repush
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot, agents_by_id
from pushlane.state import keys
from pushlane.state.items import to_json
from pushlane.state.loading import load_tasks

# The proof outlives any backlog of the results queue; what ends an attempt is its epoch and lease, not this.
TOKEN_LIFE_MS: Final = 14 * 24 * 3_600_000


class Pusher:
    """Builds and sends dispatch messages. `signing_key` is called at the first push, not at start-up."""

    def __init__(self, store: ItemStore, sender: MessageSender, signing_key: Callable[[], bytes]) -> None:
        self._store = store
        self._sender = sender
        self._signing_key = signing_key

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        """Push what the committed decisions dispatch; returns the tasks whose push no queue accepted (their start lease
        or the redelivered input pushes them again).
        """
        attempts = [found for decision in decisions if (found := _attempt(decision)) is not None]
        if not attempts:
            return frozenset()
        tasks = {task.task_id: task for decision in decisions if (task := _arrived(decision)) is not None}
        tasks |= load_tasks(self._store, [task_id for task_id, _, _ in attempts if task_id not in tasks])
        agents = agents_by_id(snapshot)
        by_queue: dict[str, list[tuple[str, Message]]] = {}
        for task_id, epoch, agent_id in attempts:
            if task_id in tasks and agent_id in agents:
                message = self._message(tasks[task_id], epoch, agent_id, now_ms)
                by_queue.setdefault(agents[agent_id].queue_url, []).append((task_id, message))
        return frozenset(task_id for url, batch in by_queue.items() for task_id in self._send(url, batch))

    def _send(self, queue_url: str, batch: Sequence[tuple[str, Message]]) -> list[str]:
        refused = self._sender.send(queue_url, [message for _, message in batch])
        return [batch[index][0] for index in refused]

    def _message(self, task: Task, epoch: int, agent_id: str, now_ms: int) -> Message:
        claims = token.ReservationClaims(
            tenant_id=task.tenant_id,
            task_id=task.task_id,
            epoch=epoch,
            pool=task.pool,
            agent_id=agent_id,
            expires_at_ms=now_ms + TOKEN_LIFE_MS,
        )
        dispatch = DispatchMessage(
            task_id=task.task_id,
            tenant_id=task.tenant_id,
            task_type=task.task_type,
            epoch=epoch,
            pool=task.pool,
            agent_id=agent_id,
            attempt_pk=keys.attempt_key(task.pool, task.task_id).pk,
            token=token.sign(claims, self._signing_key()),
            payload=task.payload,
            deadline_ms=task.deadline_ms,
            correlation_id=task.correlation_id,
            traceparent=task.traceparent,
        )
        return Message(to_json(dispatch), group=task.tenant_id)


def _attempt(decision: Decision) -> tuple[str, int, str] | None:
    match decision:
        case Dispatch(entry=entry, epoch=epoch, agent_id=agent_id):
            return entry.task_id, epoch, agent_id
        case Repush(expired=expired):
            return expired.attempt.task_id, expired.attempt.epoch, expired.attempt.agent_id
        case _:
            return None


def _arrived(decision: Decision) -> Task | None:
    """The task itself, when it has just arrived and need not be read."""
    match decision:
        case Dispatch(origin=Arrival(task=task)):
            return task
        case _:
            return None
