"""Turns on a crowded pool: completions that hand their slots on, and arrivals that have to wait."""

from collections.abc import Sequence
from itertools import count
from time import process_time_ns
from typing import Final

from msgspec import Struct

from bench.counted_store import CountedStore, Counts
from bench.pool_at_rest import NOW_MS, POLICY, POOL, RUNTIME_SECONDS, SLOTS, Crowd, a_task, agent_items, fill
from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore, InMemorySender, ManualClock
from pushlane.inmemory.store import ChangeListener
from pushlane.model.attempt import Attempt, Outcome, OutcomeKind, Usage
from pushlane.model.keyring import ring_of
from pushlane.model.policy import Policy
from pushlane.model.task import Task, Tier
from pushlane.ports import Table, Update
from pushlane.router.endpoints import Endpoints
from pushlane.router.push import Pusher
from pushlane.router.remembered import RememberedPools
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Finished, Input
from pushlane.state import keys
from pushlane.state.heads import load_heads
from pushlane.state.items import attempt_of, outcome_attributes
from pushlane.state.loading import load_pool

# What attempts really use, beside an estimate of 500: true-ups move the accounts.
_TOKENS: Final = (300, 450, 500, 650)


# Numbers of the tasks that come later.
_RING: Final = ring_of(b"k" * 32)
_AFTER_THE_CROWD: Final = 10_000_000


class _OnePolicy:
    def current(self) -> Policy:
        return POLICY


class Measured(Struct, frozen=True):
    """One turn: what passed through the store, CPU time of all of it, and CPU time of its plan alone."""

    counts: Counts
    turn_us: float
    plan_us: float


class CrowdedPool:
    """A pool whose slots are all taken and in which a crowd waits."""

    def __init__(self, crowd: Crowd, change_listener: ChangeListener | None = None) -> None:
        self.clock = ManualClock(NOW_MS)
        self.store = InMemoryItemStore(self.clock, change_listener=change_listener)
        self._lanes = [(tier, tenant) for tier, tenant, late in crowd.lanes if not late]
        self._counted = CountedStore(self.store)
        self._sender = InMemorySender(self.clock)
        self._tokens = count()
        self._numbers = count(_AFTER_THE_CROWD)
        self._ports = TurnPorts(
            store=self._counted,
            sender=self._sender,
            blobs=InMemoryBlobs(),
            clock=self.clock,
            wakeups_queue_url="queue/wakeups",
            new_token=lambda: f"token-{next(self._tokens)}",
            back_off=lambda _replan: None,
            remembered=RememberedPools(),
            policies=_OnePolicy(),
        )
        self.store.load(agent_items())
        for _ in range(SLOTS // 10):
            self.run([_arrival(a_task(next(self._numbers), Tier.NORMAL, "earlier", late=False)) for _ in range(10)])
        fill(self.store, crowd, self.clock.now_ms())
        self._ports.remembered.forget(POOL)

    def run(self, inputs: Sequence[Input]) -> Measured:
        """A little later: one turn, after its plan alone."""
        self.clock.advance(100)
        plan_us = self._plan_us(inputs)
        self._counted.counts = Counts()
        began_ns = process_time_ns()
        self.turn(inputs)
        turn_us = (process_time_ns() - began_ns) / 1_000
        return Measured(self._counted.counts, turn_us, plan_us)

    def turn(self, inputs: Sequence[Input]) -> None:
        """One turn; the clock stands still."""
        pusher = Pusher(self._counted, Endpoints(self._sender), self._ports.blobs, lambda: _RING)
        Turn(self._ports, pusher, POOL).run(inputs)

    def _plan_us(self, inputs: Sequence[Input]) -> float:
        now_ms = self.clock.now_ms()
        snapshot = load_heads(self.store, load_pool(self.store, POOL, POLICY).snapshot, inputs, now_ms)
        began_ns = process_time_ns()
        plan(snapshot, inputs, now_ms)
        return (process_time_ns() - began_ns) / 1_000

    def arrivals(self, number: int) -> list[Input]:
        """New tasks, for the lanes that are not all late in turn."""
        return [_arrival(self._task(next(self._numbers))) for _ in range(number)]

    def _task(self, number: int) -> Task:
        tier, tenant_id = self._lanes[number % len(self._lanes)]
        return a_task(number, tier, tenant_id, late=False, now_ms=self.clock.now_ms())

    def completions(self, number: int) -> list[Input]:
        """The last words of the attempts that have run longest."""
        live: list[Attempt] = []
        for bucket in range(keys.ATTEMPT_BUCKETS):
            live += map(attempt_of, self.store.query(Table.ATTEMPTS, keys.attempt_pk(POOL, bucket), limit=SLOTS))
        live.sort(key=lambda attempt: (attempt.dispatched_at_ms, attempt.task_id))
        return [self._finish(attempt) for attempt in live[:number]]

    def _finish(self, attempt: Attempt) -> Finished:
        now_ms = self.clock.now_ms()
        outcome = Outcome(
            kind=OutcomeKind.SUCCEEDED,
            started_at_ms=now_ms - round(RUNTIME_SECONDS * 1_000),
            finished_at_ms=now_ms,
            result={},
            usage=Usage(tokens=_TOKENS[attempt.dispatched_at_ms // 100 % len(_TOKENS)]),
        )
        word = {"runner": "call", **outcome_attributes(outcome)}
        self.store.write(Update(keys.attempt_key(POOL, attempt.task_id), set=word))
        return Finished(attempt.task_id, attempt.epoch, "call", attempt.reservation, outcome)


def _arrival(task: Task) -> Arrival:
    return Arrival(task, entry_of(task, POLICY))
