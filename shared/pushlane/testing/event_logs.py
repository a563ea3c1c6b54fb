"""The streamer over a dispatcher in memory, and the event logs that it writes."""

from collections.abc import Callable, Mapping
from typing import Final

from pushlane.inmemory import InMemoryPoster, InMemorySender
from pushlane.model.keyring import KeyRing
from pushlane.model.timeline import LoggedEvent
from pushlane.ports import Clock, ItemStore, Message
from pushlane.router.streamer import Streamer, StreamerPorts
from pushlane.state.event_log import read_events
from pushlane.testing.events import sqs_event

EVENTS: Final = "queue/events"
RETENTION_SECONDS: Final = 7 * 24 * 3600
_BATCH: Final = 10


class EventLogs:
    """`deliver` brings the streamer one batch of the events queue. `counted` adds up what it measures. `poster` holds
    what was posted to those who follow live.
    """

    def __init__(
        self,
        store: ItemStore,
        sender: InMemorySender,
        clock: Clock,
        keyring: Callable[[], KeyRing],
        log: Callable[..., None],
    ) -> None:
        self.poster = InMemoryPoster()
        self._store = store
        self._sender = sender
        self._sequence = 0
        self.counted: dict[str, int] = {}
        self.streamer = Streamer(
            StreamerPorts(
                store=store,
                clock=clock,
                keyring=keyring,
                sender=sender,
                events_queue_url=EVENTS,
                retention_seconds=RETENTION_SECONDS,
                back_off=lambda _tried: None,
                log=log,
                measure=self._measure,
                poster=self.poster,
            )
        )

    def deliver(self) -> bool:
        """What cannot be recorded now comes again after a second."""
        batch = {f"event-{self._next()}": message for message in self._sender.drain(EVENTS, limit=_BATCH)}
        if batch:
            answer = self.streamer.handle(sqs_event(EVENTS, [(key, m.body) for key, m in batch.items()]))
            again = [batch[failure["itemIdentifier"]] for failure in answer["batchItemFailures"]]
            self._sender.send(EVENTS, [Message(one.body, delay_seconds=1, group=one.group) for one in again])
        return bool(batch)

    def of(self, task_id: str) -> tuple[LoggedEvent, ...]:
        """A task's log from its beginning (at most 1,000 events)."""
        return read_events(self._store, task_id, limit=1_000).events

    def _measure(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            self.counted[name] = self.counted.get(name, 0) + count

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence
