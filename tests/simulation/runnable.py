"""Which waiting tasks could run now, found by looking at everything that waits and everything that is free.

Written from the rules in the documentation and not from the scheduler: it reads the whole store.
"""

from pushlane.model.agent import Agent
from pushlane.model.policy import Rate, SlotsOf
from pushlane.scheduling.entry import Entry
from pushlane.state.items import entry_of_item
from tests.simulation.world import World

# A wake-up is a queue message, and those are delayed by whole seconds: so much later than a refill it may come.
_WAKE_LATE_MS = 1_000


def waiting(world: World) -> dict[str, list[Entry]]:
    """The parked tasks by pool."""
    found: dict[str, list[Entry]] = {}
    for item in world.scheduler_items("Q#"):
        found.setdefault(item.key.pk.split("#")[1], []).append(entry_of_item(item))
    return found


def left_idle(world: World) -> list[str]:
    """Waiting tasks for which everything is there, with an agent that has a slot free."""
    by_pool = waiting(world)
    found: list[str] = []
    for pool, entries in by_pool.items():
        overflow = world.policy.pool(pool).overflow_pool
        pools = {pool} if overflow is None or by_pool.get(overflow) else {pool, overflow}
        agents = [agent for agent in world.agents() if agent.pool in pools]
        look = _Look(world, entries)
        found += [f"{pool}: {entry}" for entry in entries if look.runnable(entry, agents)]
    return found


class _Look:
    def __init__(self, world: World, entries: list[Entry]) -> None:
        self.world = world
        self.now_ms = world.clock.now_ms()
        # A resource that an earlier task waits for is kept for it, and a tenant's budget likewise in its tier.
        self.short = {name for e in entries for name, amount in e.resources if not self._there(name, amount)}
        self.over = {(e.tier, e.tenant_id) for e in entries if not self._in_budget(e)}

    def runnable(self, entry: Entry, agents: list[Agent]) -> bool:
        if entry.hard and entry.late(self.now_ms):
            return False  # it expires
        if not any(agent.free > 0 and agent.can_run(entry.capabilities) for agent in agents):
            return False
        if any(name in self.short for name, _ in entry.resources) or (entry.tier, entry.tenant_id) in self.over:
            return False
        return self._tenant_may(entry)

    def _tenant_may(self, entry: Entry) -> bool:
        cap = self.world.policy.tenant(entry.tenant_id).in_flight_max
        if cap is not None and self.world.ledger.in_flight(entry.tenant_id) >= cap:
            return False
        rate = self.world.ledger.task_rate(entry.tenant_id)
        return rate is None or rate.room(1, self.now_ms - _WAKE_LATE_MS)

    def _in_budget(self, entry: Entry) -> bool:
        hard = self.world.policy.tenant(entry.tenant_id).tokens_per_day.hard
        used = self.world.ledger.tokens(entry.tenant_id, self.now_ms)
        return hard is None or used + entry.tokens <= hard

    def _there(self, name: str, amount: int) -> bool:
        rule = self.world.policy.resources[name]
        if self.world.ledger.paused_until_ms.get(name, 0) > self.now_ms - _WAKE_LATE_MS:
            return False
        if isinstance(rule, SlotsOf):
            held = self.world.ledger.held(name)
            return held + amount <= rule.slots or held == 0
        assert isinstance(rule, Rate)
        shards = [self.world.ledger.bucket(name, shard, rule) for shard in range(rule.shards)]
        return any(shard.room(amount, self.now_ms - _WAKE_LATE_MS) for shard in shards)
