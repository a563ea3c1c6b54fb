"""The WebSocket application over a dispatcher in memory, and a client of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.api.caller import context_of
from pushlane.api.sockets import Sockets
from pushlane.model.principal import Principal
from pushlane.router.following import Following
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi


@agent(task_types=("echo",))
def talkative(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Says something three times, and waits for an answer when it is told to."""
    for number in range(3):
        ctx.emit("token", {"n": number})
    if payload.get("asks"):
        return {"answer": dict(ctx.wait_for_signal("answer").data)}
    return {}


class SocketWorld:
    """`connect` a client, `say` something, `frames` are what it has got since."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "birch"))
        self.dispatcher.register(talkative, agent_id="one", slots=2)
        self.api = InMemoryApi(self.dispatcher)
        self.poster = self.dispatcher.event_logs.poster
        following = Following(self.dispatcher.store, self.poster, self.dispatcher.log)
        self.sockets = Sockets(self.api.ports, self.api.app.handle, following)
        self._ids = 0

    def connect(self, principal: Principal | None, name: str = "c1") -> int:
        """Open a connection; the status that API Gateway goes by."""
        self.poster.open(name)
        authorizer = {} if principal is None else {"authorizer": context_of(principal)}
        return int(self.sockets.handle(self._event(name, "CONNECT", **authorizer))["statusCode"])

    def disconnect(self, name: str = "c1") -> None:
        self.sockets.handle(self._event(name, "DISCONNECT"))

    def say(self, message: Any, name: str = "c1") -> Any:
        """Send a message (`bytes` as they are) and run what it sets in motion; the frame that it is answered by."""
        body = (
            message.decode(errors="surrogatepass")
            if isinstance(message, bytes)
            else msgspec.json.encode(message).decode()
        )
        answer = self.sockets.handle({**self._event(name, "MESSAGE"), "body": body})
        assert answer["statusCode"] == 200
        self.dispatcher.run_until_idle()
        return msgspec.json.decode(answer["body"]) if answer.get("body") else None

    def frames(self, name: str = "c1") -> list[Any]:
        """Take out what was posted to the connection."""
        return [msgspec.json.decode(body) for body in self.poster.take(name)]

    def sequences(self, name: str = "c1") -> list[int]:
        """The sequences of the events that were posted, in the order of their arrival."""
        frames = [frame for frame in self.frames(name) if frame["type"] == "events"]
        return [event["sequence"] for frame in frames for event in frame["events"]]

    def _event(self, name: str, kind: str, **more: Any) -> dict[str, Any]:
        self._ids += 1
        context = {
            "eventType": kind,
            "connectionId": name,
            "apiId": "api",
            "domainName": "api.example.com",
            "stage": "live",
            "requestId": f"request-{self._ids}",
        }
        return {"requestContext": context | more}
