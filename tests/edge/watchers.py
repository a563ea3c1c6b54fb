"""Many streams at once: WebSocket connections that follow one task after another, and Server-Sent Events that do.

What was received is kept as it came, so that a test can say what was lost, repeated or out of order.
"""

import asyncio
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pushlane.model.timeline import ENDS

_COME_BACK_SECONDS: Final = 0.1
_OPEN_TIMEOUT_SECONDS: Final = 60
_READ_SECONDS: Final = 40
_ALL_OPEN_SECONDS: Final = 180


@dataclass(frozen=True)
class Received:
    """One event and when it came (Unix milliseconds)."""

    sequence: int
    kind: str
    source_id: str
    at_ms: int
    received_ms: int


@dataclass
class Heard:
    """Everything of one task, in the order in which it came. `repeated`: events that had come before. `anew`: how often
    its stream was opened again.
    """

    events: list[Received] = field(default_factory=list)
    repeated: int = 0
    anew: int = 0
    refused: list[Any] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.events[-1].sequence if self.events else 0

    @property
    def over(self) -> bool:
        return bool(self.events) and self.events[-1].kind in ENDS

    @property
    def gaps(self) -> int:
        """Sequences that are not one more than the one before."""
        return sum(one.sequence != place for place, one in enumerate(self.events, 1))

    def take(self, event: dict[str, Any]) -> None:
        if event["sequence"] <= self.last:
            self.repeated += 1
            return
        now_ms = time.time_ns() // 1_000_000
        self.events.append(Received(event["sequence"], event["kind"], event["source_id"], event["at_ms"], now_ms))


class Watchers:
    """`web_sockets` connections and `event_streams` readers, open all the time. Tasks are given to them in turn."""

    def __init__(self, http_url: str, web_socket_url: str, credential: str, counts: tuple[int, int]) -> None:
        self.heard: dict[str, Heard] = defaultdict(Heard)
        self._http_url = http_url
        self._web_socket_url = web_socket_url
        self._headers = {"authorization": f"Bearer {credential}"}
        self._counts = counts
        self._loop = asyncio.new_event_loop()
        self._streams: list[_WebSocketStream | _EventStream] = []
        self._given = 0

    @property
    def connected(self) -> int:
        """How many streams are open."""
        return sum(stream.connected for stream in self._streams)

    def start(self) -> None:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(timeout=60)
        deadline = time.monotonic() + _ALL_OPEN_SECONDS
        while self.connected < len(self._streams):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.connected} of {len(self._streams)} streams opened")
            time.sleep(0.05)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=60)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def follow(self, task_id: str) -> None:
        """Give a task to the next stream."""
        stream = self._streams[self._given % len(self._streams)]
        self._given += 1
        self.heard[task_id] = Heard()
        asyncio.run_coroutine_threadsafe(stream.follow(task_id), self._loop)

    def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> list[str]:
        """Until all are over; returns those that are not in time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            waiting = [task_id for task_id in task_ids if not self.heard[task_id].over]
            if not waiting or time.monotonic() > deadline:
                return waiting
            time.sleep(0.2)

    async def _open(self) -> None:
        sockets, readers = self._counts
        http = httpx.AsyncClient(
            base_url=self._http_url,
            headers=self._headers,
            timeout=_READ_SECONDS,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )
        self._http = http
        many: list[_WebSocketStream | _EventStream] = [
            _WebSocketStream(self._web_socket_url, self._headers, self.heard) for _ in range(sockets)
        ]
        # Spread, so that both kinds get tasks from the beginning.
        every = max(1, len(many) // readers) if readers else 0
        for place in range(readers):
            many.insert(place * (every + 1), _EventStream(http, self.heard))
        self._streams = many
        self._tasks = [asyncio.create_task(stream.run()) for stream in many]

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()


class _WebSocketStream:
    """One connection. After a loss it is opened again, and what is not over is followed from where it was."""

    def __init__(self, url: str, headers: dict[str, str], heard: dict[str, Heard]) -> None:
        self._url = url
        self._headers = headers
        self._heard = heard
        self._followed: list[str] = []
        self._socket: ClientConnection | None = None

    @property
    def connected(self) -> bool:
        return self._socket is not None

    async def follow(self, task_id: str) -> None:
        self._followed.append(task_id)
        if self._socket is not None:
            await self._subscribe(self._socket, task_id)

    async def run(self) -> None:
        while True:
            try:
                async with connect(
                    self._url, additional_headers=self._headers, open_timeout=_OPEN_TIMEOUT_SECONDS, ping_interval=None
                ) as socket:
                    await self._listen(socket)
            except (ConnectionClosed, InvalidStatus, OSError, TimeoutError):
                self._socket = None
                await asyncio.sleep(_COME_BACK_SECONDS)

    async def _listen(self, socket: ClientConnection) -> None:
        self._socket = socket
        for task_id in [one for one in self._followed if not self._heard[one].over]:
            self._heard[task_id].anew += 1
            await self._subscribe(socket, task_id)
        async for message in socket:
            self._take(json.loads(message))
        self._socket = None

    async def _subscribe(self, socket: ClientConnection, task_id: str) -> None:
        wish = {"action": "subscribe", "stream": "task", "id": task_id, "after": self._heard[task_id].last}
        await socket.send(json.dumps({**wish, "ref": task_id}))

    def _take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "events":
                for event in frame["events"]:
                    self._heard[frame["stream"]].take(event)
            case "error":
                self._heard[str(frame.get("ref"))].refused.append(frame)
            case _:
                pass


class _EventStream:
    """One reader: what it is given it reads one after another, each to its end, coming back as an EventSource does."""

    connected = True

    def __init__(self, http: httpx.AsyncClient, heard: dict[str, Heard]) -> None:
        self._http = http
        self._heard = heard
        self._queue: asyncio.Queue[str] = asyncio.Queue()

    async def follow(self, task_id: str) -> None:
        await self._queue.put(task_id)

    async def run(self) -> None:
        while True:
            task_id = await self._queue.get()
            while True:
                if await self._read(task_id):
                    break
                await asyncio.sleep(_COME_BACK_SECONDS)

    async def _read(self, task_id: str) -> bool:
        """One answer; True when there is no more to come."""
        heard = self._heard[task_id]
        headers = {"accept": "text/event-stream"} | ({"last-event-id": str(heard.last)} if heard.last else {})
        try:
            answer = await self._http.get(f"/v1/tasks/{task_id}/events", headers=headers)
        except httpx.TransportError:
            heard.anew += 1
            return False
        if answer.status_code == 204:
            return True
        if answer.status_code != 200:
            heard.refused.append({"status": answer.status_code, "body": answer.text[:300]})
            return False
        for event in server_sent(answer.text):
            heard.take(event)
        return False


def server_sent(text: str) -> Iterator[dict[str, Any]]:
    """The data of the events in a stream of them; comments and `retry` are passed over."""
    for block in text.split("\n\n"):
        for line in block.splitlines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


@contextmanager
def watchers(
    http_url: str, web_socket_url: str, credential: str, *, web_sockets: int, event_streams: int
) -> Iterator[Watchers]:
    """Open streams for the length of a block."""
    opened = Watchers(http_url, web_socket_url, credential, (web_sockets, event_streams))
    opened.start()
    try:
        yield opened
    finally:
        opened.stop()


def with_query(url: str, **parameters: str) -> str:
    """The address with these parameters."""
    return f"{url}?{urlencode(parameters)}"
