"""The clients over real sockets whose other end drops connections in the middle of anything."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from pushlane.client.api import AsyncClient, Client, NotFound, Retrying, StillRunning, Transport, Unauthorized
from pushlane.client.api.watching import Seen
from pushlane.model.timeline import LoggedEvent, Origin

LAST = 40
LOG = [
    LoggedEvent(
        task_id="t-1",
        sequence=number,
        origin=Origin.FACT if number == LAST else Origin.AGENT,
        kind="TaskSucceeded" if number == LAST else "token",
        at_ms=number,
        source_id=str(number),
        data={"text": "ü" * number},
    )
    for number in range(1, LAST + 1)
]
DROPS = 12


class Platform:
    """A server that has the log of one task, and drops its first connections, each somewhere else."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.drops_left = DROPS
        self.connections = 0
        self.submissions: list[dict[str, Any]] = []

    def drops(self) -> bool:
        self.connections += 1
        self.drops_left -= 1
        return self.drops_left >= 0


def handler_of(platform: Platform) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.headers.get("authorization") != "Bearer key":
                self._plain(401, b"{}")
            elif "application/json" in self.headers["accept"]:
                after = int(parse_qs(urlsplit(self.path).query)["after"][0])
                self._plain(200, msgspec.json.encode({"events": LOG[after : after + 1], "ended": after >= LAST}))
            elif self.path.startswith("/v1/tasks/t-1/events"):
                self._stream(int(self.headers.get("last-event-id", "0")))
            else:
                self._plain(404, b'{"type":"urn:pushlane:problem:unknown-task","detail":"no task of this id"}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            platform.submissions.append(msgspec.json.decode(body))
            if platform.drops():
                self._reset()
                return
            said = {
                "task_id": "t-1",
                "status": "PARKED",
                "idempotency_key": platform.submissions[-1]["idempotency_key"],
            }
            self._plain(200 if len(platform.submissions) > 1 else 202, msgspec.json.encode(said))

        def _stream(self, after: int) -> None:
            if after >= LAST:
                self._plain(204, b"")
                return
            data = b"retry: 5\n\n" + b"".join(
                as_sse(event) for event in LOG[after : after + platform.chance.randint(1, 9)]
            )
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            if platform.drops():
                self.wfile.write(data[: platform.chance.randint(0, len(data) - 1)])
                self._reset()
                return
            self.wfile.write(data)

        def _plain(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reset(self) -> None:
            """Close at once: sometimes as a dying machine does, without a goodbye."""
            self.close_connection = True
            if platform.chance.random() < 0.5:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_said: Any) -> None:
            """Nothing."""

    return Handler


def as_sse(event: LoggedEvent) -> bytes:
    return f"id: {event.sequence}\nevent: {event.kind}\ndata: {msgspec.json.encode(event).decode()}\n\n".encode()


@pytest.fixture(params=range(3))
def platform(request: pytest.FixtureRequest) -> Platform:
    return Platform(request.param)


@pytest.fixture
def url(platform: Platform) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(platform))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def websocket_url(platform: Platform) -> Iterator[str]:
    def talk(connection: ServerConnection) -> None:
        if connection.request is None or connection.request.headers.get("authorization") != "Bearer key":
            connection.close(4401)
            return
        with contextlib.suppress(ConnectionClosed, OSError):
            said = msgspec.json.decode(connection.recv())
            if said["id"] != "t-1":
                problem = {"type": "urn:pushlane:problem:unknown-task", "status": 404, "detail": "no task of this id"}
                connection.send(
                    msgspec.json.encode({"type": "error", "action": "subscribe", "problem": problem}).decode()
                )
                return
            place, dropping = max(0, said["after"] - platform.chance.randint(0, 2)), platform.drops()
            while place < LAST:
                size = platform.chance.randint(1, 5)
                frame = {"type": "events", "stream": "t-1", "events": LOG[place : place + size]}
                connection.send(msgspec.json.encode(frame).decode())
                place += size
                if dropping and platform.chance.random() < 0.5:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
            connection.recv()

    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def client(url: str, websocket_url: str | None = None, credential: str = "key") -> Client:
    return Client(url, credential, websocket_url=websocket_url, random=lambda: 0.01, retrying=Retrying(sends_max=50))


def test_a_stream_that_drops_is_whole(url: str, platform: Platform) -> None:
    with client(url) as here:
        seen: list[Seen] = list(here.watch("t-1", timeout_seconds=60))
    assert seen == LOG
    assert platform.connections > DROPS


def test_a_websocket_that_drops_is_whole(url: str, websocket_url: str, platform: Platform) -> None:
    with client(url, websocket_url) as here:
        seen: list[Seen] = list(here.watch("t-1", transport=Transport.WEBSOCKET, timeout_seconds=60))
        assert seen == LOG
        # The end was seen before: nothing is waited for.
        assert list(here.watch("t-1", after=LAST, transport="websocket", timeout_seconds=20)) == []
    assert platform.connections > 2


@pytest.mark.parametrize("transport", [Transport.SSE, Transport.WEBSOCKET])
def test_the_awaiting_client_does_the_same(url: str, websocket_url: str, transport: Transport) -> None:
    async def watched() -> list[Seen]:
        async with AsyncClient(url, "key", websocket_url=websocket_url, random=lambda: 0.01) as here:
            return [one async for one in here.watch("t-1", transport=transport, timeout_seconds=60)]

    assert asyncio.run(watched()) == LOG


def test_a_submission_over_a_broken_network_is_one_key(url: str, platform: Platform) -> None:
    with client(url) as here:
        submitted = here.submit(task_type="echo")
    assert submitted.repeated
    assert len(platform.submissions) == DROPS + 1
    assert len({one["idempotency_key"] for one in platform.submissions}) == 1


@pytest.mark.parametrize("transport", [Transport.SSE, Transport.WEBSOCKET])
def test_what_time_cannot_mend_is_raised(url: str, websocket_url: str, transport: Transport) -> None:
    with client(url, websocket_url) as here, pytest.raises(NotFound):
        list(here.watch("t-unknown", transport=transport, timeout_seconds=20))


def test_a_credential_that_is_refused_is_raised(url: str) -> None:
    with client(url, credential="another") as here, pytest.raises(Unauthorized):
        list(here.watch("t-1", timeout_seconds=20))


def test_nobody_there_is_waited_for_only_so_long(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with client(nobody) as here, pytest.raises(StillRunning):
        list(here.watch("t-1", timeout_seconds=0.5))
