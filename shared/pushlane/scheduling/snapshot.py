"""What a turn knows of its pool before it decides, and what has happened since: all frozen values."""

from collections.abc import Mapping

from msgspec import Struct

from pushlane.model.agent import Agent
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind, Reservation, Usage, Waited
from pushlane.model.mode import Route
from pushlane.model.policy import Policy
from pushlane.model.task import DEFAULT_POOL, RetryPolicy, Status, Task, Tier
from pushlane.scheduling.claiming import Claim
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
    route: Route | None = None

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
    `retry_tat_us` is the GCRA timestamp of its retry budget.
    """

    virtual_ms: int = 0
    late_virtual_ms: int = 0
    uncharged_ms: int = 0
    charged_ms: int = 0
    retry_tat_us: int = 0


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
    waited: Waited = Waited()


class WakeView(Struct, frozen=True, kw_only=True):
    """The recorded wake-up; `due_ms` is None when none was ever recorded."""

    generation: int = 0
    due_ms: int | None = None


class PoolSnapshot(Struct, frozen=True, kw_only=True):
    """One consistent-enough view of a pool: every limit that a decision leans on is checked again by its commit.

    `agents` are the pool's own and, when its overflow pool has nothing waiting, that pool's too (`Agent.pool` tells).
    `capped`: lanes that were not read because a limit of their tenant leaves it nothing now.
    `lane_states` has the lanes that arrivals would park in. `claimants`: critical tasks that wait for a slot, loaded
    together with `running` when one may have to yield for them. `passed_over`: tasks that wait, and are left for later.
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
    passed_over: frozenset[str] = frozenset()

    def waiting(self, tier: Tier) -> bool:
        """Whether any lane of the tier is not empty."""
        return any(shape.lanes.get(tier, 0) > 0 for shape in self.shapes)


class RetryState(Struct, frozen=True, kw_only=True):
    """What the decision after an attempt that did not succeed needs: the task's entry, its retry policy, how many
    signals it has got, and why it was cancelled, if it was. `asks`: what waits in a lane for the attempt itself,
    which gave everything back and asks for it again. `pool`: the one that tries it.
    """

    entry: Entry
    retry: RetryPolicy
    pool: str = DEFAULT_POOL
    signals: int = 0
    cancelled_by: str | None = None
    asks: Entry | None = None


class Arrival(Struct, frozen=True):
    """A new task at the door, and its entry under the policy of the turn."""

    task: Task
    entry: Entry


class Finished(Struct, frozen=True):
    """The runner's last word on its attempt. `retry` is there unless it succeeded (the task was read). `waited` says
    which of its reservations `reservation` is. `traceparent`: the attempt's place in its trace, if the word said it.
    """

    task_id: str
    epoch: int
    runner: str
    reservation: Reservation
    outcome: Outcome
    retry: RetryState | None = None
    waited: Waited = Waited()
    traceparent: str | None = None

    @property
    def yielded(self) -> bool:
        """It gave its slot back because it was asked to, and the task goes back to its lane."""
        return self.outcome.kind is OutcomeKind.YIELDED and self.outcome.throttled is None


class LeaseExpired(Struct, frozen=True):
    """An attempt whose lease ran out unfinished, as it was read; or (`agent_gone`) whose agent is unavailable."""

    attempt: Attempt
    retry: RetryState
    agent_gone: bool = False


class GivesBack(Struct, frozen=True):
    """A running attempt, as it was read, that waits: what it holds goes back until it asks again. `usage`: so far."""

    attempt: Attempt
    usage: Usage = Usage()


class Ready(Struct, frozen=True):
    """A task that was held back and may compete now: a retry's or a sleep's time has come, a signal came, its parents
    have ended, or it was redriven. `due_ms` names its item among the delayed; None: it has none. `since_ms`: when the
    last of its parents had ended.
    """

    entry: Entry
    before: Status = Status.RETRYING
    due_ms: int | None = None
    since_ms: int | None = None


class DeadlineDue(Struct, frozen=True):
    """A task without an attempt that can no longer make its hard deadline."""

    entry: Entry
    before: Status = Status.PARKED
    due_ms: int | None = None


class Withdraw(Struct, frozen=True):
    """A task without an attempt that is not to be done any more: it was cancelled, or its parents failed. `entry` is
    what waits, as it is stored, or would.
    """

    entry: Entry
    before: Status
    status: Status
    error: ErrorDetail
    due_ms: int | None = None


Ended = Finished | LeaseExpired
# What an attempt holds is given back with these: because it ends, or for a while.
Releasing = Ended | GivesBack
OfTask = Arrival | Releasing | Ready | DeadlineDue | Withdraw
Input = OfTask | Claim


def end_of(attempt: Attempt, state: RetryState) -> Ended:
    """The end of an attempt as it was read: by its last word, else by the end of its lease."""
    if attempt.outcome is None or attempt.runner is None:
        return LeaseExpired(attempt, state)
    epoch, runner, held = attempt.epoch, attempt.runner, attempt.reservation
    return Finished(attempt.task_id, epoch, runner, held, attempt.outcome, state, attempt.waited)


def has_children(ended: Finished | LeaseExpired) -> bool:
    """The attempt submitted tasks that are attached to its own: these have to hear of that one's end."""
    return ended.outcome.children if isinstance(ended, Finished) else bool(ended.attempt.children)


def ended_task_id(over: Releasing) -> str:
    return over.task_id if isinstance(over, Finished) else over.attempt.task_id


def task_id_of(one: OfTask) -> str:
    """The task that an input is about."""
    return ended_task_id(one) if isinstance(one, Releasing) else one.entry.task_id


def ended_epoch(over: Releasing) -> int:
    return over.epoch if isinstance(over, Finished) else over.attempt.epoch


def held_by(over: Releasing) -> Reservation:
    """What the attempt gives back; nothing, of one that has done so already."""
    return over.reservation if isinstance(over, Finished) else over.attempt.reservation


def waited_of(over: Releasing) -> Waited:
    """Which of the attempt's reservations that is."""
    return over.waited if isinstance(over, Finished) else over.attempt.waited


def asked_by(ended: Ended) -> Entry | None:
    """What waits in a lane for the ended attempt itself, and waits there in vain."""
    return None if ended.retry is None else ended.retry.asks
