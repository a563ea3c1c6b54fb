"""A whole Pushlane in one process: the real router, agents' runtime, lifecycle and sweep over in-memory ports.

dispatcher = InMemoryDispatcher()
dispatcher.register(my_agent, agent_id="one", slots=2)
task_id = dispatcher.submit(task_type="echo", payload={"say": "hello"})
dispatcher.run_until_idle()
assert dispatcher.result(task_id) == {"said": "hello"}
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from pushlane.agent.definition import AgentDefinition
from pushlane.agent.heartbeat.inmemory import InMemoryHeartbeats
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.inmemory import Faults, InMemoryBlobs, InMemoryItemStore, InMemorySender, InMemorySink, ManualClock
from pushlane.inmemory.schedules import InMemorySchedules
from pushlane.model.endpoint import Endpoint, EndpointKind, sqs
from pushlane.model.ids import keyed_task_id, unkeyed_task_id
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.task import DEFAULT_POOL, Door
from pushlane.ports import Change, ConditionFailed, ItemStore, Message, Put, Scalar, Table, Tracing, Update
from pushlane.router.app import Router
from pushlane.router.callbacks import CallbackDirectory, Callbacks
from pushlane.router.endpoints import Endpoints
from pushlane.router.held import HeldTenants
from pushlane.router.lifecycle import LifecyclePorts, publish_changes
from pushlane.router.policy import PolicyDirectory
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.remembered import RememberedPools
from pushlane.router.sweep import Swept, sweep
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.router.turn_spans import TurnSpans
from pushlane.state import keys
from pushlane.state.access_keys import find_key
from pushlane.state.cached import Cached
from pushlane.state.items import endpoint_attributes
from pushlane.state.policies import PolicyChange, StoredPolicy, set_policy
from pushlane.state.pools import registered_pools
from pushlane.telemetry.changes import spans_of
from pushlane.telemetry.deadline_metrics import deadline_metrics
from pushlane.telemetry.folding import Measures
from pushlane.telemetry.metrics import pool_metrics, task_metrics
from pushlane.telemetry.sampling import sample_pools
from pushlane.testing.by_hand import LEASE_MS, AttemptByHand
from pushlane.testing.deliveries import HELD, INTAKE, OUTBOUND, RESULTS, WAKEUPS, Deliveries, agent_queue
from pushlane.testing.event_logs import EVENTS, EventLogs
from pushlane.testing.events import submit_envelope
from pushlane.testing.views import QUARANTINE, Views

RING: Final = ring_of(b"a key for tests only, thirty-two bytes")
START_MS: Final = 1_700_000_000_000


class InMemoryDispatcher(Deliveries, Views):
    """`tenants` are registered from the start. `faults` plays the store's failures. `clock` stands still by itself.
    `tracing`: where the handlers export spans to (`InMemorySpans`); by default they do not.
    """

    def __init__(
        self,
        *,
        tenants: tuple[str, ...] = ("atlas",),
        clock: ManualClock | None = None,
        faults: Faults | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing
        self.clock = clock or ManualClock(START_MS)
        self._changes: list[Change] = []
        self.store = self.new_store(faults)
        self.sender = self.new_sender()
        self.schedules = InMemorySchedules(self.clock, self.sender, WAKEUPS)
        self.sink = self.new_sink()
        self.blobs = InMemoryBlobs()
        self.heartbeats = InMemoryHeartbeats(self.store, self.clock)
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.metrics: list[dict[str, Any]] = []
        # What is measured is not what is tested: it does not meet the faults.
        self._measured = self.measured_store()
        self.measures = Measures(self._measured, self.log)
        self._sequence = 0
        self._runtimes: dict[str, AgentRuntime] = {}
        self.turn = TurnPorts(
            store=self.store,
            sender=self.sender,
            blobs=self.blobs,
            clock=self.clock,
            wakeups_queue_url=WAKEUPS,
            new_token=lambda: f"token-{self._next()}",
            back_off=lambda _replan: None,
            remembered=RememberedPools(),
            policies=PolicyDirectory(self.store, self.clock, self.log),
        )
        direct = dict.fromkeys((EndpointKind.LAMBDA, EndpointKind.SNS), self.sender)
        self.endpoints = Endpoints(self.sender, direct, OUTBOUND)
        self.event_logs = EventLogs(self.store, self.sender, self.clock, _keyring, self.log)
        self.turn_spans = None if tracing is None else TurnSpans(tracing, self.clock)
        self.pusher = Pusher(self.store, self.endpoints, self.blobs, _keyring, self.turn_spans)
        self.held = HeldTenants()
        self.router = self.new_router(self.held)
        for tenant_id in tenants:
            self.store.write(Put(keys.tenant_key(tenant_id), {"tenant_id": tenant_id, "status": "active"}))

    # A subclass that counts what passes through them makes its own.

    def new_store(self, faults: Faults | None) -> InMemoryItemStore:
        return InMemoryItemStore(self.clock, faults=faults, change_listener=self._on_change)

    def measured_store(self) -> ItemStore:
        """The same store as the measures' own."""
        return self.store.without_faults()

    def new_sender(self) -> InMemorySender:
        return InMemorySender(self.clock)

    def new_sink(self) -> InMemorySink:
        return InMemorySink()

    def new_router(self, held: HeldTenants | None = None) -> Router:
        """One more router over the same state, as another Lambda environment would be, with a memory of its own."""
        return Router(self.router_ports(held))

    def router_ports(self, held: HeldTenants | None = None) -> RouterPorts:
        """The ports of one more environment that runs turns: a router's, or an API's."""
        tenants = TenantDirectory(self.store, self.clock)
        return RouterPorts(
            turn=msgspec.structs.replace(
                self.turn,
                remembered=RememberedPools(),
                policies=PolicyDirectory(self.store, self.clock, self.log),
            ),
            pusher=self.pusher,
            tenants=tenants,
            quarantine=Quarantine(self.store, self.sender, self.clock, QUARANTINE),
            held=HeldTenants() if held is None else held,
            keyring=_keyring,
            access_key=Cached(partial(find_key, self.store), self.clock).get,
            accept_unsigned_tenant=True,
            results_queue_arn=RESULTS,
            wakeups_queue_arn=WAKEUPS,
            held_queue_arn=HELD,
            held_queue_url=HELD,
            log=self.log,
            callbacks=Callbacks(CallbackDirectory(self.store, self.clock), tenants),
            turn_spans=self.turn_spans,
        )

    def register(
        self,
        definition: AgentDefinition | None,
        *,
        agent_id: str,
        slots: int = 1,
        capabilities: tuple[str, ...] = (),
        pool: str = DEFAULT_POOL,
        endpoint: Endpoint | None = None,
    ) -> None:
        """Register an agent, or change one; without `capabilities` it can do its task types. Without a definition
        nothing runs what is pushed to it but the test itself, by `take`. `endpoint`: where it is pushed to, instead of
        a queue of its own; what goes to a courier lies in the queue `OUTBOUND`; a pull agent claims.
        """
        to = endpoint or sqs(agent_queue(agent_id, pool))
        if definition is None and not capabilities:
            raise ValueError(f"agent {agent_id}: say what it can do, by a definition or by capabilities")
        attributes: dict[str, Scalar] = {
            "agent_id": agent_id,
            "pool": pool,
            "capabilities": list(capabilities or (() if definition is None else definition.task_types)),
            "slots": slots,
            **endpoint_attributes(to),
            "status": "ACTIVE",
        }
        self.store.write(Update(keys.agent_key(pool, agent_id), set=attributes, add={"used": 0, "revision": 0}))
        self.store.write(Put(keys.pool_registration_key(pool), {"pool": pool}))
        self._runtimes.pop(to.target, None)
        if definition is not None and to.target:
            self._runtimes[to.target] = AgentRuntime(definition, self.agent_ports())

    def take(
        self, agent_id: str, pool: str = DEFAULT_POOL, *, lease_ms: int = LEASE_MS, heartbeat: bool = False
    ) -> AttemptByHand:
        """Start the next attempt that was pushed to an agent without a definition; raises `LookupError` if none was.

        A push that came twice, or too late, is passed over, as an agent does. With `heartbeat` its lease is short, and
        extended while `advance` lets time pass.
        """
        while batch := self.sender.drain(agent_queue(agent_id, pool), limit=1):
            try:
                return AttemptByHand(batch[0], self.agent_ports(), lease_ms, heartbeat=heartbeat)
            except ConditionFailed:
                self.log("not-started", agent_id=agent_id, reason="duplicate or stale")
        raise LookupError(f"nothing was pushed to agent {agent_id} of pool {pool}")

    def set_policy(self, **document: Any) -> StoredPolicy:
        """Make the document the current policy, as `pushlane policy set` does; this router goes by it at once.

        Raises `InvalidPolicy` for one that is refused.
        """
        said = msgspec.json.encode(document)
        change = PolicyChange(document=said, change_id=f"change-{self._next()}", changed_by="test")
        stored = set_policy(self.store, change, self.clock.now_ms())
        self.turn = msgspec.structs.replace(self.turn, policies=PolicyDirectory(self.store, self.clock, self.log))
        self.router = self.new_router(self.held)
        return stored

    def agent_ports(self) -> AgentPorts:
        """The ports of an agent's runtime, each call id fresh."""
        return AgentPorts(
            store=self.store,
            sender=self.sender,
            blobs=lambda: self.blobs,
            clock=self.clock,
            heartbeat=self.heartbeats,
            sleep=self.advance,
            results_queue_url=RESULTS,
            events_queue_url=EVENTS,
            intake_queue_urls=(INTAKE,),
            new_call_id=lambda: f"call-{self._next()}",
            log=self.log,
            tracing=self.tracing,
        )

    def submit(self, **data: Any) -> str:
        """Send a submission to the intake queue; returns the task id that it will have."""
        envelope = submit_envelope(**data)
        message_id = self.send(envelope)
        tenant_id, key = str(envelope["data"]["tenant_id"]), envelope["data"].get("idempotency_key")
        return keyed_task_id(tenant_id, key) if key else unkeyed_task_id(tenant_id, Door.SQS, message_id)

    def command(self, name: str, **data: Any) -> None:
        """Send a command (`CancelTask`, `SignalTask`, `RedriveTask`, ...) about a tenant's task to the intake queue."""
        self.send({"metadata": {"name": name, "version": 1}, "data": {"tenant_id": "atlas", **data}})

    def send(self, envelope: Mapping[str, Any]) -> str:
        """Send an envelope to the intake queue; returns the id of its message."""
        message_id = f"message-{self._next()}"
        self.sender.send(INTAKE, [Message(msgspec.json.encode({"id": message_id, "envelope": envelope}).decode())])
        return message_id

    def sweep(self) -> Swept:
        """What the platform does once a minute."""
        swept = sweep(self.turn, self.pusher, self.log)
        policy = PolicyDirectory(self._measured, self.clock, self.log).current()
        pools = sorted({*registered_pools(self._measured), *policy.pools})
        sampled = sample_pools(self._measured, pools, policy, self.clock.now_ms(), self.log)
        self.metrics.extend(pool_metrics(sampled, "local"))
        return swept

    def publish(self) -> bool:
        """Run the lifecycle over the changes since the last time."""
        changes, self._changes = self._changes, []
        ports = LifecyclePorts(
            sink=self.sink,
            sender=self.sender,
            events_queue_url=EVENTS,
            quarantine_queue_url=QUARANTINE,
            keyring=_keyring,
            log=self.log,
            measure=lambda facts: self.metrics.extend(deadline_metrics(facts, "local")),
            trace=self._trace,
            count=lambda batch: self.metrics.extend(task_metrics(self.measures.fold_changes(batch), "local")),
        )
        if changes:
            publish_changes(ports, changes)
        return bool(changes)

    def _trace(self, changes: Sequence[Change]) -> None:
        if self.tracing is not None:
            self.tracing.exporter.export(spans_of(changes, self.tracing))

    def log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def _on_change(self, change: Change) -> None:
        if change.key.table in (Table.TASKS, Table.ATTEMPTS):
            self._changes.append(change)


def _keyring() -> KeyRing:
    return RING
