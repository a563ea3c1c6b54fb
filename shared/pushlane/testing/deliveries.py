"""Delivery in virtual time: what lies in a queue of the test kit reaches whoever consumes it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.agent.heartbeat.inmemory import InMemoryHeartbeats
from pushlane.agent.runtime import AgentRuntime
from pushlane.inmemory import InMemorySender, ManualClock
from pushlane.inmemory.schedules import InMemorySchedules
from pushlane.model.errors import PushlaneError, StoreUnavailable
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import Message, Tracing
from pushlane.router.app import Router
from pushlane.router.sweep import Swept
from pushlane.testing.event_logs import EVENTS, EventLogs
from pushlane.testing.events import sqs_event

INTAKE: Final = "queue/intake"
RESULTS: Final = "queue/results"
WAKEUPS: Final = "queue/wakeups"
HELD: Final = "queue/held"
OUTBOUND: Final = "queue/outbound"


_STEPS_MAX: Final = 100_000
_BATCH: Final = 10
_REMAINING_MS: Final = 60_000


class NotIdle(PushlaneError):
    """Work kept coming for longer than a test should take: something is going round in circles."""


class Deliveries(ABC):
    """What the dispatcher does with its queues; it is given its parts by `InMemoryDispatcher`."""

    clock: ManualClock
    sender: InMemorySender
    heartbeats: InMemoryHeartbeats
    event_logs: EventLogs
    schedules: InMemorySchedules
    router: Router
    tracing: Tracing | None
    _runtimes: dict[str, AgentRuntime]
    _sequence: int

    @abstractmethod
    def publish(self) -> bool:
        """Run the lifecycle over the changes since the last time."""

    @abstractmethod
    def sweep(self) -> Swept:
        """What the platform does once a minute."""

    def run_until_idle(self) -> None:
        """Deliver what is visible until nothing is. Raises `NotIdle` when that takes more than 100,000 deliveries."""
        for _ in range(_STEPS_MAX):
            if not self.step():
                return
        raise NotIdle(f"still busy after {_STEPS_MAX} deliveries at {self.clock.now_ms()}")

    def step(self) -> bool:
        """Deliver one batch of each queue, and the changes; says whether there was any."""
        fired = self.schedules.fire_due()
        moved = [self._deliver_intake(), *(self._deliver(queue) for queue in (RESULTS, WAKEUPS, HELD))]
        moved += [self._deliver_agent(url) for url in sorted(self._runtimes)]
        return any([fired, *moved, self.heartbeats.beat_due(), self.publish(), self.event_logs.deliver()])

    def advance(self, seconds: float) -> None:
        """Let time pass and do what falls due in it, wake-up by wake-up."""
        until_ms = self.clock.now_ms() + round(seconds * 1_000)
        self.run_until_idle()
        while (visible_ms := self._next_visible_ms()) is not None and visible_ms <= until_ms:
            self.clock.advance(max(0, visible_ms - self.clock.now_ms()))
            self.run_until_idle()
        self.clock.advance(max(0, until_ms - self.clock.now_ms()))  # what was done may have taken longer

    def advance_to(self, time_ms: int) -> None:
        """The same until a time in Unix milliseconds."""
        self.advance((time_ms - self.clock.now_ms()) / 1_000)

    def advance_with_sweeps(self, minutes: int) -> list[Swept]:
        """Let minutes pass as on the platform: with a sweep at the end of each."""
        swept: list[Swept] = []
        for _ in range(minutes):
            self.advance(60)
            swept.append(self.sweep())
            self.run_until_idle()
        return swept

    def _deliver_intake(self) -> bool:
        sent = {} if (at_ms := self._queued_at_ms(INTAKE)) is None else {"SentTimestamp": str(at_ms)}
        batch = self.sender.drain(INTAKE, limit=_BATCH)
        bodies = {raw["id"]: raw["envelope"] for raw in map(self._identified, batch)}
        event = sqs_event(INTAKE, [(key, msgspec.json.encode(body).decode()) for key, body in bodies.items()], sent)
        again = self._handle(event) if batch else set()
        for message_id in sorted(again):
            kept = {"id": message_id, "envelope": bodies[message_id]}
            self.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])
        return bool(batch)

    def _identified(self, message: Message) -> dict[str, Any]:
        """A message of the intake queue with its identity; what an agent submits gets one when it is taken out."""
        raw: dict[str, Any] = msgspec.json.decode(message.body)
        return raw if "envelope" in raw else {"id": f"message-{self._next()}", "envelope": raw}

    def _deliver(self, queue: str) -> bool:
        batch = {f"message-{self._next()}": message for message in self.sender.drain(queue, limit=_BATCH)}
        again = self._handle(sqs_event(queue, [(key, m.body) for key, m in batch.items()])) if batch else set()
        self.sender.send(queue, [Message(batch[message_id].body, delay_seconds=1) for message_id in sorted(again)])
        return bool(batch)

    def _handle(self, event: Mapping[str, Any]) -> set[str]:
        """What must be delivered again: as with Lambda, everything when the handler itself dies."""
        try:
            answer = self.router.handle(event)
        except StoreUnavailable:
            return {str(record["messageId"]) for record in event["Records"]}
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def _deliver_agent(self, queue_url: str) -> bool:
        queued_at_ms = self._queued_at_ms(queue_url)
        batch = self.sender.drain(queue_url, limit=1)
        for message in batch:
            try:
                self._runtimes[queue_url].run(message.body, _REMAINING_MS, queued_at_ms)
            except StoreUnavailable:
                self.sender.send(queue_url, [Message(message.body, delay_seconds=1)])
        return bool(batch)

    def _queued_at_ms(self, queue_url: str) -> int | None:
        """Since when the next message of a queue lies there, where somebody traces that."""
        return None if self.tracing is None else self.sender.next_visible_of(queue_url)

    def _next_visible_ms(self) -> int | None:
        watched = (INTAKE, RESULTS, WAKEUPS, HELD, EVENTS, *self._runtimes)
        times = (
            *map(self.sender.next_visible_of, watched),
            self.heartbeats.next_due_ms(),
            self.schedules.next_due_ms(),
        )
        return min((at for at in times if at is not None), default=None)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def agent_queue(agent_id: str, pool: str = DEFAULT_POOL) -> str:
    """The queue that is pushed to; agents of different pools may have the same name."""
    return f"queue/agent/{agent_id}" if pool == DEFAULT_POOL else f"queue/agent/{pool}/{agent_id}"
