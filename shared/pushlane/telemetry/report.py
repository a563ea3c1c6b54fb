"""What the measures say, as values: summaries of tenants over a period, and samples of a pool."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

By = Literal["tenant", "tenant_tier", "minute"]


class Percentiles(Struct, frozen=True, kw_only=True):
    """A distribution of durations, each figure within 1 % of the exact one; all zero when `count` is."""

    count: int = 0
    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Summary(Struct, frozen=True, kw_only=True):
    """What became of one tenant's tasks from `from_ms` until `to_ms` (not included); `tier` None: of all tiers.

    `latencies` by name: pickup (accepted to first start) and its parts ingest, parked.<reason> and dispatch; run;
    unblock. `counts` by name: started, succeeded, failed, expired, cancelled, dead_lettered, retried, deadline_met,
    deadline_missed. Names that were never measured are not there. `slot_seconds`, `tokens` and `cost` are of tasks that
    ended in the period, over all of their attempts. `cost` is in seconds of slot time, tokens at the policy's price of
    them; `weight` is the tenant's share. Both lean on the policy: without it tokens cost nothing, and the weight is
    None. `reserved_tokens`: what was reserved of them before it was known what they would be.
    """

    tenant_id: str
    tier: str | None
    from_ms: int
    to_ms: int
    latencies: Mapping[str, Percentiles] = {}
    counts: Mapping[str, int] = {}
    slot_seconds: float = 0.0
    tokens: int = 0
    reserved_tokens: int = 0
    cost: float = 0.0
    weight: float | None = None


class LaneSample(Struct, frozen=True, kw_only=True):
    """The tasks of one tenant that wait in one tier of a pool."""

    tier: str
    tenant_id: str
    waiting: int
    oldest_wait_ms: int


class ResourceSample(Struct, frozen=True, kw_only=True):
    """A shared resource: what there is of it, what is reserved, and what of that is used, where that is known.

    `kind` is `rate` (units a minute) or `slots` (units at once).
    """

    resource: str
    kind: str
    limit: float
    reserved: float
    used: float | None = None


class PoolSample(Struct, frozen=True, kw_only=True):
    """A pool at one moment: what waits, what is taken, and whether anything waits that could run."""

    pool: str
    at_ms: int
    slots: int
    used: int
    waiting: int
    lanes: tuple[LaneSample, ...] = ()
    resources: tuple[ResourceSample, ...] = ()
    longest_wait_ms: int = 0
    waiting_with_idle_capacity: int = 0
