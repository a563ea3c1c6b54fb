"""The API's operations for agents over an in-memory Pushlane, and a transport that calls them in process."""

from typing import Any, Final

import httpx

from pushlane.agent.http import Transport
from pushlane.agent.http.words import ApiClock
from pushlane.api import agents, attempts
from pushlane.api.app import Api
from pushlane.api.ports import ApiPorts
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.model.principal import Principal, Role
from pushlane.testing import InMemoryDispatcher, ManualClock
from pushlane.testing.event_logs import EVENTS

BASE: Final = "https://api.example"
AGENT: Final = Principal(principal_id="of-one", role=Role.AGENT, pool="default", agent_id="one")
ADMIN: Final = Principal(principal_id="admin", role=Role.ADMIN)
_PRINCIPALS: Final = {
    "Bearer agent": AGENT,
    "Bearer admin": ADMIN,
    "Bearer other-agent": Principal(principal_id="of-two", role=Role.AGENT, pool="default", agent_id="two"),
    "Bearer other-pool": Principal(principal_id="of-gpu", role=Role.AGENT, pool="gpu"),
    "Bearer one-tenant": Principal(principal_id="of-atlas", role=Role.AGENT, pool="default", tenant_id="borea"),
    "Bearer producer": Principal(principal_id="of-atlas", role=Role.PRODUCER, tenant_id="atlas"),
}


class WorldClock(ApiClock):
    """A client's clock that shows the world's time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms()


def _raise(error: Exception) -> None:
    raise error


class AgentsApi:
    """`lose`: how many answers are lost after the operation was done; `lose_after` so many calls it is two. `calls`:
    what was called.
    """

    def __init__(self, dispatcher: InMemoryDispatcher) -> None:
        self.calls: list[str] = []
        self.lose = 0
        self.lose_after: int | None = None
        self._dispatcher = dispatcher
        self._ids = 0
        ports = ApiPorts(
            router=dispatcher.router_ports(),
            identify=lambda event: _PRINCIPALS.get(event["headers"].get("authorization", "")),
            new_id=self._new_id,
            sleep=dispatcher.advance,
            events_queue_url=EVENTS,
            listing=InMemoryTaskListing(dispatcher.store),
        )
        self._api = Api(ports, (*agents.OPERATIONS, *attempts.OPERATIONS), unforeseen=_raise)

    def transport(self, key: str = "agent") -> Transport:
        client = httpx.Client(base_url=BASE, transport=httpx.MockTransport(self._answer))
        return Transport(BASE, key, client=client, sleep=lambda _seconds: None, chance=lambda: 0.0)

    def call(self, method: str, path: str, key: str = "agent", **more: Any) -> httpx.Response:
        """One call without a client's care."""
        headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
        client = httpx.Client(base_url=BASE, transport=httpx.MockTransport(self._answer))
        return client.request(method, path, headers=headers, **more)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if len(self.calls) == self.lose_after:
            self.lose = 2
        self.calls.append(f"{request.method} {request.url.path}")
        event = {
            "rawPath": request.url.path,
            "rawQueryString": request.url.query.decode(),
            "headers": dict(request.headers),
            "body": request.content.decode(),
            "requestContext": {"http": {"method": request.method}, "stage": "$default", "requestId": self._new_id()},
        }
        answer = self._api.handle(event)
        if self.lose:
            self.lose -= 1
            raise httpx.ReadTimeout("the answer was lost")
        return httpx.Response(answer["statusCode"], headers=answer["headers"], content=answer.get("body", "").encode())

    def _new_id(self) -> str:
        self._ids += 1
        return f"request-{self._ids}"
