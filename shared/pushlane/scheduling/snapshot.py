"""What a turn knows of its pool before it decides, and what has happened since: all frozen values."""

from collections.abc import Mapping

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, Outcome, OutcomeKind, Reservation
from pushlane.model.policy import Policy
from pushlane.model.task import RetryPolicy, Task, Tier
from pushlane.scheduling.entry import Entry, LaneRef

AccountRef = tuple[Tier, str]


class LaneState(Struct, frozen=True, kw_only=True):
    """A lane's own item. `depth` entries wait in it, `undated` of them without a deadline. `turn_tag_ms`: the virtual
    time under which its turn is listed, a lower bound of its account's; None when nothing in it was on time.
    `urgent_ms`: when its first entry on time has to start, or earlier. `late_tag_ms`: where its late work is listed.
    `pressed`: its producers were told to slow down. `revision`: every change of the lane moves it.
    """

    depth: int = 0
    undated: int = 0
    turn_tag_ms: int | None = None
    urgent_ms: int | None = None
    late_tag_ms: int | None = None
    pressed: bool = False
    revision: int = 0


class LaneView(Struct, frozen=True, kw_only=True):
    """A lane and the first of its entries: those that can make their deadline (aged ones first), and late ones.

    `on_time_complete`: no other entries are on time; `late_complete`: no others are late. Either kind may be unread:
    then it has no entries, and is not complete.
    """

    ref: LaneRef
    state: LaneState = LaneState()
    on_time: tuple[Entry, ...] = ()
    late: tuple[Entry, ...] = ()
    on_time_complete: bool = True
    late_complete: bool = True


class ShapeView(Struct, frozen=True, kw_only=True):
    """A kind of work that has waited in this pool: how many of its lanes of each tier are not empty."""

    shape: str
    capabilities: tuple[str, ...]
    resources: tuple[str, ...] = ()
    lanes: Mapping[Tier, int] = {}

    @property
    def waiting(self) -> int:
        return sum(self.lanes.values())


class TierView(Struct, frozen=True, kw_only=True):
    """Advisory clocks of one tier of the pool, in milliseconds of cost; moved only while tasks wait.

    `virtual_ms`: where a returning tenant starts (the lowest tag among its backlogged lanes). `served_ms`: all that the
    tier was given. `share_clock_ms`: the same divided by its guaranteed share. `late_clock_ms`: what its late work was
    given, divided by the late share.
    """

    virtual_ms: int = 0
    late_virtual_ms: int = 0
    served_ms: int = 0
    share_clock_ms: int = 0
    late_clock_ms: int = 0


class AccountView(Struct, frozen=True, kw_only=True):
    """One tenant's virtual time in one tier of the pool. `uncharged_ms`: cost of attempts in flight that were
    dispatched while nobody waited, and so did not move it. `charged_ms`: how far attempts in flight have moved it.
    """

    virtual_ms: int = 0
    late_virtual_ms: int = 0
    uncharged_ms: int = 0
    charged_ms: int = 0


class TenantView(Struct, frozen=True, kw_only=True):
    """What a limited tenant has used, over all pools. `day` and `month` are the windows (20261122, 202611) that the
    token counts belong to; `rate_tat_us` is the GCRA timestamp of its task rate.
    """

    in_flight: int = 0
    rate_tat_us: int = 0
    day: int = 0
    day_tokens: int = 0
    month: int = 0
    month_tokens: int = 0


class ResourceView(Struct, frozen=True, kw_only=True):
    """State of one shard of a resource: a rate's GCRA timestamp (microseconds), or the slots in use."""

    name: str
    shard: int = 0
    tat_us: int = 0
    used: int = 0
    paused_until_ms: int = 0


class Running(Struct, frozen=True, kw_only=True):
    """An attempt that could be asked to yield."""

    task_id: str
    epoch: int
    reservation: Reservation
    preemptible: bool = True
    order_for: str | None = None


class WakeView(Struct, frozen=True, kw_only=True):
    """The recorded wake-up; `due_ms` is None when none was ever recorded."""

    generation: int = 0
    due_ms: int | None = None


class PoolSnapshot(Struct, frozen=True, kw_only=True):
    """One consistent-enough view of a pool: every limit that a decision leans on is checked again by its commit.

    `agents` are the pool's own and, when its overflow pool has nothing waiting, that pool's too (`Agent.pool` tells).
    `capped`: lanes that were not read because a limit of their tenant leaves it nothing now.
    `lane_states` has the lanes that arrivals would park in. `claimants`: critical tasks that wait for a slot, loaded
    together with `running` when one may have to yield for them.
    """

    pool: str
    agents: tuple[Agent, ...]
    policy: Policy = Policy()
    shapes: tuple[ShapeView, ...] = ()
    lanes: tuple[LaneView, ...] = ()
    capped: tuple[LaneRef, ...] = ()
    lane_states: Mapping[LaneRef, LaneState] = {}
    tiers: Mapping[Tier, TierView] = {}
    accounts: Mapping[AccountRef, AccountView] = {}
    tenants: Mapping[str, TenantView] = {}
    resources: tuple[ResourceView, ...] = ()
    claimants: tuple[Entry, ...] = ()
    running: tuple[Running, ...] = ()
    wake: WakeView = WakeView()
    read_at_ms: int = 0
    # Only loaded by a turn that a wake-up or the sweep started: the earliest instant at which something falls due.
    next_due_ms: int | None = None

    def waiting(self, tier: Tier) -> bool:
        """Whether any lane of the tier is not empty."""
        return any(shape.lanes.get(tier, 0) > 0 for shape in self.shapes)


class RetryState(Struct, frozen=True, kw_only=True):
    """What the decision after a failed or yielded attempt needs: the task's entry and its retry policy."""

    entry: Entry
    retry: RetryPolicy


class Arrival(Struct, frozen=True):
    """A new task at the door, and its entry under the policy of the turn."""

    task: Task
    entry: Entry


class Finished(Struct, frozen=True):
    """The runner's last word on its attempt. `retry` is there unless it succeeded (the task was read)."""

    task_id: str
    epoch: int
    runner: str
    reservation: Reservation
    outcome: Outcome
    retry: RetryState | None = None

    @property
    def yielded(self) -> bool:
        """It gave its slot back because it was asked to, and the task goes back to its lane."""
        return self.outcome.kind is OutcomeKind.YIELDED and self.outcome.throttled is None


class LeaseExpired(Struct, frozen=True):
    """An attempt whose lease ran out without a finish, as it was read."""

    attempt: Attempt
    retry: RetryState


class RetryDue(Struct, frozen=True):
    """A delayed retry whose time has come."""

    entry: Entry
    due_ms: int


class DeadlineDue(Struct, frozen=True):
    """A parked task with a hard deadline that it can no longer make."""

    entry: Entry


Input = Arrival | Finished | LeaseExpired | RetryDue | DeadlineDue


def ended_task_id(ended: Finished | LeaseExpired) -> str:
    return ended.attempt.task_id if isinstance(ended, LeaseExpired) else ended.task_id


def task_id_of(one: Input) -> str:
    """The task that an input is about."""
    return ended_task_id(one) if isinstance(one, Finished | LeaseExpired) else one.entry.task_id


def ended_epoch(ended: Finished | LeaseExpired) -> int:
    return ended.attempt.epoch if isinstance(ended, LeaseExpired) else ended.epoch


def held_by(ended: Finished | LeaseExpired) -> Reservation:
    """What the ended attempt gives back."""
    return ended.attempt.reservation if isinstance(ended, LeaseExpired) else ended.reservation
