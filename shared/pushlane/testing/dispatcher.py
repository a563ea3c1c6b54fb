"""A whole Pushlane in one process: the real router, agents' runtime, lifecycle and sweep over in-memory ports.

dispatcher = InMemoryDispatcher()
dispatcher.register(my_agent, agent_id="one", slots=2)
task_id = dispatcher.submit(task_type="echo", payload={"say": "hello"})
dispatcher.run_until_idle()
assert dispatcher.result(task_id) == {"said": "hello"}
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.agent.definition import AgentDefinition
from pushlane.agent.runtime import AgentPorts, AgentRuntime
from pushlane.inmemory import Faults, InMemoryBlobs, InMemoryItemStore, InMemorySender, InMemorySink, ManualClock
from pushlane.model.errors import PushlaneError, StoreUnavailable
from pushlane.model.ids import keyed_task_id, unkeyed_task_id
from pushlane.model.task import DEFAULT_POOL, Door
from pushlane.ports import Change, ConditionFailed, Message, Put, Scalar, Table, Update
from pushlane.router.app import Router, RouterPorts
from pushlane.router.deadline_metrics import deadline_metrics
from pushlane.router.held import HeldTenants
from pushlane.router.lifecycle import LifecyclePorts, publish_changes
from pushlane.router.policy import PolicyDirectory
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine
from pushlane.router.remembered import RememberedPools
from pushlane.router.sweep import Swept, sweep
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.state import keys
from pushlane.state.policies import PolicyChange, StoredPolicy, set_policy
from pushlane.testing.by_hand import LEASE_MS, AttemptByHand
from pushlane.testing.events import sqs_event, submit_envelope
from pushlane.testing.views import QUARANTINE, Views

START_MS: Final = 1_700_000_000_000
INTAKE: Final = "queue/intake"
RESULTS: Final = "queue/results"
WAKEUPS: Final = "queue/wakeups"
HELD: Final = "queue/held"
_STEPS_MAX: Final = 100_000
_BATCH: Final = 10
_REMAINING_MS: Final = 60_000


class NotIdle(PushlaneError):
    """Work kept coming for longer than a test should take: something is going round in circles."""


class InMemoryDispatcher(Views):
    """`tenants` are registered from the start. `faults` plays the store's failures. `clock` stands still by itself."""

    def __init__(
        self,
        *,
        tenants: tuple[str, ...] = ("atlas",),
        clock: ManualClock | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.clock = clock or ManualClock(START_MS)
        self._changes: list[Change] = []
        self.store = InMemoryItemStore(self.clock, faults=faults, change_listener=self._on_change)
        self.sender = InMemorySender(self.clock)
        self.sink = InMemorySink()
        self.blobs = InMemoryBlobs()
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.metrics: list[dict[str, Any]] = []
        self._sequence = 0
        self._runtimes: dict[str, AgentRuntime] = {}
        self.turn = TurnPorts(
            store=self.store,
            sender=self.sender,
            clock=self.clock,
            wakeups_queue_url=WAKEUPS,
            new_token=lambda: f"token-{self._next()}",
            back_off=lambda _replan: None,
            remembered=RememberedPools(),
            policies=PolicyDirectory(self.store, self.clock, self.log),
        )
        self.pusher = Pusher(self.store, self.sender, _signing_key)
        self.held = HeldTenants()
        self.router = self.new_router(self.held)
        for tenant_id in tenants:
            self.store.write(Put(keys.tenant_key(tenant_id), {"tenant_id": tenant_id, "status": "active"}))

    def new_router(self, held: HeldTenants | None = None) -> Router:
        """One more router over the same state, as another Lambda environment would be, with a memory of its own."""
        return Router(
            RouterPorts(
                turn=msgspec.structs.replace(
                    self.turn,
                    remembered=RememberedPools(),
                    policies=PolicyDirectory(self.store, self.clock, self.log),
                ),
                pusher=self.pusher,
                tenants=TenantDirectory(self.store, self.clock),
                quarantine=Quarantine(self.store, self.sender, self.clock, QUARANTINE),
                held=HeldTenants() if held is None else held,
                signing_key=_signing_key,
                accept_unsigned_tenant=True,
                results_queue_arn=RESULTS,
                wakeups_queue_arn=WAKEUPS,
                held_queue_arn=HELD,
                held_queue_url=HELD,
                log=self.log,
            )
        )

    def register(
        self,
        definition: AgentDefinition | None,
        *,
        agent_id: str,
        slots: int = 1,
        capabilities: tuple[str, ...] = (),
        pool: str = DEFAULT_POOL,
    ) -> None:
        """Register an agent, or change one; without `capabilities` it can do its task types. Without a definition
        nothing runs what is pushed to it but the test itself, by `take`.
        """
        queue_url = agent_queue(agent_id, pool)
        if definition is None and not capabilities:
            raise ValueError(f"agent {agent_id}: say what it can do, by a definition or by capabilities")
        attributes: dict[str, Scalar] = {
            "agent_id": agent_id,
            "pool": pool,
            "capabilities": list(capabilities or (() if definition is None else definition.task_types)),
            "slots": slots,
            "queue_url": queue_url,
            "status": "ACTIVE",
        }
        self.store.write(Update(keys.agent_key(pool, agent_id), set=attributes, add={"used": 0, "revision": 0}))
        self.store.write(Put(keys.pool_registration_key(pool), {"pool": pool}))
        self._runtimes.pop(queue_url, None)
        if definition is not None:
            self._runtimes[queue_url] = AgentRuntime(definition, self.agent_ports())

    def take(self, agent_id: str, pool: str = DEFAULT_POOL, *, lease_ms: int = LEASE_MS) -> AttemptByHand:
        """Start the next attempt that was pushed to an agent without a definition; raises `LookupError` if none was.

        A push that came twice, or too late, is passed over, as an agent does.
        """
        while batch := self.sender.drain(agent_queue(agent_id, pool), limit=1):
            try:
                return AttemptByHand(batch[0], self.agent_ports(), lease_ms)
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
            results_queue_url=RESULTS,
            new_call_id=lambda: f"call-{self._next()}",
            log=self.log,
        )

    def submit(self, **data: Any) -> str:
        """Send a submission to the intake queue; returns the task id that it will have."""
        message_id = f"message-{self._next()}"
        envelope = submit_envelope(**data)
        self.sender.send(INTAKE, [Message(msgspec.json.encode({"id": message_id, "envelope": envelope}).decode())])
        tenant_id, key = str(envelope["data"]["tenant_id"]), envelope["data"].get("idempotency_key")
        return keyed_task_id(tenant_id, key) if key else unkeyed_task_id(tenant_id, Door.SQS, message_id)

    def run_until_idle(self) -> None:
        """Deliver what is visible until nothing is. Raises `NotIdle` when that takes more than 100,000 deliveries."""
        for _ in range(_STEPS_MAX):
            if not self.step():
                return
        raise NotIdle(f"still busy after {_STEPS_MAX} deliveries at {self.clock.now_ms()}")

    def step(self) -> bool:
        """Deliver one batch of each queue, and the changes; says whether there was any."""
        moved = [self._deliver_intake(), *(self._deliver(queue) for queue in (RESULTS, WAKEUPS, HELD))]
        moved += [self._deliver_agent(url) for url in sorted(self._runtimes)]
        return any([*moved, self.publish()])

    def advance(self, seconds: float) -> None:
        """Let time pass and do what falls due in it, wake-up by wake-up."""
        until_ms = self.clock.now_ms() + round(seconds * 1_000)
        self.run_until_idle()
        while (visible_ms := self._next_visible_ms()) is not None and visible_ms <= until_ms:
            self.clock.advance(max(0, visible_ms - self.clock.now_ms()))
            self.run_until_idle()
        self.clock.advance(until_ms - self.clock.now_ms())

    def advance_to(self, time_ms: int) -> None:
        """The same until a time in Unix milliseconds."""
        self.advance((time_ms - self.clock.now_ms()) / 1_000)

    def advance_with_sweeps(self, minutes: int) -> list[Swept]:
        """Let minutes pass as on the platform: with a sweep at the end of each."""
        swept: list[Swept] = []
        for _ in range(minutes):
            self.advance(60)
            swept.append(self.sweep())
            self.run_until_idle()
        return swept

    def sweep(self) -> Swept:
        """What the platform does once a minute."""
        return sweep(self.turn, self.pusher, self.log)

    def publish(self) -> bool:
        """Run the lifecycle over the changes since the last time."""
        changes, self._changes = self._changes, []
        ports = LifecyclePorts(
            sink=self.sink,
            sender=self.sender,
            quarantine_queue_url=QUARANTINE,
            log=self.log,
            measure=lambda facts: self.metrics.extend(deadline_metrics(facts, "local")),
        )
        if changes:
            publish_changes(ports, changes)
        return bool(changes)

    def log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))

    def _deliver_intake(self) -> bool:
        batch = self.sender.drain(INTAKE, limit=_BATCH)
        bodies = {raw["id"]: raw["envelope"] for raw in (msgspec.json.decode(m.body) for m in batch)}
        event = sqs_event(INTAKE, [(key, msgspec.json.encode(body).decode()) for key, body in bodies.items()])
        again = self._handle(event) if batch else set()
        for message_id in sorted(again):
            kept = {"id": message_id, "envelope": bodies[message_id]}
            self.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])
        return bool(batch)

    def _deliver(self, queue: str) -> bool:
        batch = {f"message-{self._next()}": message for message in self.sender.drain(queue, limit=_BATCH)}
        again = self._handle(sqs_event(queue, [(key, m.body) for key, m in batch.items()])) if batch else set()
        self.sender.send(queue, [Message(batch[message_id].body, delay_seconds=1) for message_id in sorted(again)])
        return bool(batch)

    def _handle(self, event: Mapping[str, Any]) -> set[str]:
        """What must be delivered again: as with Lambda, everything when the handler itself dies."""
        try:
            answer = self.router.handle(event)
        except StoreUnavailable:
            return {str(record["messageId"]) for record in event["Records"]}
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}

    def _deliver_agent(self, queue_url: str) -> bool:
        batch = self.sender.drain(queue_url, limit=1)
        for message in batch:
            try:
                self._runtimes[queue_url].run(message.body, _REMAINING_MS)
            except StoreUnavailable:
                self.sender.send(queue_url, [Message(message.body, delay_seconds=1)])
        return bool(batch)

    def _next_visible_ms(self) -> int | None:
        watched = (INTAKE, RESULTS, WAKEUPS, HELD, *self._runtimes)
        return min((at for at in map(self.sender.next_visible_of, watched) if at is not None), default=None)

    def _on_change(self, change: Change) -> None:
        if change.key.table in (Table.TASKS, Table.ATTEMPTS):
            self._changes.append(change)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def agent_queue(agent_id: str, pool: str = DEFAULT_POOL) -> str:
    """The queue that is pushed to; agents of different pools may have the same name."""
    return f"queue/agent/{agent_id}" if pool == DEFAULT_POOL else f"queue/agent/{pool}/{agent_id}"


def _signing_key() -> bytes:
    return b"a key for tests only, thirty-two bytes"
