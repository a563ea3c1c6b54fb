"""The policy: everything about scheduling that an operator may change without a deploy, as one frozen value.

Amounts of work are in milliseconds of slot time: a task's cost is its runtime plus its tokens at `token_cost_ms`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.model.ids import Identifier
from pushlane.model.mode import Mode, Route, route_of_share
from pushlane.model.task import DEFAULT_POOL, Tier

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400 * 31)]
Revision = Annotated[int, Meta(ge=0)]

# Each is an item of its own in a reservation's transaction.
RESOURCES_MAX: Final = 5
SHARDS_MAX: Final = 16


class TierPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tier. `min_share`: of the pool's dispatched cost, guaranteed while it has work. `longest_wait_seconds`: by
    then a task without a deadline goes first in its tier. `feasible_first`: tasks that can no longer make their
    deadline wait for those that still can, and get `late_share` of the tier at least.
    """

    min_share: Share = 0.0
    longest_wait_seconds: Seconds = 3_600
    feasible_first: bool = True
    late_share: Share = 0.03


class TokenBudget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens in a window (UTC day or month): past `soft` a fact says so, past `hard` nothing more is admitted."""

    soft: Positive | None = None
    hard: Positive | None = None

    @property
    def limited(self) -> bool:
        return self.soft is not None or self.hard is not None


class TenantPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tenant's share and limits; what is null is not limited. What a document leaves out of a named tenant is as in
    `default_tenant`. `retries_per_minute`: so many failed attempts of one tier and pool are tried again at once and in
    each minute; the others come later. `mode`: which agents get its tasks (null: any); `push_percent` of them are
    pushed in the mode percent.
    """

    weight: Annotated[float, Meta(ge=0.01, le=10_000)] = 1.0
    in_flight_max: Positive | None = None
    tasks_per_minute: Positive | None = None
    task_burst: Positive | None = None
    tokens_per_day: TokenBudget = TokenBudget()
    tokens_per_month: TokenBudget = TokenBudget()
    retries_per_minute: Positive | None = 60
    mode: Mode | None = None
    push_percent: Annotated[int, Meta(ge=0, le=100)] | None = None

    def marked(self, task_id: str) -> Route | None:
        """The way that a task keeps while its tenant's are shared out; None in any other mode."""
        return route_of_share(task_id, self.push_percent or 0) if self.mode is Mode.PERCENT else None

    def route(self, marked: Route | None) -> Route | None:
        """The way that a task with this mark goes now; None: whichever agent is free first."""
        match self.mode:
            case Mode.PUSH:
                return Route.PUSH
            case Mode.POLL | Mode.SHADOW:
                return Route.PULL
            case Mode.PERCENT:
                # What came before the share was set has no mark, and waits for who would have had it.
                return marked or (Route.PUSH if self.push_percent == 100 else Route.PULL)
            case None:
                return None

    @property
    def limited(self) -> bool:
        """Whether the tenant has a state item that reservations are counted on."""
        return (
            self.in_flight_max is not None
            or self.tasks_per_minute is not None
            or self.tokens_per_day.limited
            or self.tokens_per_month.limited
        )


class RateUnit(StrEnum):
    """What one attempt draws of a rate when its task does not say: its estimated tokens, or one."""

    TOKENS = "tokens"
    REQUESTS = "requests"
    TOOL_CALLS = "tool-calls"


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="rate"):
    """So much a minute (TPM, RPM, tool calls), shared by all pools. `burst` may be drawn at once (default: a minute's
    worth). A hot rate is split over `shards` items, each with its part of rate and burst.
    """

    per_minute: Positive
    unit: RateUnit = RateUnit.TOKENS
    burst: Positive | None = None
    shards: Annotated[int, Meta(ge=1, le=SHARDS_MAX)] = 1


class SlotsOf(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="slots"):
    """So many at a time (browsers, licences), shared by all pools."""

    slots: Positive


Resource = Rate | SlotsOf


class TaskTypePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every task of a type needs beside an agent, whether its attempts may be asked to yield, and how they are
    watched. `lease_seconds`: an attempt of which nothing was heard for so long is lost. `stall_seconds`: so is one
    whose agent lives and shows no progress for so long (null: never). `cancel_grace_seconds`: what is cancelled while
    it runs has so long to end by itself.
    """

    resources: Annotated[tuple[Identifier, ...], Meta(max_length=RESOURCES_MAX)] = ()
    preemptible: bool = True
    lease_seconds: Annotated[float, Meta(ge=1, le=3_600)] = 30.0
    stall_seconds: Annotated[float, Meta(ge=1, le=86_400)] | None = None
    cancel_grace_seconds: Annotated[float, Meta(ge=0, le=900)] = 10.0


class ScoreWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of the six signals, each between 0 and 1; see `pushlane.scheduling.score`."""

    base_priority: Annotated[float, Meta(ge=0)] = 0.05
    urgency: Annotated[float, Meta(ge=0)] = 1.0
    wait: Annotated[float, Meta(ge=0)] = 0.0
    affinity: Annotated[float, Meta(ge=0)] = 0.05
    unblocks: Annotated[float, Meta(ge=0)] = 0.1
    efficiency: Annotated[float, Meta(ge=0)] = 0.05


class Preemption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which waiting tiers may ask which running tiers to yield. `laxity_seconds`: only once so little time is left
    before the waiter has to start (a waiter without a deadline asks at once).
    """

    enabled: bool = True
    waiters: tuple[Tier, ...] = (Tier.CRITICAL,)
    victims: tuple[Tier, ...] = (Tier.NORMAL, Tier.LOW, Tier.BACKGROUND)
    laxity_seconds: Seconds = 5.0
    orders_max: Annotated[int, Meta(ge=1, le=5)] = 2


class Redrive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dead-lettered tasks that are tried again by themselves: each `after_seconds` after its death, `max_times` in all,
    and no more than `per_minute` of the pool. What has used that up waits for an operator.
    """

    after_seconds: Seconds = 3_600
    max_times: Annotated[int, Meta(ge=1, le=100)] = 1
    per_minute: Annotated[int, Meta(ge=1, le=300)] = 10


class PoolPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pool's bounds. `lane_max`: tasks that one tenant may have waiting in one tier for one kind of work; from
    `pressure_on` (a fraction of it) producers are told to slow down, until it falls below `pressure_off`.
    `overflow_pool` lends its idle agents, and takes what a full lane cannot. `redrive`: dead-lettered tasks go back by
    themselves (null: an operator decides).
    """

    lane_max: Positive = 100_000
    pressure_on: Share = 0.8
    pressure_off: Share = 0.5
    overflow_pool: Identifier | None = None
    redrive: Redrive | None = None


DEFAULT_TIERS: Final[Mapping[Tier, TierPolicy]] = {
    Tier.CRITICAL: TierPolicy(min_share=0.2, longest_wait_seconds=60, feasible_first=False),
    Tier.HIGH: TierPolicy(min_share=0.1, longest_wait_seconds=300, feasible_first=False),
    Tier.NORMAL: TierPolicy(min_share=0.05, longest_wait_seconds=1_800),
    Tier.LOW: TierPolicy(min_share=0.02, longest_wait_seconds=7_200),
    Tier.BACKGROUND: TierPolicy(min_share=0.01, longest_wait_seconds=86_400),
}


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules of scheduling. What is left out has the defaults shown here; `tiers` and `pools` may name only some.
    `revision`: which one this is; in a document to be set, the one that it was made from.
    """

    revision: Revision | None = None
    tiers: dict[Tier, TierPolicy] = {}
    default_tenant: TenantPolicy = TenantPolicy()
    tenants: dict[Identifier, TenantPolicy] = {}
    resources: dict[Identifier, Resource] = {}
    task_types: dict[Identifier, TaskTypePolicy] = {}
    pools: dict[Identifier, PoolPolicy] = {}
    score: ScoreWeights = ScoreWeights()
    preemption: Preemption = Preemption()
    token_cost_ms: Annotated[float, Meta(ge=0, le=1_000)] = 1.0
    urgency_credit_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 120.0

    def tier(self, tier: Tier) -> TierPolicy:
        return self.tiers.get(tier) or DEFAULT_TIERS[tier]

    def tenant(self, tenant_id: str) -> TenantPolicy:
        return self.tenants.get(tenant_id, self.default_tenant)

    def task_type(self, task_type: str) -> TaskTypePolicy:
        return self.task_types.get(task_type, _ANY_TYPE)

    def pool(self, pool: str = DEFAULT_POOL) -> PoolPolicy:
        return self.pools.get(pool, _ANY_POOL)


_ANY_TYPE: Final = TaskTypePolicy()
_ANY_POOL: Final = PoolPolicy()
