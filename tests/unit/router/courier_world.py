"""A courier over in-memory ports, and a receiver of the test's own."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.inmemory.poster import InMemoryPoster
from pushlane.model.callback import Callback, CallbackSettings
from pushlane.model.target_url import Answer, InvalidTarget, TargetUnreachable
from pushlane.ports import PublishedFact
from pushlane.router.callbacks import CallbackDirectory
from pushlane.router.courier import Courier
from pushlane.router.courier_ports import CourierPorts
from pushlane.state.callbacks import set_default
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.dispatcher import RING

CALLBACKS: Final = "arn:callbacks"
OUTBOUND: Final = "arn:outbound"
URL: Final = "https://hooks.example/done"
TAKEN: Final = Answer(status=200, headers={}, body=b"")


class Receiver:
    """What was posted, and what is answered: an answer, or an error that is raised."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[Answer | InvalidTarget | TargetUnreachable] = []

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.posted.append((url, dict(headers), body))
        answer = self.answers.pop(0) if self.answers else TAKEN
        if isinstance(answer, Answer):
            return answer
        raise answer

    @property
    def bodies(self) -> list[Any]:
        return [msgspec.json.decode(body) for _, _, body in self.posted]


class Postponements:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, int]] = []

    def postpone(self, queue_arn: str, receipt: str, seconds: int) -> None:
        self.said.append((queue_arn, receipt, seconds))


class CourierWorld:
    """A dispatcher whose facts reach a courier as EventBridge brings them."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borea"))
        self.dispatcher.register(None, agent_id="one", capabilities=("echo",))
        self.receiver = Receiver()
        self.postponed = Postponements()
        self.poster = InMemoryPoster()
        self.courier = Courier(
            CourierPorts(
                store=self.dispatcher.store,
                blobs=self.dispatcher.blobs,
                clock=self.dispatcher.clock,
                http=self.receiver,
                poster=self.poster,
                postponer=self.postponed,
                keyring=lambda: RING,
                directory=CallbackDirectory(self.dispatcher.store, self.dispatcher.clock),
                callbacks_queue_arn=CALLBACKS,
                outbound_queue_arn=OUTBOUND,
                chance=lambda: 0.5,
                log=self.dispatcher.log,
            )
        )

    def set_default(self, tenant_id: str = "atlas", **said: Any) -> CallbackSettings:
        default = Callback(url=URL, **said)
        made = set_default(self.dispatcher.store, tenant_id, default, RING.current, self.dispatcher.clock.now_ms())
        self.dispatcher.advance(1)  # by then every router knows
        return made

    def told(self) -> list[PublishedFact]:
        """The facts that the rule of the bus takes."""
        facts = self.dispatcher.sink.published
        return [fact for fact in facts if msgspec.json.decode(fact.body)["data"].get("callback") is True]

    def deliver(self, *bodies: str, queue: str = CALLBACKS, receives: int = 1) -> list[str]:
        """Deliver messages; the ids of those that come again."""
        records = [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "eventSourceARN": queue,
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.courier.handle({"Records": records})
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]

    def deliver_told(self, receives: int = 1) -> list[str]:
        return self.deliver(*map(as_event, self.told()), receives=receives)


def as_event(fact: PublishedFact) -> str:
    """A fact as EventBridge puts it into a queue: re-serialised, within its own envelope."""
    event = {"version": "0", "id": "e", "detail-type": fact.name, "detail": msgspec.json.decode(fact.body)}
    return msgspec.json.encode(event).decode()
