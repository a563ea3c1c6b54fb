"""What decisions do to the advisory clocks and to the shared counters: the one set of rules that a commit writes and a
simulation applies.
"""

from msgspec import Struct

from pushlane.model.attempt import Hold, Reservation
from pushlane.model.policy import Rate
from pushlane.model.task import Tier
from pushlane.scheduling.decisions import Decision, Dispatch, Park, Retry, released_by
from pushlane.scheduling.entry import lane_of
from pushlane.scheduling.fairness import charge_ms, clock_after, weighted_ms
from pushlane.scheduling.rates import gcra, gcra_of
from pushlane.scheduling.retry import draws_budget, retry_rate
from pushlane.scheduling.settlement import settlement
from pushlane.scheduling.snapshot import (
    AccountRef,
    AccountView,
    Finished,
    PoolSnapshot,
    Releasing,
    TierView,
    held_by,
)
from pushlane.scheduling.windows import tokens_by_window


class Advance:
    """A clock's change: set to `start` first, if it has to begin elsewhere, then moved by `add`, and by what earlier
    charges turned out to be (`settled`), which no catching up takes back.
    """

    def __init__(self, before: int) -> None:
        self.before = before
        self.start: int | None = None
        self.add = 0
        self.settled = 0

    @property
    def after(self) -> int:
        return self._charged + self.settled

    @property
    def moved(self) -> int:
        """What is added to the stored clock, when it does not begin elsewhere."""
        return self.add + self.settled

    @property
    def _charged(self) -> int:
        return (self.before if self.start is None else self.start) + self.add

    def catch_up(self, at_least: int) -> None:
        if at_least > self._charged:
            self.start, self.add = at_least, 0

    def move_to(self, at: int) -> None:
        if at != self._charged:
            self.start, self.add = at, 0


class AccountChange:
    """One tenant's account in one tier. `retry_draw_us`: what retries draw of its budget."""

    def __init__(self, before: AccountView) -> None:
        self.virtual = Advance(before.virtual_ms)
        self.late_virtual = Advance(before.late_virtual_ms)
        self.uncharged = Advance(before.uncharged_ms)
        self.charged = Advance(before.charged_ms)
        self.retry_draw_us = 0


class TierChange:
    """One tier's clocks."""

    def __init__(self, before: TierView) -> None:
        self.virtual = Advance(before.virtual_ms)
        self.late_virtual = Advance(before.late_virtual_ms)
        self.served = Advance(before.served_ms)
        self.share_clock = Advance(before.share_clock_ms)
        self.late_clock = Advance(before.late_clock_ms)


class TenantChange(Struct):
    """A limited tenant's counters: attempts in flight, draws of its task rate, tokens taken in the day and the month
    less those given back. `reserved`: new attempts, for which there has to be room.
    """

    in_flight: int = 0
    reserved: int = 0
    draw_us: int = 0
    day_tokens: int = 0
    month_tokens: int = 0


class ResourceChange(Struct):
    """One shard of a resource: slots, and microseconds of rate, drawn and refunded. `reserved_*`: the part that needs
    room.
    """

    used: int = 0
    reserved_used: int = 0
    draw_us: int = 0
    refund_us: int = 0
    reserved_us: int = 0
    admit_us: int | None = None  # the tightest room that a draw asked for: the timestamp may be this far ahead of now
    paused_until_ms: int | None = None


class Books:
    """Adds up the changes of one commit."""

    def __init__(self, snapshot: PoolSnapshot, now_ms: int) -> None:
        self._snapshot = snapshot
        self._policy = snapshot.policy
        self._now_ms = now_ms
        self._any_waits = any(shape.waiting for shape in snapshot.shapes)
        self.accounts: dict[AccountRef, AccountChange] = {}
        self.home_charges: dict[tuple[str, Tier, str], int] = {}
        self.tiers: dict[Tier, TierChange] = {}
        self.tenants: dict[str, TenantChange] = {}
        self.resources: dict[tuple[str, int], ResourceChange] = {}

    def add(self, decision: Decision) -> None:
        if isinstance(decision, Dispatch):
            self._dispatch(decision)
        if isinstance(decision, Park):
            self._park(decision)
        if isinstance(decision, Retry):
            self._retry(decision)
        released = released_by(decision)
        if released is not None:
            self._release(released)
            self._pause(released)

    def account(self, ref: AccountRef) -> AccountChange:
        if ref not in self.accounts:
            self.accounts[ref] = AccountChange(self._snapshot.accounts.get(ref, AccountView()))
        return self.accounts[ref]

    def tier(self, tier: Tier) -> TierChange:
        if tier not in self.tiers:
            self.tiers[tier] = TierChange(self._snapshot.tiers.get(tier, TierView()))
        return self.tiers[tier]

    def _dispatch(self, made: Dispatch) -> None:
        entry, held = made.entry, made.reservation
        account = self.account((entry.tier, entry.tenant_id))
        charge = charge_ms(held.cost_ms, held.weight_milli / 1_000)
        if held.charged:
            account.virtual.catch_up(made.start_tag_ms)
            account.virtual.add += charge
            account.charged.add += charge
        else:
            account.uncharged.add += held.cost_ms
        if held.late:
            account.late_virtual.catch_up(self.tier(entry.tier).late_virtual.after)
            self.tier(entry.tier).late_virtual.catch_up(account.late_virtual.after)
            account.late_virtual.add += charge
        self._charge_home(held, charge)
        if self._any_waits:
            self._serve(made)
        self._reserve(held)

    def _charge_home(self, held: Reservation, charge: int) -> None:
        """A task that moved here from its full lane counts there as well: another pool is no way round one's share."""
        if held.home_pool is not None:
            ref = (held.home_pool, held.tier, held.tenant_id)
            self.home_charges[ref] = self.home_charges.get(ref, 0) + charge

    def _serve(self, made: Dispatch) -> None:
        """The tier's clocks, as `TierClocks` moved them in the plan."""
        rules, tier = self._policy.tier(made.entry.tier), self.tier(made.entry.tier)
        cost = made.reservation.cost_ms
        tier.virtual.catch_up(made.floor_tag_ms)
        if made.reservation.late:
            _advance(tier.late_clock, tier.served.after, cost, rules.late_share)
        _advance(tier.share_clock, self._served_ms(), cost, rules.min_share)
        tier.served.add += cost

    def _park(self, parked: Park) -> None:
        entry = parked.entry
        ref = lane_of(entry)
        state = self._snapshot.lane_states.get(ref)
        opens = (state is None or state.depth == 0) and all(lane.ref != ref for lane in self._snapshot.lanes)
        if opens:
            self.account((entry.tier, entry.tenant_id)).virtual.catch_up(parked.tag_ms)
        if not self._snapshot.waiting(entry.tier):
            # It asks for nothing of the time when it had nothing to do.
            tier = self.tier(entry.tier)
            tier.share_clock.catch_up(self._served_ms())
            tier.late_clock.catch_up(tier.served.after)

    def _retry(self, made: Retry) -> None:
        held = held_by(made.ended)
        rate = retry_rate(self._policy, held.tenant_id)
        if rate is not None and draws_budget(made):
            self.account((held.tier, held.tenant_id)).retry_draw_us += rate.time_of(1)

    def _served_ms(self) -> int:
        known = {tier: view.served_ms for tier, view in self._snapshot.tiers.items()}
        known |= {tier: change.served.after for tier, change in self.tiers.items()}
        return sum(known.values())

    def _reserve(self, held: Reservation) -> None:
        rules = self._policy.tenant(held.tenant_id)
        if held.counted:
            tenant = self._tenant(held.tenant_id)
            tenant.in_flight += 1
            tenant.reserved += 1
            tenant.day_tokens += held.tokens
            tenant.month_tokens += held.tokens
            if rules.tasks_per_minute is not None:
                tenant.draw_us += gcra(rules.tasks_per_minute, rules.task_burst or rules.tasks_per_minute).time_of(1)
        for hold in held.holds:
            self._draw(hold)

    def _draw(self, hold: Hold) -> None:
        rule = self._policy.resources.get(hold.resource)
        change = self._resource(hold)
        if hold.slots:
            change.used += hold.amount
            change.reserved_used += hold.amount
        elif isinstance(rule, Rate):
            rate = gcra_of(rule)
            draw_us = rate.time_of(hold.amount)
            # Where the timestamp may stand before this draw and those before it in this commit.
            room_us = (0 if draw_us > rate.burst_us else rate.burst_us - draw_us) - change.reserved_us
            change.admit_us = room_us if change.admit_us is None else min(change.admit_us, room_us)
            change.draw_us += draw_us
            change.reserved_us += draw_us

    def _release(self, ended: Releasing) -> None:
        held, settled = held_by(ended), settlement(ended, self._policy, self._now_ms)
        if not held.slots:  # it has given everything back before
            return
        account = self.account((held.tier, held.tenant_id))
        if held.charged:
            account.virtual.settled += weighted_ms(settled.cost_ms, held.weight_milli)
            account.charged.add -= charge_ms(held.cost_ms, held.weight_milli / 1_000)
        else:
            account.uncharged.add -= held.cost_ms
        self._charge_home(held, weighted_ms(settled.cost_ms, held.weight_milli))
        if held.counted:
            self._true_up(held, settled.tokens)
        for hold in held.holds:
            if hold.slots:
                self._resource(hold).used -= hold.amount
        for hold, draw_us in settled.draws_us:
            change = self._resource(hold)
            debt_us = max(0, draw_us)  # it takes its room from the draws beside it, those before and those to come
            change.draw_us += debt_us
            change.reserved_us += debt_us
            change.admit_us = None if change.admit_us is None else change.admit_us - debt_us
            change.refund_us += max(0, -draw_us)

    def _true_up(self, held: Reservation, tokens: int) -> None:
        tenant = self._tenant(held.tenant_id)
        tenant.in_flight -= 1
        day, month = tokens_by_window(tokens, held.reserved_at_ms, self._now_ms)
        tenant.day_tokens += day
        tenant.month_tokens += month

    def _pause(self, ended: Releasing) -> None:
        """A provider's 429 holds for everyone who draws on the resource, on all its shards."""
        throttled = ended.outcome.throttled if isinstance(ended, Finished) else None
        if throttled is None:
            return
        rule = self._policy.resources.get(throttled.resource)
        until_ms = self._now_ms + round(throttled.retry_after_seconds * 1_000)
        for shard in range(rule.shards if isinstance(rule, Rate) else 1 if rule is not None else 0):
            change = self._resource(Hold(throttled.resource, 0, shard))
            change.paused_until_ms = max(until_ms, change.paused_until_ms or 0)

    def _tenant(self, tenant_id: str) -> TenantChange:
        return self.tenants.setdefault(tenant_id, TenantChange())

    def _resource(self, hold: Hold) -> ResourceChange:
        return self.resources.setdefault((hold.resource, hold.shard), ResourceChange())


def _advance(clock: Advance, served_ms: int, cost: int, share: float) -> None:
    start = clock_after(clock.after, served_ms, 0, share)
    after = clock_after(clock.after, served_ms, cost, share)
    clock.move_to(start)
    clock.add += after - start
