"""Two fleets over the in-memory whole, in virtual time: pollers that claim, agents that are pushed to; and the load,
the operator and the faults around them.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Final, TypeVar

import msgspec

from pushlane.migrate.modes import TenantMode, set_mode
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.mode import Mode
from pushlane.ports import Cancelled as Reason
from pushlane.ports import CancelReason, ConditionFailed, Message, TransactionCancelled, Write
from pushlane.router.claim import claim
from pushlane.state.pools import wake_after_policy
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.by_hand import AttemptByHand
from pushlane.testing.deliveries import INTAKE, WAKEUPS, agent_queue

TENANTS: Final = ("atlas", "boreal", "cirrus")
PULL: Final = Endpoint(kind=EndpointKind.PULL)
TICK_MS: Final = 100
_RUN_MS: Final = (50, 1_500)

Answer = TypeVar("Answer")


class Ambiguous:
    """Some calls of the store fail before they do anything, some afterwards, some lose to a competitor."""

    def __init__(self, chance: Random, rate: float) -> None:
        self._chance = chance
        self._rate = rate
        self.active = False
        self.raised: Counter[str] = Counter()

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if self._hit():
            if name == "transact" and self._chance.random() < 0.5:
                self.raised["conflict"] += 1
                lost = tuple(Reason(index=n, reason=CancelReason.CONFLICT) for n in range(len(operations)))
                raise TransactionCancelled(lost)
            self.raised["before"] += 1
            raise StoreUnavailable("nothing was applied")

    def after(self, name: str, operations: Sequence[Write]) -> None:
        if name in ("write", "transact") and self._hit():
            self.raised["after"] += 1
            raise StoreUnavailable("applied, and the answer is lost")

    def _hit(self) -> bool:
        return self.active and self._chance.random() < self._rate


class Fleets:
    """`pollers` claim once a second each; the agents that are pushed to share `slots`."""

    def __init__(self, seed: int, *, pollers: int = 6, slots: int = 8, fault_rate: float = 0.0) -> None:
        self.chance = Random(seed)
        self.faults = Ambiguous(self.chance, fault_rate)
        self.world = InMemoryDispatcher(tenants=TENANTS, faults=self.faults)
        self.pollers = [f"poller-{n}" for n in range(pollers)]
        for name in self.pollers:
            self.world.register(None, agent_id=name, slots=2, capabilities=("work",), endpoint=PULL)
        self.agents = ["agent-0", "agent-1"]
        for name in self.agents:
            self.world.register(None, agent_id=name, slots=slots // 2, capabilities=("work",))
        self.submitted: dict[str, tuple[str, int]] = {}
        self.started: dict[str, list[tuple[str, int]]] = {}
        self.finished: Counter[str] = Counter()
        self.stale = 0
        self.duplicated = 0
        self._ids = count()
        self._next_poll = {name: self.now_ms + self.chance.randrange(1_000) for name in self.pollers}
        self._claims: dict[str, str] = {}
        self._ends: list[tuple[int, int]] = []
        self._running: dict[int, AttemptByHand] = {}
        self.faults.active = True

    @property
    def now_ms(self) -> int:
        return self.world.clock.now_ms()

    def set(self, tenant_id: str, mode: Mode | None, push_percent: int | None = None) -> None:
        """What `pushlane migrate set` does."""
        wanted = TenantMode(tenant_id=tenant_id, mode=mode, push_percent=push_percent)
        was, self.faults.active = self.faults.active, False  # the operator would just repeat the command
        set_mode(self.world.store, wanted, changed_by="operator", now_ms=self.now_ms)
        wake_after_policy(self.world.store, self.world.sender, WAKEUPS, self.now_ms)
        self.faults.active = was

    def submit(self, tenant_id: str) -> str:
        """A task, of which one in ten comes twice."""
        task_id = self.world.submit(
            task_type="work", tenant_id=tenant_id, payload={}, estimate={"runtime_seconds": 1.0}
        )
        self.submitted[task_id] = (tenant_id, self.now_ms)
        if self.chance.random() < 0.1:
            self._again(INTAKE)
        return task_id

    def run(self, seconds: float, *, per_second: float = 0.0) -> None:
        """Let time pass, with so many new tasks a second of each tenant."""
        until_ms = self.now_ms + round(seconds * 1_000)
        while self.now_ms < until_ms:
            for tenant_id in TENANTS:
                if self.chance.random() < per_second * TICK_MS / 1_000:
                    self.submit(tenant_id)
            self._tick()

    def drain(self, minutes: int = 30) -> None:
        """Nothing new comes; the platform sweeps once a minute until nothing is left to do."""
        self.faults.active = False
        for _ in range(minutes):
            if self.finished.keys() >= self.submitted.keys():
                break
            self.run(60)
            self.world.sweep()
        self.run(5)

    def _tick(self) -> None:
        self.world.run_until_idle()
        for name in self.pollers:
            if self._next_poll[name] <= self.now_ms:
                self._next_poll[name] += 1_000
                self._poll(name)
        for name in self.agents:
            self._receive(name)
        while self._ends and self._ends[0][0] <= self.now_ms:
            self._end(self._running.pop(heapq.heappop(self._ends)[1]))
        self.world.run_until_idle()
        self.world.clock.advance(TICK_MS)

    def _poll(self, name: str) -> None:
        """One claim; when its answer is lost, the next one asks again by the same id."""
        claim_id = self._claims.setdefault(name, f"claim-{next(self._ids)}")
        try:
            found = claim(self.world.turn, self.world.pusher, "default", name, claim_id, 2)
        except (StoreUnavailable, TransactionCancelled):
            return
        except Exception as error:
            if type(error).__name__ != "TurnContended":
                raise
            return
        if found and self.chance.random() < 0.1:
            return  # the answer did not arrive
        del self._claims[name]
        for one in found:
            self._begin(name, Message(one.document))

    def _receive(self, name: str) -> None:
        for message in self.world.sender.drain(agent_queue(name)):
            self._begin(name, message)
            if self.chance.random() < 0.1:
                self.duplicated += 1
                self._begin(name, message)

    def _begin(self, agent: str, message: Message) -> None:
        """An agent starts what it was given, repeating what has no answer, as the runtime's store does."""
        call_id = f"call-{next(self._ids)}"
        ports = msgspec.structs.replace(self.world.agent_ports(), new_call_id=lambda: call_id)
        try:
            attempt = _insist(lambda: AttemptByHand(message, ports))
        except ConditionFailed:
            self.stale += 1
            return
        self.started.setdefault(attempt.task_id, []).append((agent, self.now_ms))
        ends_ms = self.now_ms + self.chance.randrange(*_RUN_MS)
        number = next(self._ids)
        self._running[number] = attempt
        heapq.heappush(self._ends, (ends_ms, number))

    def _end(self, attempt: AttemptByHand) -> None:
        _insist(lambda: attempt.succeed({"by": attempt.runner}, nudge=self.chance.random() > 0.05))
        self.finished[attempt.task_id] += 1

    def _again(self, queue: str) -> None:
        """What lies in the queue comes once more."""
        self.duplicated += 1
        messages = self.world.sender.drain(queue)
        self.world.sender.send(queue, [*messages, *messages[-1:]])

    # What came of it.

    def succeeded(self) -> Counter[str]:
        """How often each task's success was published."""
        facts = self.world.facts_of(FactName.TASK_SUCCEEDED)
        return Counter(str(one.data.task_id) for one in facts)

    def by(self, task_id: str) -> str:
        """Which fleet ran the task."""
        [(agent, _)] = self.started[task_id]
        return "pollers" if agent in self.pollers else "pushed"

    def taken_after(self, tenant_id: str, at_ms: int) -> list[str]:
        """Tasks of a tenant that were submitted later than that."""
        return [task_id for task_id, (owner, came) in self.submitted.items() if owner == tenant_id and came > at_ms]


def _insist(call: Callable[[], Answer]) -> Answer:
    """Until there is an answer: the very same words each time."""
    while True:
        try:
            return call()
        except StoreUnavailable:
            continue
