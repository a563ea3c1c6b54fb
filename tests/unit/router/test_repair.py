"""The repair of counters beside running turns: it writes only what is still true, and tells each repair once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import Fact, FactName
from pushlane.model.ids import keyed_task_id
from pushlane.ports import Key, Update, Write
from pushlane.router import repair as repairing
from pushlane.router.repair import repair
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.limited import Limited
from tests.unit.values import CountedCalls

AGENT_QUEUE = "queue/agent/one"
RESULTS = "queue/results"
AGENT = keys.agent_key("default", "one")
CAPPED: dict[str, Any] = {"tenants": {"atlas": {"in_flight_max": 5}}}
LICENSED: dict[str, Any] = {
    "resources": {"licence": {"kind": "slots", "slots": 5}, "tpm": {"kind": "rate", "per_minute": 1_000}},
    "task_types": {"echo": {"resources": ["licence", "tpm"]}},
}


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def repaired(dispatcher: InMemoryDispatcher, *pools: str) -> int:
    return repair(dispatcher.turn, pools or ("default",), dispatcher.log)


def told(world: Limited) -> list[Fact]:
    return world.facts(FactName.CAPACITY_REPAIRED)


class AtQuery:
    """Runs a step before the n-th query."""

    def __init__(self) -> None:
        self.left = 0
        self.step: Callable[[], object] = lambda: None

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "query" and self.left:
            self.left -= 1
            if not self.left:
                self.step()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


def key_in_bucket(bucket: int) -> str:
    """An idempotency key whose task's attempt lies in that partition."""
    return next(
        key
        for key in map(str, range(1_000))
        if keys.attempt_key("default", keyed_task_id("atlas", key)).pk == keys.attempt_pk("default", bucket)
    )


def test_a_slot_that_is_handed_on_while_a_repair_counts_is_not_taken_for_free() -> None:
    at_query = AtQuery()
    dispatcher = InMemoryDispatcher(faults=at_query)
    dispatcher.register(echo, agent_id="one", slots=1)
    last = keys.ATTEMPT_BUCKETS - 1
    for bucket in (last, 0):
        dispatcher.submit(idempotency_key=key_in_bucket(bucket))
        dispatcher._deliver_intake()
    dispatcher._deliver_agent(AGENT_QUEUE)
    # The agents, then the partitions: when the last is read, its attempt has gone to one that was read before.
    at_query.left, at_query.step = 1 + keys.ATTEMPT_BUCKETS, lambda: dispatcher._deliver(RESULTS)
    assert repaired(dispatcher) == 0
    assert at_query.left == 0
    assert dispatcher.used("one") == 1 == len(dispatcher.live_attempts())
    assert repaired(dispatcher) == 0


def test_a_counter_that_drifts_twice_is_repaired_and_told_twice() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one")
    for _ in range(2):
        dispatcher.store.write(Update(AGENT, set={"used": 1}))
        assert repaired(dispatcher) == 1
    dispatcher.publish()
    reasons = [fact.data.reason for fact in dispatcher.facts if fact.metadata.name is FactName.CAPACITY_REPAIRED]
    assert reasons == ["used slots 1 -> 0: the live reservations"] * 2


def test_an_item_that_cannot_be_read_stops_the_sweep_of_its_own_pool_only() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="sick", pool="a-pool")
    dispatcher.register(echo, agent_id="one")
    sick = dispatcher.submit(pool="a-pool")
    well = dispatcher.submit()
    dispatcher._deliver_intake()
    dispatcher.sender.drain(AGENT_QUEUE)
    dispatcher.sender.drain("queue/agent/sick")
    dispatcher.store.write(Update(keys.attempt_key("a-pool", sick), remove=("task_type",)))
    dispatcher.clock.advance(60_000)
    swept = dispatcher.sweep()
    assert swept.failed == ("a-pool",)
    dispatcher.step()  # the wake-ups of both pools in one batch
    dispatcher.step()
    dispatcher.step()
    assert dispatcher.status(well) == "SUCCEEDED"
    assert ("turn-failed", "a-pool") in {(event, fields.get("pool")) for event, fields in dispatcher.logged}


@pytest.mark.parametrize("stored", [0, 4, -2])
@pytest.mark.parametrize(
    ("policy", "key", "attribute", "said"),
    [
        (CAPPED, keys.tenant_limits_key("atlas"), "in_flight", ("tenant_id", "atlas", "attempts in flight")),
        (LICENSED, keys.resource_key("licence", 0), "used", ("resource", "licence", "used slots")),
        ({}, AGENT, "used", ("agent_id", "one", "used slots")),
    ],
    ids=["tenant", "slots resource", "agent"],
)
def test_a_drifted_counter_is_what_is_reserved(
    policy: dict[str, Any], key: Key, attribute: str, said: tuple[str, str, str], stored: int
) -> None:
    world = Limited(policy)
    world.submit_many(2)
    assert world.stored(key)[attribute] == 2
    world.store.write(Update(key, set={attribute: stored}))
    assert world.dispatcher.sweep().repaired == 1
    assert world.stored(key)[attribute] == 2
    [fact] = told(world)
    assert getattr(fact.data, said[0]) == said[1]
    assert fact.data.reason == f"{said[2]} {stored} -> 2: the live reservations"
    assert world.dispatcher.sweep().repaired == 0
    world.dispatcher.run_until_idle()
    world.assert_all_given_back()


def test_a_lent_agent_is_not_taken_for_free() -> None:
    world = Limited({"pools": {"poor": {"overflow_pool": "rich"}}})
    world.register("lent", slots=2, pool="rich")
    task_id = world.submit(pool="poor")
    assert world.dispatched([task_id]) == [task_id]
    assert world.dispatcher.used("lent", "rich") == 1
    assert world.dispatcher.sweep().repaired == 0
    world.store.write(Update(keys.agent_key("rich", "lent"), set={"used": 0}))
    assert world.dispatcher.sweep().repaired == 1
    assert world.dispatcher.used("lent", "rich") == 1


def test_a_borrower_without_agents_is_counted_though_the_policy_forgets_it() -> None:
    world = Limited({"pools": {"poor": {"overflow_pool": "default"}}}, slots=2)
    world.submit(pool="poor")
    world.set({})
    assert world.dispatcher.sweep().repaired == 0
    assert world.dispatcher.used("one") == 1


def test_rates_are_not_repaired() -> None:
    world = Limited(LICENSED)
    world.submit()
    world.store.write(Update(keys.resource_key("tpm", 0), set={"tat_us": 7}))
    assert world.dispatcher.sweep().repaired == 0
    assert world.resource("tpm")["tat_us"] == 7


@pytest.mark.parametrize(
    ("policy", "key", "attribute"),
    [
        (CAPPED, keys.tenant_limits_key("atlas"), "in_flight"),
        (LICENSED, keys.resource_key("licence", 0), "used"),
    ],
    ids=["tenant", "slots resource"],
)
def test_a_counter_that_moves_while_it_is_counted_is_left_alone(
    policy: dict[str, Any], key: Key, attribute: str
) -> None:
    at_query = AtQuery()
    world = Limited(policy, faults=at_query)
    world.submit()
    world.store.write(Update(key, set={attribute: 3}))
    at_query.left, at_query.step = 1 + keys.ATTEMPT_BUCKETS, world.submit
    assert repaired(world.dispatcher) == 0
    assert at_query.left == 0
    assert world.stored(key)[attribute] == 4
    assert told(world) == []
    assert repaired(world.dispatcher) == 1
    assert world.stored(key)[attribute] == 2


def test_while_an_attempt_cannot_be_read_counters_are_only_raised() -> None:
    world = Limited(CAPPED)
    [sick, _] = world.submit_many(2)
    world.store.write(Update(keys.attempt_key("default", sick), set={"reservation": "{"}))
    assert repaired(world.dispatcher) == 0  # one is counted where two may be
    assert world.dispatcher.used("one") == 2
    world.store.write(Update(AGENT, set={"used": 0}))
    assert repaired(world.dispatcher) == 1
    assert world.dispatcher.used("one") == 1
    assert "attempt-unreadable" in {event for event, _ in world.dispatcher.logged}


def test_many_limited_tenants_are_looked_at_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairing, "TENANTS_A_SWEEP", 2)
    names = tuple(f"tenant-{n}" for n in range(5))
    world = Limited({"default_tenant": {"in_flight_max": 5}}, tenants=names)
    for name in names:
        world.store.write(Update(keys.tenant_limits_key(name), set={"in_flight": 1}, add={"revision": 1}))
    found = []
    for _ in range(3):
        found.append(world.dispatcher.sweep().repaired)
        world.clock.advance(60_000)
    assert sorted(found) == [1, 2, 2]
    assert {world.tenant(name)["in_flight"] for name in names} == {0}


def test_an_idle_sweep_reads_a_fixed_number_of_items_and_writes_none() -> None:
    calls = CountedCalls()
    limits = {"default_tenant": {"in_flight_max": 5}, **LICENSED}
    world = Limited(limits, faults=calls)
    calls.calls.clear()
    assert repaired(world.dispatcher) == 0
    pool = 1 + keys.ATTEMPT_BUCKETS  # its agents, and its attempts
    assert sorted(calls.calls) == ["get"] * 4 + ["query"] * (pool + 1)  # the policy (2), tenants, resources
