"""How the awaiting client talks: httpx for calls and Server-Sent Events, websockets for WebSockets."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
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


class AsyncShell:
    """Connections and pauses; what is asked and what it means is the core's."""

    def __init__(
        self,
        url: str,
        credential: str,
        *,
        websocket_url: str | None = None,
        tenant: str | None = None,
        retrying: Retrying | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        place = Place(url=url, credential=credential, websocket_url=websocket_url, tenant=tenant)
        self._core = Core(place, retrying or Retrying(), now=now, random=random)
        self._http = httpx.AsyncClient(transport=transport)
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _run(self, ask: Ask[T]) -> T:
        sending = self._core.sending(ask.call)
        while True:
            try:
                return outcome(ask, await self._sent(ask.call, sending.answer_seconds()), sending.sends)
            except ApiError as error:
                await self._sleep(sending.pause_after(error))

    async def _sent(self, call: Call, seconds: float) -> Answer:
        try:
            response = await self._http.request(
                call.method,
                self._core.url_of(call),
                content=call.body,
                headers=self._core.headers_of(call),
                timeout=seconds,
            )
        except httpx.TransportError as error:
            raise no_answer(f"{type(error).__name__}: {error}") from error
        return _answer(response)

    async def _fetched(self, url: str) -> dict[str, Any]:
        """A result that lies apart: its address is the permission, so the credential stays here."""
        async with httpx.AsyncClient() as apart:
            response = await apart.get(url, timeout=SILENCE_SECONDS)
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=dict[str, Any])

    async def _watch(
        self, stream: Stream, after: int, transport: Transport | str, timeout_seconds: float | None
    ) -> AsyncIterator[Seen]:
        follow = following(stream, after, self._core.random)
        try:
            async with aclosing(self._follow(follow, self._core.until(timeout_seconds), Transport(transport))) as seen:
                async for one in seen:
                    yield one
        except StillRunning:
            raise StillRunning([stream.subject_id], timeout_seconds or 0.0) from None

    async def _follow(self, follow: Following, until: float, transport: Transport) -> AsyncGenerator[Seen]:
        """Connection after connection, until the stream is over; raises `StillRunning` (naming nothing) at `until`."""
        once = self._over_websocket if transport is Transport.WEBSOCKET else self._over_sse
        while not follow.over:
            try:
                async with aclosing(once(follow, until)) as seen:
                    async for one in seen:
                        yield one
                pause = follow.closed()
            except (httpx.TransportError, StreamBroken, ApiError, ConnectionError) as error:
                pause = follow.lost(error)
            if not follow.over:
                if self._core.now() + pause >= until:
                    raise StillRunning([], 0.0)
                await self._sleep(pause)

    async def _over_sse(self, follow: Following, until: float) -> AsyncGenerator[Seen]:
        call = follow.sse_call()
        async with self._http.stream(
            call.method, self._core.url_of(call), headers=self._core.headers_of(call), timeout=self._silence(until)
        ) as response:
            refused = response.status_code >= REFUSED_FROM
            if refused:
                await response.aread()
            follow.answered(response.status_code, _answer(response) if refused else None)
            async for chunk in response.aiter_bytes():
                for one in follow.chunk(chunk):
                    yield one
                if follow.over:
                    return

    async def _over_websocket(self, follow: Following, until: float) -> AsyncGenerator[Seen]:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        if follow.begun:
            follow.looked(await self._sent(follow.look_call(), self._silence(until)))
        try:
            async with connect(
                self._core.websocket_url,
                additional_headers=self._core.authorization,
                open_timeout=self._silence(until),
            ) as socket:
                await socket.send(follow.subscription())
                while not follow.over:
                    try:
                        frame = await asyncio.wait_for(socket.recv(), self._silence(until))
                    except TimeoutError:
                        if self._core.now() >= until:
                            raise StillRunning([], 0.0) from None
                        await socket.send(PING)
                        continue
                    for one in follow.frame(frame):
                        yield one
        except InvalidHandshake as error:
            raise handshake_error(error) from error
        except (ConnectionClosed, OSError) as error:
            raise ConnectionError(str(error)) from error

    def _silence(self, until: float) -> float:
        return max(0.001, min(SILENCE_SECONDS, until - self._core.now()))


def _answer(response: httpx.Response) -> Answer:
    return Answer(status=response.status_code, headers=response.headers, body=response.content)
