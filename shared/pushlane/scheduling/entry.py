"""The entry: a task as far as scheduling needs it, and where it stands in its lane.

Its place is a static key. All waiting tasks lose laxity at the same rate, so "least laxity first" is the order of
`start_by_ms` = deadline - estimated runtime (Dertouzos and Mok, 1989), and no waiting entry is ever scored again.
"""

from typing import Final

from msgspec import Struct

from pushlane.model.ids import digest
from pushlane.model.mode import Route
from pushlane.model.pickup import Pickup
from pushlane.model.policy import Policy, Rate, RateUnit
from pushlane.model.task import DeadlineKind, Penalty, Task, Tier
from pushlane.model.times import sortable

TIERS: Final = tuple(Tier)
RANKS: Final = {tier: rank for rank, tier in enumerate(TIERS)}


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits in a lane or among the delayed, and what a dispatch takes out.

    `epoch` is the number of its last attempt (0 before the first). `enqueued_at_ms` is the time of acceptance and
    never changes; nor does `start_by_ms`, so a retried or yielded task keeps its place. `dated`: it has a deadline,
    else `start_by_ms` is when it has waited its tier's longest wait. `ends_at_ms`: its deadline, if that is hard.
    `cost_ms`: runtime and tokens, in slot time. `uncounted`: attempts that cost none of its retries (it yielded, or
    a provider was busy). `victim`: the task whose attempt was asked to yield for it. `home_pool`: the pool whose
    full lane it came from. `tells`: others have to hear of its end. `avoid`: agents that failed it, taken only when
    no other is free. `runner`: it is a live attempt that has given everything back for its wait number `wait`, and
    goes on in the same process, so only its agent can run it. `route`: how it reaches an agent while its tenant's
    tasks are shared out between two ways. `pickup`: how it came to wait for its first start.
    """

    task_id: str
    tenant_id: str
    task_type: str
    tier: Tier
    capabilities: tuple[str, ...]
    enqueued_at_ms: int
    start_by_ms: int
    runtime_ms: int
    dated: bool = False
    hard: bool = False
    ends_at_ms: int | None = None
    penalty: Penalty = Penalty.STEP
    tokens: int = 0
    cost_ms: int = 0
    resources: tuple[tuple[str, int], ...] = ()
    epoch: int = 0
    uncounted: int = 0
    unblocks: int = 0
    victim: str | None = None
    home_pool: str | None = None
    tells: bool = False
    avoid: tuple[str, ...] = ()
    runner: str | None = None
    wait: int = 0
    route: Route | None = None
    pickup: Pickup | None = None

    @property
    def shape(self) -> str:
        return shape_of(self.capabilities, tuple(name for name, _ in self.resources), self.route)

    @property
    def order(self) -> str:
        """Sort key in the lane: those without a deadline apart (`A`) from those with one (`D`), each by time."""
        return f"{'D' if self.dated else 'A'}#{sortable(self.start_by_ms)}#{self.task_id}"

    @property
    def place(self) -> tuple[int, int, str]:
        """Least laxity first; then first in, first out; the id makes every turn see the same order."""
        return (self.start_by_ms, self.enqueued_at_ms, self.task_id)

    def late(self, now_ms: int) -> bool:
        """It can no longer make its deadline, if it runs as long as estimated."""
        return self.dated and self.start_by_ms < now_ms


_shapes: dict[tuple[tuple[str, ...], tuple[str, ...], Route | None], str] = {}
_SHAPES_MAX: Final = 10_000


def shape_of(capabilities: tuple[str, ...], resources: tuple[str, ...] = (), route: Route | None = None) -> str:
    """Tasks of one shape can run on the same agents and draw on the same resources, so one that is blocked never hides
    a runnable one.
    """
    known = _shapes.get((capabilities, resources, route))
    if known is None:
        if len(_shapes) >= _SHAPES_MAX:
            _shapes.clear()
        way = () if route is None else ("/", route.value)
        known = digest(*sorted(capabilities), "/", *sorted(resources), *way)[:12]
        _shapes[capabilities, resources, route] = known
    return known


class LaneRef(Struct, frozen=True, order=True):
    """The parked tasks of one tier and tenant of a pool, of one shape."""

    shape: str
    tier: Tier
    tenant_id: str


def lane_of(entry: Entry) -> LaneRef:
    return LaneRef(shape=entry.shape, tier=entry.tier, tenant_id=entry.tenant_id)


def entry_of(task: Task, policy: Policy, epoch: int = 0, uncounted: int = 0) -> Entry:
    """The scheduling view of a task under a policy."""
    runtime_ms = round(task.estimate.runtime_seconds * 1_000)
    waits_ms = round(policy.tier(task.tier).longest_wait_seconds * 1_000)
    dated = task.deadline_ms is not None
    hard = dated and task.deadline_kind is DeadlineKind.HARD
    start_by_ms = task.accepted_at_ms + waits_ms if task.deadline_ms is None else task.deadline_ms - runtime_ms
    return Entry(
        task_id=task.task_id,
        tenant_id=task.tenant_id,
        task_type=task.task_type,
        tier=task.tier,
        capabilities=task.capabilities,
        enqueued_at_ms=task.accepted_at_ms,
        start_by_ms=start_by_ms,
        runtime_ms=runtime_ms,
        dated=dated,
        hard=hard,
        ends_at_ms=task.deadline_ms if hard else None,
        penalty=task.penalty,
        tokens=task.estimate.tokens,
        cost_ms=cost_ms(runtime_ms, task.estimate.tokens, policy),
        resources=_resources(task, policy),
        epoch=epoch,
        uncounted=uncounted,
        unblocks=0 if task.workflow is None else task.workflow.unblocks,
        home_pool=task.home_pool,
        tells=task.tells,
        route=policy.tenant(task.tenant_id).marked(task.task_id),
    )


def cost_ms(runtime_ms: int, tokens: int, policy: Policy) -> int:
    """What an attempt costs its tenant's share, in milliseconds of slot time; at least one, so that none is free."""
    return max(1, runtime_ms + round(tokens * policy.token_cost_ms))


def _resources(task: Task, policy: Policy) -> tuple[tuple[str, int], ...]:
    """What one attempt draws: what the task says, else what the policy says of its type in the resource's own unit."""
    named = {name: _default_amount(task, policy, name) for name in policy.task_type(task.task_type).resources}
    return tuple(sorted((named | task.resources).items()))


def _default_amount(task: Task, policy: Policy, name: str) -> int:
    rule = policy.resources.get(name)
    by_tokens = isinstance(rule, Rate) and rule.unit is RateUnit.TOKENS
    return max(1, task.estimate.tokens) if by_tokens else 1
