"""What attempts take, counted once more in another way: in buckets of tokens, not by the product's timestamps."""

from pushlane.model.attempt import Attempt, Hold, Outcome, Reservation
from pushlane.model.policy import Policy, Rate, RateUnit, SlotsOf
from pushlane.ports import Attributes, Change, Item
from pushlane.scheduling.windows import day_of
from pushlane.state.items import attempt_of

# Draws are rounded up to whole microseconds of a rate; so many of them never add up to more than this.
_ROUNDING = 0.01


class Bucket:
    """Earns `per_ms` up to `size`; a draw needs its amount, or a full bucket if it is larger than that."""

    def __init__(self, per_minute: float, size: float, now_ms: int) -> None:
        self.per_ms = per_minute / 60_000
        self.size = size
        self.level = size
        self.at_ms = now_ms

    def room(self, amount: float, now_ms: int) -> bool:
        level = min(self.size, self.level + self.per_ms * (now_ms - self.at_ms))
        return level + _ROUNDING >= min(amount, self.size)

    def draw(self, amount: float, now_ms: int) -> None:
        """Below zero: given back."""
        self.level = min(self.size, self.level + self.per_ms * (now_ms - self.at_ms))
        self.level = min(self.size, self.level - amount)
        self.at_ms = now_ms


class Ledger:
    """Follows the live attempts as the store's changes tell them, and fails when one of them took too much."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.live: dict[tuple[str, str], Reservation] = {}
        self.buckets: dict[tuple[str, int], Bucket] = {}
        self.task_rates: dict[str, Bucket] = {}
        self.day_tokens: dict[tuple[str, int], int] = {}
        self.paused_until_ms: dict[str, int] = {}

    def follow(self, changes: list[Change], now_ms: int) -> None:
        """One transaction. What it gives back of a rate it may take again; what it owes, it owes afterwards."""
        ended = [change for change in changes if change.new is None]
        begun = [change for change in changes if change.old is None]
        self._end(ended, now_ms, sign=-1)
        for change in begun:
            assert change.new is not None
            self._begin(change, change.new, now_ms)
        self._end(ended, now_ms, sign=1)
        for change in ended:
            self._pause(change, now_ms)

    def held(self, name: str) -> int:
        return sum(hold.amount for one in self.live.values() for hold in one.holds if hold.resource == name)

    def in_flight(self, tenant_id: str) -> int:
        return sum(one.tenant_id == tenant_id for one in self.live.values())

    def check(self) -> None:
        for name, rule in self.policy.resources.items():
            if isinstance(rule, SlotsOf):
                holders = [one for one in self.live.values() if any(hold.resource == name for hold in one.holds)]
                assert self.held(name) <= rule.slots or len(holders) == 1, f"{name}: {self.held(name)} in use"
        for tenant_id, tenant in self.policy.tenants.items():
            if tenant.in_flight_max is not None:
                assert self.in_flight(tenant_id) <= tenant.in_flight_max, f"{tenant_id} is over its cap"

    def bucket(self, name: str, shard: int, rule: Rate) -> Bucket:
        size = (rule.burst or rule.per_minute) / rule.shards
        return self.buckets.setdefault((name, shard), Bucket(rule.per_minute / rule.shards, size, 0))

    def task_rate(self, tenant_id: str) -> Bucket | None:
        rules = self.policy.tenant(tenant_id)
        if rules.tasks_per_minute is None:
            return None
        size = rules.task_burst or rules.tasks_per_minute
        return self.task_rates.setdefault(tenant_id, Bucket(rules.tasks_per_minute, size, 0))

    def _begin(self, change: Change, new: Attributes, now_ms: int) -> None:
        held = attempt_of(Item(change.key, new)).reservation
        assert (change.key.pk, change.key.sk) not in self.live
        self.live[change.key.pk, change.key.sk] = held
        for hold in held.holds:
            assert self.paused_until_ms.get(hold.resource, 0) <= now_ms, f"{hold.resource} is paused"
            rule = self.policy.resources[hold.resource]
            if isinstance(rule, Rate):
                bucket = self.bucket(hold.resource, hold.shard, rule)
                assert bucket.room(hold.amount, now_ms), f"{hold.resource}: {hold.amount} drawn beyond the rate"
                bucket.draw(hold.amount, now_ms)
        if (rate := self.task_rate(held.tenant_id)) is not None:
            assert rate.room(1, now_ms), f"{held.tenant_id}: dispatched beyond its task rate"
            rate.draw(1, now_ms)
        hard, used = self.policy.tenant(held.tenant_id).tokens_per_day.hard, self._count(held, held.tokens, now_ms)
        assert hard is None or used <= hard, f"{held.tenant_id}: {used} tokens of {hard} a day"

    def _count(self, held: Reservation, tokens: int, now_ms: int) -> int:
        ref = held.tenant_id, day_of(now_ms)
        self.day_tokens[ref] = self.tokens(held.tenant_id, now_ms) + tokens
        return self.day_tokens[ref]

    def tokens(self, tenant_id: str, now_ms: int) -> int:
        """Of the day: a new one starts at zero, and what was estimated too high on the last is not its gain."""
        return max(0, self.day_tokens.get((tenant_id, day_of(now_ms)), 0))

    def _end(self, ended: list[Change], now_ms: int, *, sign: int) -> None:
        for change in ended:
            attempt = _attempt(change)
            self.live.pop((change.key.pk, change.key.sk), None)
            if attempt.outcome is None:
                continue
            for hold in attempt.reservation.holds:
                self._true_up(hold, attempt.reservation, attempt.outcome, now_ms, sign)
            if sign > 0 and attempt.outcome.usage.tokens is not None:
                self._count(attempt.reservation, attempt.outcome.usage.tokens - attempt.reservation.tokens, now_ms)

    def _true_up(self, hold: Hold, held: Reservation, outcome: Outcome, now_ms: int, sign: int) -> None:
        """Below the estimate it is given back within the charge's own window; above, it is owed in any case."""
        rule = self.policy.resources[hold.resource]
        if not isinstance(rule, Rate):
            return
        by_tokens = outcome.usage.tokens if rule.unit is RateUnit.TOKENS else None
        used = outcome.usage.resources.get(hold.resource, by_tokens)
        if used is None or (used - hold.amount) * sign <= 0:
            return
        bucket = self.bucket(hold.resource, hold.shard, rule)
        in_window = (now_ms - held.reserved_at_ms) * rule.per_minute <= (rule.burst or rule.per_minute) * 60_000
        if sign > 0 or in_window:
            bucket.draw(used - hold.amount, now_ms)

    def _pause(self, change: Change, now_ms: int) -> None:
        outcome = _attempt(change).outcome
        if outcome is not None and outcome.throttled is not None:
            until_ms = now_ms + round(outcome.throttled.retry_after_seconds * 1_000)
            name = outcome.throttled.resource
            self.paused_until_ms[name] = max(until_ms, self.paused_until_ms.get(name, 0))


def _attempt(change: Change) -> Attempt:
    assert change.old is not None
    return attempt_of(Item(change.key, change.old))
