"""Runs an agent without AWS, on a clock that stands still unless the agent sleeps: for an author's tests, and for
`pushlane agent run`.

It is the real runtime over in-memory ports; what the router would do in between is done here in the simplest way: what
yields or sleeps goes on at once, in a new invocation; what fails is not tried again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent.checkpoints import checkpoint_of
from pushlane.agent.definition import AgentDefinition
from pushlane.agent.heartbeat.inmemory import InMemoryHeartbeats
from pushlane.agent.payloads import Claims
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import AgentRuntime
from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore, InMemorySender, ManualClock
from pushlane.model.attempt import ErrorDetail, Order, Outcome, OutcomeKind, Usage
from pushlane.model.emitted import PROGRESS, Emitted
from pushlane.model.errors import PushlaneError
from pushlane.model.events import Dispatch, SubmitData, SubmitTask
from pushlane.model.ids import keyed_task_id
from pushlane.model.signals import CHILD_PREFIX, Signal
from pushlane.model.task import Status
from pushlane.model.workflow import ParentResult
from pushlane.ports import Message, Put, Scalar, Update, Write
from pushlane.state import attempts

START_MS: Final = 1_700_000_000_000
_PK: Final = "rehearsal#0"
_TASK_ID: Final = "t-rehearsal"
_RESULTS, _EVENTS, _INTAKE = "queue/results", "queue/events", "queue/intake"

Listener = Callable[[str, Any], None]


class EndlessRun(PushlaneError):
    """The agent yields or sleeps again and again, and comes to no end."""


class AgentRun(Struct, frozen=True, kw_only=True):
    """What became of it. `kind`: how the last invocation ended (`suspended`: it waits for the signal `awaits`, and none
    was left). `checkpoints`: the author's states, in order. `virtual_seconds`: what it slept in all.
    """

    kind: OutcomeKind
    result: dict[str, Any] | None
    error: ErrorDetail | None
    awaits: str | None
    usage: Usage
    invocations: int
    virtual_seconds: float
    emits: tuple[Emitted, ...]
    progress: tuple[Any, ...]
    checkpoints: tuple[dict[str, Any], ...]
    submitted: tuple[SubmitData, ...]
    logged: tuple[tuple[str, dict[str, Any]], ...]


def run_agent(
    definition: AgentDefinition,
    payload: Mapping[str, Any] | None = None,
    *,
    checkpoint: Mapping[str, Any] | None = None,
    signals: Sequence[tuple[str, Mapping[str, Any]]] = (),
    orders: Sequence[Order | str] = (),
    children: Callable[[SubmitData], Mapping[str, Any]] | None = None,
    parents: Mapping[str, ParentResult] | None = None,
    task_type: str | None = None,
    remaining_seconds: float = 60.0,
    invocations_max: int = 100,
    listen: Listener | None = None,
) -> AgentRun:
    """Run an agent on one task until it has ended, or waits for a signal that nobody sends.

    `signals` (name, data) come one after the other when the agent waits, or by an order `SIGNAL`; `orders` are what its
    check-ins hear, from the first on. `children` plays the tasks that it submits: what it returns is their result, what
    it raises their failure. `listen` hears every event, checkpoint and log line as it happens. Raises `EndlessRun`.
    """
    stage = _Stage(definition, signals, [Order(one) for one in orders], children, listen or _nobody)
    given = Dispatch(
        task_id=_TASK_ID,
        tenant_id="rehearsal",
        task_type=task_type or definition.task_types[0],
        epoch=0,
        pool="default",
        agent_id="rehearsal",
        attempt_pk=_PK,
        token="rehearsal",
        payload=dict(payload or {}),
        checkpoint=None if checkpoint is None else dict(checkpoint),
        parents=dict(parents or {}),
    )
    for number in range(1, invocations_max + 1):
        outcome = stage.invoke(given, number, round(remaining_seconds * 1_000))
        if not stage.goes_on(outcome):
            return stage.told(outcome, number)
        given = msgspec.structs.replace(given, checkpoint=outcome.checkpoint)
    raise EndlessRun(f"not over after {invocations_max} invocations; the last checkpoint: {given.checkpoint}")


class _Stage:
    """The ports of one rehearsal, and what was seen at them."""

    def __init__(
        self,
        definition: AgentDefinition,
        signals: Sequence[tuple[str, Mapping[str, Any]]],
        orders: list[Order],
        children: Callable[[SubmitData], Mapping[str, Any]] | None,
        listen: Listener,
    ) -> None:
        self._clock = ManualClock(START_MS)
        self._store = InMemoryItemStore(self._clock, faults=self)
        self._sender = InMemorySender(self._clock)
        self._blobs = InMemoryBlobs()
        self._claims = Claims("rehearsal", lambda: self._blobs)
        self._unsent = list(signals)
        self._sent: list[Signal] = []
        self._orders = orders
        self._children = children
        self._listen = listen
        self._key = attempts.attempt_item(_PK, _TASK_ID)
        self._calls = 0
        self.emits: list[Emitted] = []
        self.progress: list[Any] = []
        self.checkpoints: list[dict[str, Any]] = []
        self.submitted: list[SubmitData] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self._runtime = AgentRuntime(definition, self._ports())

    def invoke(self, given: Dispatch, epoch: int, remaining_ms: int) -> Outcome:
        """One invocation, from its dispatch to its outcome."""
        self._store.write(Put(self._key, {"epoch": epoch, **self._signal_attributes()}))
        dispatch = msgspec.structs.replace(given, epoch=epoch, signals=tuple(self._sent))
        if not self._runtime.run(msgspec.json.encode(dispatch), remaining_ms):
            raise AssertionError("nobody takes a rehearsal's attempt away")
        self._collect()
        stored = self._store.get([self._key])[self._key].attributes
        return msgspec.json.decode(str(stored["outcome"]), type=Outcome)

    def goes_on(self, outcome: Outcome) -> bool:
        """Whether there is another invocation; brings about what it waits for."""
        if outcome.kind is OutcomeKind.YIELDED:
            return True
        if outcome.kind is not OutcomeKind.SUSPENDED:
            return False
        if outcome.awaits is not None and self._send_until(outcome.awaits):
            return True
        if outcome.resume_at_ms is None:
            return False
        self._clock.advance(max(0, outcome.resume_at_ms - self._clock.now_ms()))
        return True

    def told(self, outcome: Outcome, invocations: int) -> AgentRun:
        result = None if outcome.result is None else dict(self._claims.redeem(outcome.result))
        return AgentRun(
            kind=outcome.kind,
            result=result,
            error=outcome.error,
            awaits=outcome.awaits,
            usage=outcome.usage,
            invocations=invocations,
            virtual_seconds=(self._clock.now_ms() - START_MS) / 1_000,
            emits=tuple(self.emits),
            progress=tuple(self.progress),
            checkpoints=tuple(self.checkpoints),
            submitted=tuple(self.submitted),
            logged=tuple(self.logged),
        )

    def before(self, name: str, operations: Sequence[Write]) -> None:
        """The store is about to be written to: a check-in hears the next order."""
        for one in operations:
            if name == "write" and isinstance(one, Update) and _is_check_in(one):
                self._note(one.set)
                self._order()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""

    def _note(self, said: Mapping[str, Scalar]) -> None:
        if "checkpoint" in said:
            stored = self._claims.redeem(msgspec.json.decode(str(said["checkpoint"])))
            self.checkpoints.append(checkpoint_of(stored).state or {})
            self._listen("checkpoint", self.checkpoints[-1])
        if "progress" in said:
            self.progress.append(msgspec.json.decode(str(said["progress"])))
            self._listen(PROGRESS, self.progress[-1])

    def _order(self) -> None:
        order, self._orders = (self._orders[0], self._orders[1:]) if self._orders else (Order.CONTINUE, [])
        if order is Order.SIGNAL and self._unsent:
            self._send(*self._unsent.pop(0))
        ordered: dict[str, Scalar] = {}
        if order in (Order.PREEMPT, Order.CANCEL):
            ordered["order"] = order.value
        self._store.write(Update(self._key, set={**self._signal_attributes(), **ordered}))

    def _signal_attributes(self) -> dict[str, Scalar]:
        attributes: dict[str, Scalar] = {}
        for one in self._sent:
            attributes |= attempts.signal_attribute(one)
        return {**attributes, "signals": len(self._sent)}

    def _send_until(self, name: str) -> bool:
        """Send what there is until a signal of this name is among it."""
        if name.startswith(CHILD_PREFIX):
            return self._end_child(name)
        while self._unsent:
            sent, data = self._unsent.pop(0)
            self._send(sent, data)
            if sent == name:
                return True
        return False

    def _end_child(self, name: str) -> bool:
        """Play the child that is waited for; False when the test has said nothing of children."""
        task_id = name.removeprefix(CHILD_PREFIX)
        child = next(one for one in self.submitted if _child_id(one) == task_id)
        if self._children is None:
            return False
        try:
            told: dict[str, Any] = {"status": Status.SUCCEEDED.value, "result": dict(self._children(child))}
        except Exception:  # whatever the test raises stands for the child's failure
            told = {"status": Status.FAILED.value}
        self._send(name, told)
        return True

    def _send(self, name: str, data: Mapping[str, Any]) -> None:
        number = len(self._sent) + 1
        now_ms = self._clock.now_ms()
        self._sent.append(
            Signal(number=number, name=name, signal_id=f"signal-{number}", sent_at_ms=now_ms, data=dict(data))
        )

    def _collect(self) -> None:
        for message in self._sender.drain(_INTAKE):
            self.submitted.append(msgspec.json.decode(message.body, type=SubmitTask).data)
        self._sender.drain(_RESULTS)

    def _ports(self) -> AgentPorts:
        return AgentPorts(
            store=self._store,
            sender=self,
            blobs=lambda: self._blobs,
            clock=self._clock,
            heartbeat=InMemoryHeartbeats(self._store, self._clock),
            sleep=lambda seconds: self._clock.advance(round(seconds * 1_000)),
            results_queue_url=_RESULTS,
            events_queue_url=_EVENTS,
            intake_queue_urls=(_INTAKE,),
            new_call_id=self._new_call_id,
            log=self._log,
        )

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`: events are heard at once."""
        for one in messages if queue_url == _EVENTS else ():
            emitted = msgspec.json.decode(one.body, type=Emitted)
            self.emits.append(emitted)
            if emitted.kind != PROGRESS:  # that was heard when it was stored
                self._listen(emitted.kind, emitted.data)
        return self._sender.send(queue_url, messages)

    def _new_call_id(self) -> str:
        self._calls += 1
        return f"call-{self._calls}"

    def _log(self, event: str, **fields: Any) -> None:
        self.logged.append((event, fields))
        self._listen(f"log: {event}", fields)


def _is_check_in(one: Update) -> bool:
    return "lease_until_ms" in one.set and "runner" not in one.set and "outcome" not in one.set


def _child_id(data: SubmitData) -> str:
    return keyed_task_id(data.tenant_id, data.idempotency_key or "")


def _nobody(kind: str, said: Any) -> None:
    """Nobody listens."""
