"""The six ways to an agent, each with everything that is real in it: pusher, courier, API, the agent's runtime."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pushlane.agent.context import TaskContext
from pushlane.agent.definition import AgentDefinition, agent
from pushlane.agent.heartbeat.inmemory import InMemoryHeartbeats, Process
from pushlane.agent.http import HttpAgentRuntime, PushedAgent
from pushlane.agent.runtime import AgentRuntime
from pushlane.inmemory.poster import InMemoryPoster
from pushlane.model.derived_secrets import secret_text
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.live import Connection
from pushlane.model.target_url import Answer
from pushlane.ports import Clock, ItemStore
from pushlane.router.callbacks import CallbackDirectory
from pushlane.router.courier import Courier
from pushlane.router.courier_ports import CourierPorts
from pushlane.router.dispatch_delivery import agent_secret
from pushlane.state.connections import Connected, connect
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import OUTBOUND, agent_queue
from pushlane.testing.dispatcher import RING
from pushlane.wiring.agents import dispatches_of
from tests.conformance.endpoints.http_api import AGENT, AgentsApi, WorldClock

Work = Callable[[TaskContext, Any], Any]
LAMBDA_ARN: Final = "arn:aws:lambda:eu-west-1:123456789012:function:one"
TOPIC_ARN: Final = "arn:aws:sns:eu-west-1:123456789012:one"
URL: Final = "https://agent.example/dispatch"
_REMAINING_MS: Final = 60_000


class Way(ABC):
    """An agent `one` behind one kind of endpoint. What arrives is run by the test, when it likes."""

    kind: EndpointKind
    target = ""

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        self.dispatcher = dispatcher
        self.definition: AgentDefinition = agent(task_types=("work",))(work)
        self.api = AgentsApi(dispatcher)
        self.refuses = False
        dispatcher.register(
            None, agent_id="one", slots=2, capabilities=("work",), endpoint=Endpoint(kind=self.kind, target=self.target)
        )

    @abstractmethod
    def arrivals(self) -> list[bytes]:
        """The dispatch documents that have reached the agent since the last time."""

    @abstractmethod
    def run(self, document: bytes) -> bool:
        """Run one in the agent; False when it was not the agent's to run, or is not any more."""

    @abstractmethod
    def lose(self) -> None:
        """What is under way to the agent never arrives."""

    @abstractmethod
    def dies(self, task_id: str) -> None:
        """The process that runs the task says nothing more, for now."""

    def settle(self) -> None:
        self.dispatcher.run_until_idle()


class _OnLambda(Way):
    """A function of ours: it writes its attempt itself."""

    def run(self, document: bytes) -> bool:
        ran = AgentRuntime(self.definition, self.dispatcher.agent_ports()).run(document, _REMAINING_MS)
        self.settle()
        return ran

    def arrivals(self) -> list[bytes]:
        self.settle()
        sent = self.dispatcher.sender.drain(self.target)
        return [body.encode() for one in sent for body in dispatches_of(self.event(one.body))]

    def lose(self) -> None:
        self.settle()
        assert self.dispatcher.sender.drain(self.target)

    def dies(self, task_id: str) -> None:
        self.dispatcher.heartbeats.of(task_id).process = Process.FROZEN

    @abstractmethod
    def event(self, body: str) -> Mapping[str, Any]:
        """What Lambda calls the function with."""


class BySqs(_OnLambda):
    kind = EndpointKind.SQS
    target = agent_queue("one")

    def event(self, body: str) -> Mapping[str, Any]:
        return {"Records": [{"messageId": "m", "body": body, "eventSource": "aws:sqs"}]}


class ByLambda(_OnLambda):
    kind = EndpointKind.LAMBDA
    target = LAMBDA_ARN

    def event(self, body: str) -> Mapping[str, Any]:
        return dict(json.loads(body))


class BySns(_OnLambda):
    kind = EndpointKind.SNS
    target = TOPIC_ARN

    def event(self, body: str) -> Mapping[str, Any]:
        return {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "m", "Message": body}}]}


class _OverHttp(Way):
    """An agent outside of AWS: it says every word to the API."""

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        super().__init__(dispatcher, work)
        self.hearts: list[InMemoryHeartbeats] = []
        self._calls = 0
        self.runtime = HttpAgentRuntime(
            self.definition,
            self.api.transport(),
            clock=WorldClock(dispatcher.clock),
            heartbeats=self._heart,
            new_call_id=self._new_call_id,
            sleep=dispatcher.advance,
            log=dispatcher.log,
        )

    def run(self, document: bytes) -> bool:
        ran = self.runtime.run(document)
        self.settle()
        return ran

    def dies(self, task_id: str) -> None:
        self.hearts[-1].of(task_id).process = Process.FROZEN

    def _heart(self, store: ItemStore, clock: Clock) -> InMemoryHeartbeats:
        self.hearts.append(InMemoryHeartbeats(store, clock))
        return self.hearts[-1]

    def _new_call_id(self) -> str:
        self._calls += 1
        return f"run-{self._calls}"


class _ByCourier(_OverHttp):
    """Dispatches pass through the outbound queue and the real courier."""

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        super().__init__(dispatcher, work)
        self.poster = InMemoryPoster()
        self.received: list[bytes] = []
        self.courier = Courier(
            CourierPorts(
                store=dispatcher.store,
                blobs=dispatcher.blobs,
                clock=dispatcher.clock,
                http=self,
                poster=self.poster,
                postponer=self,
                keyring=lambda: RING,
                directory=CallbackDirectory(dispatcher.store, dispatcher.clock),
                callbacks_queue_arn="callbacks",
                outbound_queue_arn=OUTBOUND,
                chance=lambda: 0.5,
                log=dispatcher.log,
            )
        )

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The agent's web server."""
        raise AssertionError(f"nothing is posted to {url} of this agent")

    def postpone(self, queue_arn: str, receipt: str, seconds: int) -> None:
        raise AssertionError("a dispatch is not tried again by the courier: its start lease is there for that")

    def carry(self) -> None:
        """Let the courier deliver what is there."""
        self.settle()
        records = [
            {"messageId": str(n), "receiptHandle": "r", "body": one.body, "eventSourceARN": OUTBOUND, "attributes": {}}
            for n, one in enumerate(self.dispatcher.sender.drain(OUTBOUND))
        ]
        if records:
            assert self.courier.handle({"Records": records}) == {"batchItemFailures": []}

    def lose(self) -> None:
        self.settle()
        assert self.dispatcher.sender.drain(OUTBOUND)


class _Kept:
    """A runtime that keeps what it is to run, for the test to run it."""

    def __init__(self, received: list[bytes]) -> None:
        self._received = received

    def run(self, document: bytes) -> bool:
        self._received.append(document)
        return True


class ByHttps(_ByCourier):
    kind = EndpointKind.HTTPS
    target = URL

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        super().__init__(dispatcher, work)
        secret = secret_text(agent_secret(RING.signing()[1], "default", "one"))
        self.pushed = PushedAgent(_Kept(self.received), [secret], now_seconds=lambda: dispatcher.clock.now_ms() / 1_000)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The agent's web server."""
        assert url == URL
        taken = self.pushed.handle(headers, body)
        if taken.running is not None:
            taken.running.result(timeout=5)
        return Answer(status=taken.status, headers={}, body=b"")

    def arrivals(self) -> list[bytes]:
        self.carry()
        taken = list(self.received)
        self.received.clear()
        return taken


class ByWebSocket(_ByCourier):
    kind = EndpointKind.WEBSOCKET
    target = "connection-1"

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        super().__init__(dispatcher, work)
        self.poster.open(self.target)
        place = Connection(connection_id=self.target, api_id="a", domain="ws.example", stage="live")
        connect(dispatcher.store, Connected(connection=place, principal=AGENT, opened_at_ms=dispatcher.clock.now_ms()))

    def arrivals(self) -> list[bytes]:
        self.carry()
        frames = [msgspec.json.decode(body, type=dict[str, msgspec.Raw]) for body in self.poster.take(self.target)]
        return [bytes(frame["dispatch"]) for frame in frames]


class ByPull(_OverHttp):
    kind = EndpointKind.PULL

    def __init__(self, dispatcher: InMemoryDispatcher, work: Work) -> None:
        super().__init__(dispatcher, work)
        self._claims = 0

    def arrivals(self) -> list[bytes]:
        self.settle()
        self._claims += 1
        said = {"claim_id": f"claim-{self._claims}", "max": 2}
        answer = self.api.transport().post("/v1/agents/one/claim", said)
        return [msgspec.json.encode(one) for one in answer["dispatches"]]

    def lose(self) -> None:
        assert self.arrivals()


WAYS: Final[Mapping[str, type[Way]]] = {
    way.kind.value: way for way in (BySqs, ByLambda, BySns, ByHttps, ByWebSocket, ByPull)
}
