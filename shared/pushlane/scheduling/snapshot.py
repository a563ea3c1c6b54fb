"""What a turn knows of its pool before it decides, and what has happened since: all frozen values."""

from collections.abc import Mapping

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, Outcome
from pushlane.model.ids import digest
from pushlane.model.task import RetryPolicy, Task, Tier


class Entry(Struct, frozen=True, kw_only=True):
    """A task as far as scheduling needs it: what waits in a lane or among the delayed, and what a dispatch takes out.

    `epoch` is the number of its last attempt (0 before the first). `enqueued_at_ms` is the time of acceptance and
    never changes, so a retried task keeps its place.
    """

    task_id: str
    tenant_id: str
    task_type: str
    tier: Tier
    capabilities: tuple[str, ...]
    enqueued_at_ms: int
    epoch: int = 0

    @property
    def shape(self) -> str:
        return shape_of(self.capabilities)

    @property
    def order(self) -> tuple[int, str]:
        """First in, first out; the task id breaks ties so that every turn sees the same order."""
        return (self.enqueued_at_ms, self.task_id)


def shape_of(capabilities: tuple[str, ...]) -> str:
    """Tasks of one shape can run on the same agents, so one that is blocked never hides a runnable one."""
    return digest(*sorted(capabilities))[:12]


class LaneRef(Struct, frozen=True, order=True):
    """The parked tasks of one tier and tenant of a pool, of one shape."""

    shape: str
    tier: str
    tenant_id: str


class LaneView(Struct, frozen=True, kw_only=True):
    """A lane and its first entries. `complete`: these are all it has. `depth` is what was read with them."""

    ref: LaneRef
    depth: int
    heads: tuple[Entry, ...]
    complete: bool


class ShapeView(Struct, frozen=True, kw_only=True):
    """A kind of work that has waited in this pool: `lanes` = how many of its lanes are not empty."""

    shape: str
    capabilities: tuple[str, ...]
    lanes: int


class WakeView(Struct, frozen=True, kw_only=True):
    """The recorded wake-up; `due_ms` is None when none was ever recorded."""

    generation: int = 0
    due_ms: int | None = None


class PoolSnapshot(Struct, frozen=True, kw_only=True):
    """One consistent-enough view of a pool: every fact that a decision leans on is checked again by its commit."""

    pool: str
    agents: tuple[Agent, ...]
    shapes: tuple[ShapeView, ...] = ()
    lanes: tuple[LaneView, ...] = ()
    wake: WakeView = WakeView()
    read_at_ms: int = 0
    # Only loaded by a turn that a wake-up or the sweep started: the earliest instant at which something falls due.
    next_due_ms: int | None = None


class RetryState(Struct, frozen=True, kw_only=True):
    """What the decision after a failed attempt needs: the task's entry, its policy and its digest of history."""

    entry: Entry
    retry: RetryPolicy


class Arrival(Struct, frozen=True):
    """A new task at the door."""

    task: Task


class Finished(Struct, frozen=True):
    """The runner's last word on its attempt. `retry` is there for a failure (the task was read), else None."""

    task_id: str
    epoch: int
    agent_id: str
    runner: str
    outcome: Outcome
    retry: RetryState | None = None


class LeaseExpired(Struct, frozen=True):
    """An attempt whose lease ran out without a finish, as it was read."""

    attempt: Attempt
    retry: RetryState


class RetryDue(Struct, frozen=True):
    """A delayed retry whose time has come."""

    entry: Entry
    due_ms: int


Input = Arrival | Finished | LeaseExpired | RetryDue


def entry_of(task: Task, epoch: int = 0) -> Entry:
    """The scheduling view of a task."""
    return Entry(
        task_id=task.task_id,
        tenant_id=task.tenant_id,
        task_type=task.task_type,
        tier=task.tier,
        capabilities=task.capabilities,
        enqueued_at_ms=task.accepted_at_ms,
        epoch=epoch,
    )


def agents_by_id(snapshot: PoolSnapshot) -> Mapping[str, Agent]:
    return {agent.agent_id: agent for agent in snapshot.agents}
