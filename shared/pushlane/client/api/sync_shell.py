"""How the blocking client talks: httpx for calls and Server-Sent Events, websockets for WebSockets."""

import random
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from pushlane.client.api.core import PING, SILENCE_SECONDS, Core, Place, handshake_error, outcome
from pushlane.client.api.errors import ApiError, no_answer
from pushlane.client.api.exchange import Answer, Ask, Call
from pushlane.client.api.retrying import Retrying
from pushlane.client.api.streams import REFUSED_FROM, Following, Stream, Transport, following
from pushlane.client.api.watching import Seen, StreamBroken
from pushlane.client.errors import StillRunning

T = TypeVar("T")


class SyncShell:
    """Connections and pauses; what is asked and what it means is the core's."""

    def __init__(
        self,
        url: str,
        credential: str,
        *,
        websocket_url: str | None = None,
        tenant: str | None = None,
        retrying: Retrying | None = None,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        place = Place(url=url, credential=credential, websocket_url=websocket_url, tenant=tenant)
        self._core = Core(place, retrying or Retrying(), now=now, random=random)
        self._http = httpx.Client(transport=transport)
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _run(self, ask: Ask[T]) -> T:
        sending = self._core.sending(ask.call)
        while True:
            try:
                return outcome(ask, self._sent(ask.call, sending.answer_seconds()), sending.sends)
            except ApiError as error:
                self._sleep(sending.pause_after(error))

    def _sent(self, call: Call, seconds: float) -> Answer:
        try:
            response = self._http.request(
                call.method,
                self._core.url_of(call),
                content=call.body,
                headers=self._core.headers_of(call),
                timeout=seconds,
            )
        except httpx.TransportError as error:
            raise no_answer(f"{type(error).__name__}: {error}") from error
        return Answer(status=response.status_code, headers=response.headers, body=response.content)

    def _fetched(self, url: str) -> dict[str, Any]:
        """A result that lies apart: its address is the permission, so the credential stays here."""
        response = httpx.get(url, timeout=SILENCE_SECONDS)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=dict[str, Any])

    def _watch(
        self, stream: Stream, after: int, transport: Transport | str, timeout_seconds: float | None
    ) -> Iterator[Seen]:
        follow = following(stream, after, self._core.random)
        try:
            yield from self._follow(follow, self._core.until(timeout_seconds), Transport(transport))
        except StillRunning:
            raise StillRunning([stream.subject_id], timeout_seconds or 0.0) from None

    def _follow(self, follow: Following, until: float, transport: Transport) -> Iterator[Seen]:
        """Connection after connection, until the stream is over; raises `StillRunning` (naming nothing) at `until`."""
        once = self._over_websocket if transport is Transport.WEBSOCKET else self._over_sse
        while not follow.over:
            try:
                yield from once(follow, until)
                pause = follow.closed()
            except (httpx.TransportError, StreamBroken, ApiError, ConnectionError) as error:
                pause = follow.lost(error)
            if not follow.over:
                if self._core.now() + pause >= until:
                    raise StillRunning([], 0.0)
                self._sleep(pause)

    def _over_sse(self, follow: Following, until: float) -> Iterator[Seen]:
        call = follow.sse_call()
        with self._http.stream(
            call.method, self._core.url_of(call), headers=self._core.headers_of(call), timeout=self._silence(until)
        ) as response:
            refused = response.status_code >= REFUSED_FROM and response.read()
            follow.answered(response.status_code, _answer(response) if refused else None)
            for chunk in response.iter_bytes():
                yield from follow.chunk(chunk)
                if follow.over:
                    return

    def _over_websocket(self, follow: Following, until: float) -> Iterator[Seen]:
        from websockets.exceptions import ConnectionClosed, InvalidHandshake
        from websockets.sync.client import connect

        if follow.begun:
            follow.looked(self._sent(follow.look_call(), self._silence(until)))
        try:
            with connect(
                self._core.websocket_url,
                additional_headers=self._core.authorization,
                open_timeout=self._silence(until),
            ) as socket:
                socket.send(follow.subscription())
                while not follow.over:
                    try:
                        yield from follow.frame(socket.recv(timeout=self._silence(until)))
                    except TimeoutError:
                        if self._core.now() >= until:
                            raise StillRunning([], 0.0) from None
                        socket.send(PING)
        except InvalidHandshake as error:
            raise handshake_error(error) from error
        except (ConnectionClosed, OSError) as error:
            raise ConnectionError(str(error)) from error

    def _silence(self, until: float) -> float:
        return max(0.001, min(SILENCE_SECONDS, until - self._core.now()))


def _answer(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, body=response.content)
