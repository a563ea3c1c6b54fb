"""How evenly a run served tenants that waited at the same time, against what fair queuing promises.

Service is the policy's cost (runtime and tokens, in seconds of slot time), counted when a task starts. Two tenants of
one tier are compared for as long as both have a task waiting that can still make its deadline.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.entry import cost_ms
from pushlane.simulator.run import Ran, Run
from pushlane.simulator.tasks import SimTask

# Pairs grow with the square, so of more tenants only those with the most tasks are compared.
TENANTS_MAX: Final = 24
_READY, _START, _LATE = 0, 1, 2
_POLICY: Final = Policy()


class TierGap(Struct, frozen=True, kw_only=True):
    """Seconds of slot time that one tenant got more than another while both waited: the largest seen, and the bound.

    The bound of start-time fair queuing: the largest cost of each of the two (of any pair), plus twice the credit.
    """

    gap_s: float
    bound_s: float

    @property
    def within(self) -> bool:
        return self.gap_s <= self.bound_s


ServiceGap = Mapping[str, TierGap]


def service_gap(run: Run, credit_s: float = 0.0) -> ServiceGap:
    """The gap by tier, of tiers that had two tenants; `credit_s` is how far urgency may run ahead of the order."""
    gaps = {tier.value: _tier_gap([one for one in run.ran if one.task.tier is tier], credit_s) for tier in Tier}
    return {tier: gap for tier, gap in gaps.items() if gap is not None}


def _tier_gap(ran: Sequence[Ran], credit_s: float) -> TierGap | None:
    counts: dict[str, int] = {}
    for one in ran:
        counts[one.task.tenant] = counts.get(one.task.tenant, 0) + 1
    tenants = sorted(counts, key=lambda tenant: (-counts[tenant], tenant))[:TENANTS_MAX]
    if len(tenants) < 2:
        return None
    compared = [one for one in ran if one.task.tenant in tenants]
    largest = sorted(max(_cost_ms(one.task) for one in compared if one.task.tenant == name) for name in tenants)
    bound_ms = largest[-1] + largest[-2] + 2 * credit_s * 1_000
    return TierGap(gap_s=_Pairs(tenants).widest_ms(compared) / 1_000, bound_s=bound_ms / 1_000)


class _Pairs:
    """The lead of each tenant over each other, and its range since both began to wait."""

    def __init__(self, tenants: Sequence[str]) -> None:
        self.place = {tenant: place for place, tenant in enumerate(tenants)}
        size = range(len(tenants))
        self.waiting = [0 for _ in size]
        self.lead = [[0 for _ in size] for _ in size]
        self.low = [[0 for _ in size] for _ in size]
        self.high = [[0 for _ in size] for _ in size]
        self.widest = 0

    def widest_ms(self, ran: Sequence[Ran]) -> int:
        """The widest range of any pair over the events of the run."""
        for _, kind, _, one in sorted(_events(ran), key=lambda event: event[:3]):
            tenant = self.place[one.task.tenant]
            if kind == _READY:
                self.waiting[tenant] += 1
                if self.waiting[tenant] == 1:
                    self._begin(tenant)
                continue
            if kind == _START and self.waiting[tenant]:
                self._serve(tenant, _cost_ms(one.task))
            if kind == _LATE or not _late(one, one.started_ms):
                self.waiting[tenant] -= 1
        return self.widest

    def _begin(self, tenant: int) -> None:
        for other, waiting in enumerate(self.waiting):
            if waiting and other != tenant:
                for a, b in ((tenant, other), (other, tenant)):
                    self.lead[a][b] = self.low[a][b] = self.high[a][b] = 0

    def _serve(self, tenant: int, cost_ms: int) -> None:
        lead, low, high = self.lead[tenant], self.low[tenant], self.high[tenant]
        for other, waiting in enumerate(self.waiting):
            if waiting and other != tenant:
                lead[other] += cost_ms
                high[other] = max(high[other], lead[other])
                self.lead[other][tenant] -= cost_ms
                self.low[other][tenant] = min(self.low[other][tenant], self.lead[other][tenant])
                self.widest = max(self.widest, high[other] - low[other])


def _events(ran: Sequence[Ran]) -> list[tuple[int, int, int, Ran]]:
    """A task waits on time from ready until it starts or turns late; every start is service, late or not.

    At one instant what becomes ready comes first, so that a task that starts at once counts while it waits.
    """
    events: list[tuple[int, int, int, Ran]] = []
    for one in ran:
        events.append((one.started_ms, _START, one.task.number, one))
        if not _late(one, one.task.ready_ms):
            events.append((one.task.ready_ms, _READY, one.task.number, one))
            if _late(one, one.started_ms):
                events.append((one.task.start_by_ms + 1, _LATE, one.task.number, one))
    return events


def _late(one: Ran, at_ms: int) -> bool:
    return one.task.start_by_ms < at_ms


def _cost_ms(task: SimTask) -> int:
    return cost_ms(task.runtime_ms, task.tokens, _POLICY)
