"""What pushing would have done with the tasks that a polling fleet was seen doing: planned by the scheduler's own turn,
over a pool in memory; nothing is dispatched to anybody.

The pool has the agents that are to be pushed to. Each task arrives when it was enqueued and takes as long as it took;
only when it begins is the plan's. So both columns are about the same tasks in the same order.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.inmemory import InMemoryBlobs, InMemoryItemStore, InMemorySender, ManualClock
from pushlane.migrate.figures import percentiles
from pushlane.migrate.records import Ended, Picked, Record
from pushlane.model.attempt import Outcome, OutcomeKind, Reservation
from pushlane.model.endpoint import sqs
from pushlane.model.mode import Mode
from pushlane.model.policy import Policy, TenantPolicy
from pushlane.model.task import DEFAULT_POOL, Door, Estimate, Source, Task, Tier
from pushlane.ports import Scalar, Update
from pushlane.router.remembered import RememberedPools
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.decisions import Decision, Dispatch
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival, Finished, Input, PoolSnapshot
from pushlane.state import attempts, keys
from pushlane.state.items import endpoint_attributes
from pushlane.telemetry.report import Percentiles

_WAKEUPS: Final = "shadow/wake-ups"
_RUNNER: Final = "shadow"
_LONG_MS: Final = 30 * 86_400_000
# What a limit keeps for longer than this, once everything has come, counts as waiting.
_PATIENCE_MS: Final = 3_600_000
# The end of what the fleet had not finished when the records end.
_UNFINISHED_MS: Final = 30_000


class ShadowAgent(Struct, frozen=True, kw_only=True):
    """An agent that would be pushed to. Without `capabilities` it takes every kind of task in the records."""

    agent_id: str
    slots: int
    capabilities: tuple[str, ...] = ()


class Compared(Struct, frozen=True, kw_only=True):
    """One tenant, both ways. `sooner`: tasks that the plan begins earlier than their poller did; `waiting`: tasks that
    the plan does not begin at all with these agents.
    """

    tenant_id: str
    tasks: int
    polled: Percentiles
    planned: Percentiles
    polled_late: int
    planned_late: int
    sooner: int
    waiting: int


class Seen(Struct, frozen=True, kw_only=True):
    """One task of the fleet, whole."""

    task_id: str
    tenant_id: str
    task_type: str
    tier: str
    enqueued_at_ms: int
    picked_at_ms: int
    run_ms: int
    deadline_ms: int | None = None
    capabilities: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """What an agent has to be able to do; its type, unless it says more."""
        return self.capabilities or (self.task_type,)

    @property
    def ref(self) -> str:
        """Ids of two tenants may be the same in a legacy queue."""
        return f"{self.tenant_id}/{self.task_id}"

    def late(self, began_ms: int) -> bool:
        """Begun then, it misses its deadline."""
        return self.deadline_ms is not None and began_ms + self.run_ms > self.deadline_ms


class _Recorded:
    """Pushes nothing; keeps what would have been pushed."""

    def __init__(self) -> None:
        self.dispatched: list[Dispatch] = []

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        self.dispatched += [one for one in decisions if isinstance(one, Dispatch)]
        return frozenset()


class _Always:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def current(self) -> Policy:
        return self._policy


class ShadowPool:
    """A pool in memory on which the real turn runs, with a clock of its own. Events come in the order of time."""

    def __init__(self, agents: Sequence[ShadowAgent], policy: Policy, start_ms: int) -> None:
        self._clock = ManualClock(start_ms)
        self._store = InMemoryItemStore(self._clock)
        self._sender = InMemorySender(self._clock)
        self._pushes = _Recorded()
        self._policy = policy
        tokens = count()
        self._ports = TurnPorts(
            store=self._store,
            sender=self._sender,
            blobs=InMemoryBlobs(),
            clock=self._clock,
            wakeups_queue_url=_WAKEUPS,
            new_token=lambda: f"shadow-{next(tokens)}",
            back_off=lambda replan: None,
            remembered=RememberedPools(),
            policies=_Always(policy),
        )
        for agent in agents:
            self._register(agent)

    def _register(self, agent: ShadowAgent) -> None:
        said: dict[str, Scalar] = {
            "agent_id": agent.agent_id,
            "pool": DEFAULT_POOL,
            "capabilities": list(agent.capabilities),
            "slots": agent.slots,
            **endpoint_attributes(sqs(f"shadow/{agent.agent_id}")),
            "status": "ACTIVE",
        }
        key = keys.agent_key(DEFAULT_POOL, agent.agent_id)
        self._store.write(Update(key, set=said, add={"used": 0, "revision": 0}))

    def next_wake_ms(self) -> int | None:
        """When the pool wants to be looked at next, though nothing happens."""
        return self._sender.next_visible_of(_WAKEUPS)

    def arrive(self, task: Task, at_ms: int) -> list[Dispatch]:
        """What would be pushed now that the task has come."""
        return self._turn([Arrival(task, entry_of(task, self._policy))], at_ms)

    def finish(self, task_id: str, epoch: int, held: Reservation, began_ms: int, at_ms: int) -> list[Dispatch]:
        """What would be pushed now that the task's attempt has ended."""
        key = keys.attempt_key(DEFAULT_POOL, task_id)
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=began_ms, finished_at_ms=at_ms)
        self._store.write(attempts.start(key, epoch, _RUNNER, began_ms, at_ms + _LONG_MS))
        self._store.write(attempts.finish(key, epoch, _RUNNER, outcome, at_ms))
        return self._turn([Finished(task_id, epoch, _RUNNER, held, outcome)], at_ms)

    def wake(self, at_ms: int) -> list[Dispatch]:
        """What would be pushed at a wake-up."""
        return self._turn([], at_ms)

    def _turn(self, inputs: Sequence[Input], at_ms: int) -> list[Dispatch]:
        self._clock.advance(max(0, at_ms - self._clock.now_ms()))
        self._sender.drain(_WAKEUPS)
        self._pushes.dispatched.clear()
        Turn(self._ports, self._pushes, DEFAULT_POOL).run(inputs)
        return list(self._pushes.dispatched)


def seen_in(records: Iterable[Record]) -> list[Seen]:
    """The tasks in a fleet's records whose time of enqueueing is known, in its order."""
    picked: dict[tuple[str, str], Picked] = {}
    ended: dict[tuple[str, str], int] = {}
    for one in records:
        if isinstance(one, Picked):
            before = picked.get((one.tenant_id, one.task_id))
            if before is None or one.at_ms < before.at_ms:
                picked[one.tenant_id, one.task_id] = one
        elif isinstance(one, Ended):
            ended[one.tenant_id, one.task_id] = max(one.at_ms, ended.get((one.tenant_id, one.task_id), 0))
    found = [
        Seen(
            task_id=one.task_id,
            tenant_id=one.tenant_id,
            task_type=one.task_type,
            tier=one.tier,
            enqueued_at_ms=one.enqueued_at_ms,
            picked_at_ms=one.at_ms,
            run_ms=max(1, ended.get(ref, one.at_ms + _UNFINISHED_MS) - one.at_ms),
            deadline_ms=one.deadline_ms,
        )
        for ref, one in picked.items()
        if one.enqueued_at_ms is not None
    ]
    return sorted(found, key=lambda one: (one.enqueued_at_ms, one.tenant_id, one.task_id))


def plan_beside(tasks: Sequence[Seen], agents: Sequence[ShadowAgent], policy: Policy) -> dict[str, int]:
    """When each task (`tenant/task`) would have begun on agents that are pushed to; without those that never would."""
    if not tasks:
        return {}
    kinds = tuple(sorted({need for one in tasks for need in one.needs}))
    able = [one if one.capabilities else msgspec.structs.replace(one, capabilities=kinds) for one in agents]
    pool = ShadowPool(able, _pushing(policy, {one.tenant_id for one in tasks}), tasks[0].enqueued_at_ms)
    by_id = {one.ref: one for one in tasks}
    began: dict[str, int] = {}
    running: list[tuple[int, str, Dispatch]] = []
    arrivals = [*reversed(tasks)]
    until_ms = max(one.picked_at_ms + one.run_ms for one in tasks) + _PATIENCE_MS
    while (now_ms := _next_ms(running, arrivals, pool.next_wake_ms(), until_ms)) is not None:
        if running and running[0][0] == now_ms:
            _, ref, over = heapq.heappop(running)
            made = pool.finish(ref, over.epoch, over.reservation, began[ref], now_ms)
        elif arrivals and arrivals[-1].enqueued_at_ms == now_ms:
            made = pool.arrive(_task(arrivals.pop()), now_ms)
        else:
            made = pool.wake(now_ms)
        for one in made:
            began[one.entry.task_id] = now_ms
            heapq.heappush(running, (now_ms + by_id[one.entry.task_id].run_ms, one.entry.task_id, one))
    return began


def _next_ms(
    running: Sequence[tuple[int, str, Dispatch]], arrivals: Sequence[Seen], wakes_ms: int | None, until_ms: int
) -> int | None:
    """When something happens next; None at the end."""
    times = [running[0][0]] if running else []
    times += [arrivals[-1].enqueued_at_ms] if arrivals else []
    times += [wakes_ms] if wakes_ms is not None and wakes_ms <= until_ms else []
    return min(times, default=None)


def compare(tasks: Sequence[Seen], began: Mapping[str, int]) -> tuple[Compared, ...]:
    """Both ways beside each other, by tenant."""
    names = sorted({one.tenant_id for one in tasks})
    return tuple(_compared(name, [one for one in tasks if one.tenant_id == name], began) for name in names)


def _compared(tenant_id: str, tasks: Sequence[Seen], began: Mapping[str, int]) -> Compared:
    planned = [(one, began[one.ref]) for one in tasks if one.ref in began]
    return Compared(
        tenant_id=tenant_id,
        tasks=len(tasks),
        polled=percentiles(max(0, one.picked_at_ms - one.enqueued_at_ms) for one in tasks),
        planned=percentiles(at - one.enqueued_at_ms for one, at in planned),
        polled_late=sum(one.late(one.picked_at_ms) for one in tasks),
        planned_late=sum(one.late(at) for one, at in planned),
        sooner=sum(at < one.picked_at_ms for one, at in planned),
        waiting=len(tasks) - len(planned),
    )


def _pushing(policy: Policy, tenants: Iterable[str]) -> Policy:
    """The policy as it would be with every one of these tenants pushed."""
    pushed: dict[str, TenantPolicy] = {
        name: msgspec.structs.replace(policy.tenant(name), mode=Mode.PUSH, push_percent=None) for name in tenants
    }
    return msgspec.structs.replace(policy, tenants={**policy.tenants, **pushed})


def _task(one: Seen) -> Task:
    return Task(
        task_id=one.ref,
        tenant_id=one.tenant_id,
        task_type=one.task_type,
        capabilities=one.needs,
        payload={},
        source=Source(door=Door.SQS, source_id=one.ref),
        body_digest="",
        accepted_at_ms=one.enqueued_at_ms,
        tier=Tier(one.tier),
        deadline_ms=one.deadline_ms,
        estimate=Estimate(runtime_seconds=max(0.001, one.run_ms / 1_000)),
    )
