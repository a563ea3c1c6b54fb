"""A dispatcher under a policy, with agents whose work a test decides on, and a look at the stored counters."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.inmemory import Faults, ManualClock
from pushlane.model.events import Fact, FactName
from pushlane.model.task import Tier
from pushlane.ports import Key, Table
from pushlane.scheduling.rates import gcra
from pushlane.state import keys
from pushlane.state.policies import PolicyChange, set_policy
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import RESULTS

POOL: Final = "default"
QUEUE: Final = "queue/agent/one"
Work = Callable[[TaskContext, Mapping[str, Any]], Mapping[str, Any]]


class Limited:
    """`one` is an agent for `echo` with many slots. `work` is what it does, and may be replaced at any time."""

    def __init__(
        self,
        policy: Mapping[str, Any],
        *,
        slots: int = 20,
        tenants: tuple[str, ...] = ("atlas", "borea"),
        faults: Faults | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=tenants, faults=faults, clock=clock)
        self.store = self.dispatcher.store
        self.clock = self.dispatcher.clock
        self.work: Work = lambda _ctx, _payload: {}
        self._changes = 0
        self.register("one", slots=slots)
        self.set(policy)

    def register(self, agent_id: str, *, slots: int = 1, pool: str = POOL) -> None:
        @agent(task_types=("echo",))
        def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            return self.work(ctx, payload)

        self.dispatcher.register(work, agent_id=agent_id, slots=slots, pool=pool)

    def set(self, policy: Mapping[str, Any]) -> None:
        """Make it the policy, and let a second pass so that every router goes by it."""
        self._changes += 1
        change = PolicyChange(document=msgspec.json.encode(policy), change_id=f"p{self._changes}", changed_by="test")
        set_policy(self.store, change, self.clock.now_ms())
        self.clock.advance(1_000)

    def using(self, tokens: int, runtime_ms: int = 0) -> Work:
        """Work that takes so long, and says what it used."""

        def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
            ctx.used(tokens=tokens)
            self.clock.advance(runtime_ms)
            return {}

        return work

    def submit(self, **data: Any) -> str:
        """Submit and let the router decide; the agents have not run yet."""
        task_id = self.dispatcher.submit(**data)
        self.decide()
        return task_id

    def submit_many(self, count: int, **data: Any) -> list[str]:
        task_ids = [self.dispatcher.submit(**data) for _ in range(count)]
        self.decide()
        return task_ids

    def decide(self) -> None:
        while self.dispatcher._deliver_intake():
            pass

    def run_one(self, agent_id: str = "one") -> None:
        """Let the agent work off its next dispatch, and the router take the result."""
        assert self.dispatcher._deliver_agent(f"queue/agent/{agent_id}")
        self.dispatcher._deliver(RESULTS)

    def dispatched(self, task_ids: list[str]) -> list[str]:
        return [task_id for task_id in task_ids if self.dispatcher.status(task_id) == "DISPATCHED"]

    def reason(self, task_id: str) -> str:
        """Why the task was parked."""
        stored = self.dispatcher.task(task_id)
        assert stored is not None
        assert stored["status"] == "PARKED"
        return str(stored["park_reason"])

    def facts(self, name: FactName) -> list[Fact]:
        self.dispatcher.publish()
        return [fact for fact in self.dispatcher.facts if fact.metadata.name is name]

    def stored(self, key: Key) -> dict[str, Any]:
        found = self.store.get([key]).get(key)
        return {} if found is None else dict(found.attributes)

    def resource(self, name: str, shard: int = 0) -> dict[str, Any]:
        return self.stored(keys.resource_key(name, shard))

    def tenant(self, tenant_id: str = "atlas") -> dict[str, Any]:
        return self.stored(keys.tenant_limits_key(tenant_id))

    def account(self, tenant_id: str = "atlas", tier: Tier = Tier.NORMAL, pool: str = POOL) -> dict[str, Any]:
        return self.stored(keys.account_key(pool, tier, tenant_id))

    def drawn(self, name: str, per_minute: int, shard: int = 0, shards: int = 1) -> int:
        """How much of a rate is drawn and not earned back yet."""
        ahead_us = int(self.resource(name, shard).get("tat_us", 0)) - self.clock.now_ms() * 1_000
        rate = gcra(per_minute, per_minute, shards)
        return max(0, ahead_us * rate.units // rate.us_per_units)

    def live(self) -> int:
        return len(self.store.items(Table.ATTEMPTS))

    def assert_all_given_back(self) -> None:
        """Every counter of something held is zero."""
        assert self.live() == 0
        for item in self.store.items(Table.SCHEDULER):
            held = {name: item.attributes.get(name, 0) for name in ("used", "in_flight", "uncharged_ms")}
            assert held == dict.fromkeys(held, 0), item.key
