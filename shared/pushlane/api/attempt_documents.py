"""What an attempt says over HTTP, and what it is answered."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.model.attempt import Order
from pushlane.model.callback import Callback
from pushlane.model.events import Capabilities, Labels, ResourceAmounts
from pushlane.model.ids import IdempotencyKey, Identifier
from pushlane.model.signals import Signal
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Estimate, Penalty, RetryPolicy, Tier
from pushlane.model.times import TimeMs

LEASE_SECONDS_MAX: Final = 900
_COUNT_MAX: Final = 10_000

LeaseSeconds = Annotated[float, Meta(ge=1, le=LEASE_SECONDS_MAX)]
Count = Annotated[int, Meta(ge=0, le=_COUNT_MAX)]
Kind = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=2_000)]


class UsageSaid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the attempt has used by now; what is left out counts as the task estimated it."""

    tokens: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    resources: Annotated[dict[Identifier, Annotated[int, Meta(ge=0, le=10**12)]], Meta(max_length=20)] = {}


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin the attempt. `runner`: a fresh id of this very run, the same when the call is repeated. `lease_seconds`:
    how long it is believed to live without another word; `stall_seconds`: without a sign of its work.
    """

    runner: Identifier
    lease_seconds: LeaseSeconds = 30.0
    stall_seconds: LeaseSeconds | None = None


class CheckIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attempt lives. `quiet_seconds`: how long its work has shown no sign (a heartbeat beside the work says so).
    `checkpoint`: where the task goes on if it has to be run again. `waits` and `waiting`: see the operation `wait`.
    """

    runner: Identifier
    lease_seconds: LeaseSeconds = 30.0
    quiet_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    checkpoint: dict[str, Any] | None = None
    progress: Any = None
    waits: Count | None = None
    waiting: bool | None = None


class Ending(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every last word may say. With both times a repeat of the very word is recognised even after it was taken.
    `children`: tasks attached to this one were submitted; `waits`: how often the attempt gave everything back.
    """

    runner: Identifier
    usage: UsageSaid = UsageSaid()
    started_at_ms: TimeMs | None = None
    finished_at_ms: TimeMs | None = None
    children: bool = False
    waits: Count = 0


class Complete(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The task is done."""

    result: dict[str, Any] = {}


class Pause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider refused a call: the resource pauses for everyone."""

    resource: Identifier
    retry_after_seconds: Annotated[float, Meta(ge=0, le=86_400)]


class Fail(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attempt failed; whether the task is tried again is decided by its retry policy, unless it is not
    `retryable`.
    """

    error_type: Annotated[str, Meta(min_length=1, max_length=128)]
    message: Text = ""
    retryable: bool = True
    checkpoint: dict[str, Any] | None = None
    throttled: Pause | None = None


class GiveWay(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attempt gives its slot back, as it was ordered to or because its process ends; the task goes on later."""

    checkpoint: dict[str, Any] | None = None
    throttled: Pause | None = None


class Stop(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attempt ends because the task was cancelled."""

    checkpoint: dict[str, Any] | None = None


class Suspend(Ending, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The task goes on at `resume_at_ms`, or when a signal named `awaits` comes. Refused (`unseen-signals`) when more
    than `signals_seen` signals have come.
    """

    checkpoint: dict[str, Any] | None = None
    resume_at_ms: TimeMs | None = None
    awaits: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    signals_seen: Count = 0


class Emit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event for those who watch the task. `number` counts the events of an attempt from 1; repeated it is one."""

    runner: Identifier
    number: Annotated[int, Meta(ge=1, le=2**31)]
    kind: Kind
    data: Any = None


class Wait(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attempt's wait `number` (from 1) begins. It has said so by a check-in with `waits` and `waiting` before."""

    runner: Identifier
    number: Annotated[int, Meta(ge=1, le=_COUNT_MAX)]
    usage: UsageSaid = UsageSaid()


class Back(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That wait is over, and what was given back is needed again: check in until `granted` is its number."""

    runner: Identifier
    number: Annotated[int, Meta(ge=1, le=_COUNT_MAX)]


class Child(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task of the same tenant that this one needs. By its key it is the same task, however often it is submitted.
    `attached`: it is cancelled with this one, which hears of its end by a signal.
    """

    runner: Identifier
    idempotency_key: IdempotencyKey
    task_type: Identifier
    attached: bool = True
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    tier: Tier = Tier.NORMAL
    pool: Identifier = DEFAULT_POOL
    capabilities: Capabilities | None = None
    deadline_ms: TimeMs | None = None
    deadline_kind: DeadlineKind = DeadlineKind.SOFT
    penalty: Penalty = Penalty.STEP
    resources: ResourceAmounts = msgspec.field(default_factory=dict)
    estimate: Estimate = Estimate()
    retry: RetryPolicy = RetryPolicy()
    labels: Labels = msgspec.field(default_factory=dict)
    callback: Callback | None = None


class OrdersView(Struct, frozen=True, kw_only=True):
    """What is ordered, and what the attempt has to know. `signals`: those that came since it was dispatched, of
    `signals_known` in all. `ends_at_ms`: no lease reaches beyond it. `gave_back` and `granted`: numbers of waits.
    `now_ms` is the platform's clock, which all these times are by.
    """

    order: Order
    lease_until_ms: int
    now_ms: int
    started_at_ms: int | None = None
    ends_at_ms: int | None = None
    signals: tuple[Signal, ...] = ()
    signals_known: int = 0
    gave_back: int = 0
    granted: int = 0
    progress_at_ms: int = 0


class ChildView(Struct, frozen=True, kw_only=True):
    """The submitted task."""

    task_id: str


class Taken(Struct, frozen=True, kw_only=True):
    """The attempt's last word was taken. `repeated`: it had been before."""

    task_id: str
    epoch: int
    repeated: bool = False
