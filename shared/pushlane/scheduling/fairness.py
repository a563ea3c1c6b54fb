"""Shares: between tenants by start-time fair queuing, between tiers by guaranteed minimum shares.

Start-time fair queuing (Goyal, Vin and Cheng, 1996; for several servers, Jin, Chase and Kaur, 2004): each tenant has a
virtual time, the lowest goes first, and a dispatch advances it by cost / weight. A tenant that returns starts at the
tier's virtual time, so that idleness earns nothing. Only while tasks wait does time move: when nobody waits there is
nothing to share, and what is in flight then counts against a tenant once somebody does wait.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pushlane.model.attempt import Reservation
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.scheduling.entry import RANKS, TIERS, Entry
from pushlane.scheduling.snapshot import AccountView, PoolSnapshot, TierView

# A tier or a tier's late work that could not be served (no agent of its kind was free) is owed no more than this.
OWED_MAX_MS: Final = 600_000
_NO_ACCOUNT: Final = AccountView()
_NO_TIER: Final = TierView()


def charge_ms(cost_ms: int, weight: float) -> int:
    """What a cost advances the virtual time of a tenant of that weight by; at least one."""
    return max(1, round(cost_ms / weight))


def weighted_ms(cost_ms: int, weight_milli: int) -> int:
    """The same for a weight in thousandths, signed, as reservations keep it."""
    return cost_ms * 1_000 // max(1, weight_milli)


class TenantClocks:
    """Virtual times of the tenants in each tier, while a plan is made."""

    def __init__(self, snapshot: PoolSnapshot) -> None:
        self._policy = snapshot.policy
        self._accounts: Mapping[tuple[Tier, str], AccountView] = snapshot.accounts
        self._tiers = snapshot.tiers
        self._floors = {tier: view.virtual_ms for tier, view in snapshot.tiers.items()}
        self._tags: dict[tuple[Tier, str], int] = {}
        self._late_tags: dict[tuple[Tier, str], int] = {}
        self._uncharged: dict[tuple[Tier, str], int] = {}
        self._charged: dict[tuple[Tier, str], int] = {}
        self._open = {(lane.ref.tier, lane.ref.tenant_id) for lane in snapshot.lanes}
        self._open |= {(ref.tier, ref.tenant_id) for ref, state in snapshot.lane_states.items() if state.depth > 0}

    def tag(self, tier: Tier, tenant_id: str) -> int:
        """The tenant's start tag: its own virtual time while it has a backlog, else at least the tier's."""
        ref = (tier, tenant_id)
        tag = self._tags.get(ref)
        if tag is not None:
            return tag
        account = self._accounts.get(ref, _NO_ACCOUNT)
        if ref in self._open:
            tag = account.virtual_ms
        else:
            in_flight_ms = max(0, account.uncharged_ms + self._uncharged.get(ref, 0))
            started = self.floor(tier) + round(in_flight_ms / self._policy.tenant(tenant_id).weight)
            return max(account.virtual_ms, started)  # not kept: the floor may still rise
        self._tags[ref] = tag
        return tag

    def late_tag(self, tier: Tier, tenant_id: str) -> int:
        ref = (tier, tenant_id)
        if ref not in self._late_tags:
            account = self._accounts.get(ref, _NO_ACCOUNT)
            self._late_tags[ref] = max(account.late_virtual_ms, self._tiers.get(tier, _NO_TIER).late_virtual_ms)
        return self._late_tags[ref]

    def floor(self, tier: Tier) -> int:
        """The tier's virtual time: where a returning tenant starts."""
        return self._floors.get(tier, 0)

    def raise_floor(self, tier: Tier, tenant_ids: Iterable[str]) -> int:
        """Advance the tier's virtual time to the lowest of these backlogged tenants' before what they have in flight.

        So what runs counts against whoever runs it: a tenant that returns stands ahead of one that holds the slots. And
        an estimate that proves too high leaves nothing behind: the tier's time is made of costs that were true.
        """
        lowest_ms = min(self.tag(tier, tenant_id) - self._in_flight(tier, tenant_id) for tenant_id in tenant_ids)
        self._floors[tier] = max(self.floor(tier), lowest_ms)
        return self._floors[tier]

    def _in_flight(self, tier: Tier, tenant_id: str) -> int:
        ref = (tier, tenant_id)
        return self._accounts.get(ref, _NO_ACCOUNT).charged_ms + self._charged.get(ref, 0)

    def charge(self, entry: Entry, *, late: bool) -> None:
        ref = (entry.tier, entry.tenant_id)
        added = charge_ms(entry.cost_ms, self._policy.tenant(entry.tenant_id).weight)
        if late:
            self._late_tags[ref] = self.late_tag(*ref) + added
        self._tags[ref] = self.tag(*ref) + added
        self._charged[ref] = self._charged.get(ref, 0) + added

    def released(self, held: Reservation) -> None:
        """What was in flight uncharged counts no longer."""
        if not held.charged:
            ref = (held.tier, held.tenant_id)
            self._uncharged[ref] = self._uncharged.get(ref, 0) - held.cost_ms

    def in_flight(self, entry: Entry) -> None:
        """Dispatched while nobody waited: counts only while it runs."""
        ref = (entry.tier, entry.tenant_id)
        self._uncharged[ref] = self._uncharged.get(ref, 0) + entry.cost_ms


class TierClocks:
    """Which tier goes next: strict priority, except that one below its guaranteed share goes before."""

    def __init__(self, policy: Policy, tiers: Mapping[Tier, TierView]) -> None:
        self._policy = policy
        self._served = dict.fromkeys(TIERS, 0)
        self._clocks = dict.fromkeys(TIERS, 0)
        self._late = dict.fromkeys(TIERS, 0)
        for tier, view in tiers.items():
            self._served[tier], self._clocks[tier] = view.served_ms, view.share_clock_ms
            self._late[tier] = view.late_clock_ms
        # All cost that was dispatched while tasks waited: the clock that shares are measured against.
        self.served_ms = sum(self._served.values())

    def first(self, tiers: Iterable[Tier]) -> Tier:
        """The tier to serve next among those that could be."""
        ranked = sorted(tiers, key=RANKS.__getitem__)
        if len(ranked) == 1:
            return ranked[0]
        return next((tier for tier in ranked if self.owed(tier)), ranked[0])

    def owed(self, tier: Tier) -> bool:
        """Below its guaranteed share."""
        return self._policy.tier(tier).min_share > 0 and self._clocks[tier] < self.served_ms

    def late_owed(self, tier: Tier) -> bool:
        """The tier's late work is below its part of the tier."""
        rules = self._policy.tier(tier)
        return rules.late_share > 0 and self._late[tier] < self._served[tier]

    def charge(self, tier: Tier, cost: int, *, late: bool) -> None:
        rules = self._policy.tier(tier)
        if late:
            self._late[tier] = clock_after(self._late[tier], self._served[tier], cost, rules.late_share)
        self._clocks[tier] = clock_after(self._clocks[tier], self.served_ms, cost, rules.min_share)
        self._served[tier] += cost
        self.served_ms += cost


def clock_after(clock_ms: int, served_ms: int, cost: int, share: float) -> int:
    """A share clock after `cost` was given to it, against all that was served: it falls behind while its share is not
    met, but what it is owed does not grow without bound. Nor is it held against it that it got more while others left
    it: its share is guaranteed from now on, so the clock never starts from ahead of what was served.
    """
    start_ms = min(max(clock_ms, served_ms - OWED_MAX_MS), served_ms)
    return start_ms + (round(cost / share) if share > 0 else 0)
