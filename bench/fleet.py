"""The rival: a fleet that polls a queue, as well built as one can be.

One poller per agent slot, each a thread with a connection of its own; a short poll of one message; after a message it
polls again at once, after an empty receive it sleeps. They start spread over their pause, so that they do not poll in
step. A poller runs in a process that is there already, does the agent's work itself and stores nothing: less than an
agent of Pushlane does.
"""

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from bench.systems import BusDoor, rival_parts

if TYPE_CHECKING:
    from boto3.session import Session

_SEED: Final = 20_261_122
_VISIBILITY_SECONDS: Final = 60


class PollingFleet(BusDoor):
    """A system that takes its orders by polling; it works inside `awake`."""

    def __init__(self, name: str, session: "Session", bus: str, queue_url: str, pollers: int, pause: float) -> None:
        super().__init__(session, bus)
        self.name = name
        self.pollers = pollers
        self.pause_seconds = pause
        self.receives = 0
        self.empty_receives = 0
        self._clients = [session.client("sqs") for _ in range(pollers)]
        self._queue_url = queue_url
        self._ran: dict[str, int] = {}
        self._lock = threading.Lock()
        self._random = random.Random(_SEED)

    def ran_at_ms(self, samples: Sequence[str]) -> Mapping[str, int]:
        """See `System.ran_at_ms`."""
        with self._lock:
            return {sample: self._ran[sample] for sample in samples if sample in self._ran}

    @contextmanager
    def awake(self) -> Iterator[None]:
        """The pollers poll as long as the block lasts; it ends when the last of them has finished its task."""
        stop = threading.Event()
        starts = [self._random.uniform(0, self.pause_seconds) for _ in range(self.pollers)]
        threads = [
            threading.Thread(target=self._poll, args=(number, delay, stop), daemon=True)
            for number, delay in enumerate(starts)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _poll(self, number: int, delay_seconds: float, stop: threading.Event) -> None:
        stop.wait(delay_seconds)
        while not stop.is_set():
            if not self._one(number):
                stop.wait(self.pause_seconds)

    def _one(self, number: int) -> bool:
        """Receive and do one task; False when there was none."""
        sqs = self._clients[number]
        answer = sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=0,
            VisibilityTimeout=_VISIBILITY_SECONDS,
        )
        messages = answer.get("Messages", [])
        ran_at_ms = time.time_ns() // 1_000_000
        with self._lock:
            self.receives += 1
            self.empty_receives += not messages
        for message in messages:
            detail = json.loads(message["Body"])["detail"]
            with self._lock:
                self._ran[detail["sample"]] = ran_at_ms
            time.sleep(detail["work_seconds"])
            sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)


def deployed_fleet(session: "Session", name: str, pollers: int, pause_seconds: float, undo: ExitStack) -> PollingFleet:
    """A fleet with a bus and a queue of its own, removed by `undo`."""
    parts, bus = rival_parts(session, name.replace("_", "-"), undo)
    return PollingFleet(name, session, bus, parts.queue_for_pollers(), pollers, pause_seconds)
