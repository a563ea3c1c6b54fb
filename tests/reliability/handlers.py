"""The real handlers over the world's ports, each environment with a memory of its own, as Lambda's are."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from pushlane.agent.heartbeat import Heartbeat
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.inmemory import ManualClock
from pushlane.model.agent import AgentStatus
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.ports import BlobStore, FactSink, ItemStore, MessageSender, Poster
from pushlane.router.app import Router
from pushlane.router.endpoints import Endpoints
from pushlane.router.held import HeldTenants
from pushlane.router.lifecycle import LifecyclePorts
from pushlane.router.policy import PolicyDirectory
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.remembered import RememberedPools
from pushlane.router.streamer import Streamer, StreamerPorts
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.telemetry.folding import Measures
from tests.reliability.behaviour import Stage, definition

INTAKE: Final = "queue/intake"
RESULTS: Final = "queue/results"
WAKEUPS: Final = "queue/wakeups"
HELD: Final = "queue/held"
EVENTS: Final = "queue/events"
QUARANTINE: Final = "queue/quarantine"
AGENTS: Final = "queue/agent/"
RING: Final = ring_of(b"a key for tests only, thirty-two bytes")
ACTIVE: Final = AgentStatus.ACTIVE.value
_EVENTS_KEPT_SECONDS: Final = 7 * 24 * 3_600


class Outside(Struct, frozen=True, kw_only=True):
    """The ports that all handlers share."""

    store: ItemStore
    sender: MessageSender
    sink: FactSink
    blobs: BlobStore
    agents_blobs: BlobStore
    clock: ManualClock
    new_id: Callable[[str], str]
    log: Callable[..., None]
    back_off: Callable[[int], None]


class SkewedClock:
    """An agent's own clock."""

    def __init__(self, clock: ManualClock, skew_ms: int) -> None:
        self._clock = clock
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._skew_ms


class RouterEnvironment:
    """One warm router. `seen`: how many commits there had been when it last worked."""

    def __init__(self, outside: Outside) -> None:
        self.turn = turn_ports(outside)
        self.pusher = Pusher(outside.store, Endpoints(outside.sender), outside.blobs, keyring)
        self.busy = False
        self.seen = 0
        self.router = Router(
            RouterPorts(
                turn=self.turn,
                pusher=self.pusher,
                tenants=TenantDirectory(outside.store, outside.clock),
                quarantine=Quarantine(outside.store, outside.sender, outside.clock, QUARANTINE),
                held=HeldTenants(),
                keyring=keyring,
                accept_unsigned_tenant=True,
                results_queue_arn=RESULTS,
                wakeups_queue_arn=WAKEUPS,
                held_queue_arn=HELD,
                held_queue_url=HELD,
                log=outside.log,
            )
        )


def turn_ports(outside: Outside) -> TurnPorts:
    return TurnPorts(
        store=outside.store,
        sender=outside.sender,
        blobs=outside.blobs,
        clock=outside.clock,
        wakeups_queue_url=WAKEUPS,
        new_token=lambda: outside.new_id("token"),
        back_off=outside.back_off,
        remembered=RememberedPools(),
        policies=PolicyDirectory(outside.store, outside.clock, outside.log),
    )


def lifecycle_ports(outside: Outside) -> LifecyclePorts:
    return LifecyclePorts(
        sink=outside.sink,
        sender=outside.sender,
        events_queue_url=EVENTS,
        quarantine_queue_url=QUARANTINE,
        keyring=keyring,
        log=outside.log,
        measure=lambda _facts: None,
        count=Measures(outside.store, outside.log).fold_changes,
    )


def streamer(outside: Outside, poster: Poster) -> Streamer:
    return Streamer(
        StreamerPorts(
            store=outside.store,
            clock=outside.clock,
            keyring=keyring,
            sender=outside.sender,
            events_queue_url=EVENTS,
            retention_seconds=_EVENTS_KEPT_SECONDS,
            back_off=lambda _tried: None,
            log=outside.log,
            measure=lambda _counts: None,
            poster=poster,
        )
    )


def agent_runtime(outside: Outside, stage: Stage, heartbeat: Heartbeat, skew_ms: int) -> AgentRuntime:
    """One invocation's runtime: the call id is its own."""
    ports = AgentPorts(
        store=outside.store,
        sender=outside.sender,
        blobs=lambda: outside.agents_blobs,
        clock=SkewedClock(outside.clock, skew_ms),
        heartbeat=heartbeat,
        sleep=lambda seconds: stage.sleep(round(seconds * 1_000)),
        results_queue_url=RESULTS,
        events_queue_url=EVENTS,
        intake_queue_urls=(INTAKE,),
        new_call_id=stage.call_id,
        log=outside.log,
    )
    return AgentRuntime(definition(stage), ports)


def keyring() -> KeyRing:
    return RING


def agent_item(agent_id: str, pool: str, capabilities: tuple[str, ...], slots: int) -> dict[str, Any]:
    """What CloudFormation hands to the registry for one agent."""
    return {
        "AgentId": agent_id,
        "Pool": pool,
        "Capabilities": list(capabilities),
        "Slots": str(slots),
        "QueueUrl": queue_of(agent_id, pool),
    }


def queue_of(agent_id: str, pool: str) -> str:
    return f"{AGENTS}{pool}/{agent_id}"
