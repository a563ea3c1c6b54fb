"""The virtual world: arrivals and completions in order of time, and one `plan` whenever something happens."""

import heapq
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.errors import PushlaneError
from pushlane.model.task import Door, Estimate, Source, Task
from pushlane.scheduling.decisions import Dispatch, FromLane, Park
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Entry, Finished, Input, LaneRef, LaneView, PoolSnapshot
from pushlane.simulator.trace import TraceTask
from pushlane.state.keys import lane_of

_AGENT: Final = "simulated"
# As many heads as a turn reads of a lane.
_HEADS: Final = 11


class Stuck(PushlaneError):
    """Tasks wait although slots are free and nothing runs: a defect of the scheduler, not of the trace."""


class Ran(Struct, frozen=True, kw_only=True):
    """What became of one task of the trace, in seconds from its start."""

    task: TraceTask
    started_s: float
    finished_s: float

    @property
    def wait_s(self) -> float:
        return self.started_s - self.task.arrival_s

    @property
    def missed(self) -> bool:
        return self.finished_s > self.task.deadline_s


class Run(Struct, frozen=True, kw_only=True):
    """A whole simulation: what ran, and how many decisions were made in how many plans."""

    ran: tuple[Ran, ...]
    plans: int
    decisions: int


class _World:
    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.used = 0
        self.waiting: dict[LaneRef, list[tuple[tuple[int, str], Entry]]] = {}

    def snapshot(self) -> PoolSnapshot:
        agent = Agent(
            agent_id=_AGENT, capabilities=frozenset({"task"}), slots=self.slots, used=self.used, queue_url="simulated"
        )
        return PoolSnapshot(pool="default", agents=(agent,), lanes=tuple(map(self._lane, self.waiting)))

    def _lane(self, ref: LaneRef) -> LaneView:
        queue = self.waiting[ref]
        heads = tuple(entry for _, entry in heapq.nsmallest(_HEADS, queue))
        return LaneView(ref=ref, depth=len(queue), heads=heads, complete=len(queue) <= _HEADS)

    def park(self, entry: Entry) -> None:
        heapq.heappush(self.waiting.setdefault(lane_of(entry), []), (entry.order, entry))

    def take(self, entry: Entry) -> None:
        ref = lane_of(entry)
        heapq.heappop(self.waiting[ref])
        if not self.waiting[ref]:
            del self.waiting[ref]


def simulate(trace: Sequence[TraceTask], slots: int) -> Run:
    """Run the trace on one agent with `slots` slots; every task runs exactly its `runtime_s`."""
    if slots < 1:
        raise ValueError(f"slots is {slots}; at least 1 is needed")
    tasks = {task.task_id: task for task in trace}
    if len(tasks) != len(trace):
        raise ValueError("two tasks of the trace have the same task_id")
    arrivals = [(round(task.arrival_s * 1_000), task) for task in trace]
    world, running, ran = _World(slots), list[tuple[int, str]](), list[Ran]()
    plans = decisions = position = 0
    while position < len(arrivals) or running:
        now_ms = min([at for at, _ in arrivals[position : position + 1]] + [at for at, _ in running[:1]])
        inputs: list[Input] = []
        while running and running[0][0] <= now_ms:
            inputs.append(_finished(heapq.heappop(running)[1], now_ms))
        while position < len(arrivals) and arrivals[position][0] <= now_ms:
            inputs.append(Arrival(_task(arrivals[position][1], now_ms)))
            position += 1
        ended = sum(isinstance(one, Finished) for one in inputs)
        decided = plan(world.snapshot(), inputs, now_ms).decisions
        world.used -= ended
        plans, decisions = plans + 1, decisions + len(decided)
        for decision in decided:
            if isinstance(decision, Park):
                world.park(decision.entry)
            elif isinstance(decision, Dispatch):
                if isinstance(decision.origin, FromLane):
                    world.take(decision.entry)
                world.used += 1
                task = tasks[decision.entry.task_id]
                until_ms = now_ms + round(task.runtime_s * 1_000)
                heapq.heappush(running, (until_ms, task.task_id))
                ran.append(Ran(task=task, started_s=now_ms / 1_000, finished_s=until_ms / 1_000))
    if world.waiting:
        raise Stuck(f"{sum(map(len, world.waiting.values()))} tasks wait for ever on {slots} free slots")
    return Run(ran=tuple(ran), plans=plans, decisions=decisions)


def _finished(task_id: str, now_ms: int) -> Finished:
    outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=now_ms, finished_at_ms=now_ms)
    return Finished(task_id, 1, _AGENT, "simulated", outcome)


def _task(task: TraceTask, now_ms: int) -> Task:
    return Task(
        task_id=task.task_id,
        tenant_id=task.tenant,
        task_type=task.task_type,
        capabilities=("task",),
        payload={},
        source=Source(door=Door.SQS, source_id=task.task_id),
        body_digest="",
        accepted_at_ms=now_ms,
        tier=task.tier,
        deadline_ms=round(task.deadline_s * 1_000),
        estimate=Estimate(runtime_seconds=task.runtime_s or 0.001, tokens=task.tokens_in + task.tokens_out),
    )
