"""Gauges of a pool, and what becomes of its samples."""

from pushlane.ports import Put, Table
from pushlane.state import keys
from pushlane.telemetry.report import LaneSample, PoolSample
from pushlane.telemetry.sampling import AGENT_SLOTS, sample_now, samples
from pushlane.testing import InMemoryDispatcher
from tests.unit.telemetry.measured import POOL

BIRCH = "birch"


def waiting_world() -> InMemoryDispatcher:
    """Two slots, both taken, one by an attempt that was started; four tasks wait for one, two and five seconds."""
    dispatcher = InMemoryDispatcher(tenants=("atlas", BIRCH))
    dispatcher.set_policy(
        resources={
            "gpu": {"kind": "slots", "slots": 3},
            "llm": {"kind": "rate", "unit": "tokens", "per_minute": 6_000, "burst": 6_000},
        }
    )
    dispatcher.register(None, agent_id="one", slots=2, capabilities=("echo",))
    for _ in range(2):
        dispatcher.submit(task_type="echo", resources={"gpu": 1, "llm": 600})
    dispatcher.run_until_idle()
    dispatcher.take("one")
    dispatcher.submit(tenant_id=BIRCH, task_type="echo", tier="high")
    dispatcher.run_until_idle()
    dispatcher.clock.advance(3_000)
    dispatcher.submit(task_type="echo", deadline_ms=dispatcher.clock.now_ms() + 900_000)
    dispatcher.run_until_idle()
    dispatcher.clock.advance(1_000)
    for _ in range(2):
        dispatcher.submit(task_type="echo")
    dispatcher.run_until_idle()
    dispatcher.clock.advance(1_000)
    return dispatcher


def now_in(dispatcher: InMemoryDispatcher) -> PoolSample:
    return sample_now(dispatcher.store, POOL, dispatcher.clock.now_ms())


def test_what_waits_by_lane_and_how_long() -> None:
    sample = now_in(waiting_world())
    assert sample.lanes == (
        LaneSample(tier="high", tenant_id=BIRCH, waiting=1, oldest_wait_ms=5_000),
        LaneSample(tier="normal", tenant_id="atlas", waiting=3, oldest_wait_ms=2_000),
    )
    assert (sample.waiting, sample.longest_wait_ms) == (4, 5_000)
    assert (sample.slots, sample.used, sample.waiting_with_idle_capacity) == (2, 2, 0)


def test_what_is_reserved_of_resources_and_what_of_it_is_used() -> None:
    found = {one.resource: one for one in now_in(waiting_world()).resources}
    agents, gpu, llm = found[AGENT_SLOTS], found["gpu"], found["llm"]
    assert (agents.limit, agents.reserved, agents.used) == (2, 2, 1)
    assert (gpu.kind, gpu.limit, gpu.reserved, gpu.used) == ("slots", 3, 2, 1)
    # 1,200 tokens were drawn five seconds ago, of which 500 came back.
    assert (llm.kind, llm.limit, llm.reserved, llm.used) == ("rate", 6_000, 700, None)


def test_what_another_pool_holds_is_not_known_to_be_used() -> None:
    dispatcher = waiting_world()
    key = keys.resource_key("gpu", 0)
    stored = dispatcher.store.get([key])[key]
    dispatcher.store.write(Put(key, {**stored.attributes, "used": 3}))
    [gpu] = [one for one in now_in(dispatcher).resources if one.resource == "gpu"]
    assert (gpu.reserved, gpu.used) == (3, None)


def test_tasks_that_wait_beside_a_free_slot_are_counted() -> None:
    dispatcher = waiting_world()
    key = keys.agent_key(POOL, "one")
    stored = dispatcher.store.get([key])[key]
    dispatcher.store.write(Put(key, {**stored.attributes, "slots": 5}))
    assert now_in(dispatcher).waiting_with_idle_capacity == 3


def test_the_sweep_keeps_one_sample_a_minute_and_tells_the_metrics() -> None:
    dispatcher = waiting_world()
    begun_ms = dispatcher.clock.now_ms()
    for _ in range(3):
        dispatcher.sweep()
        dispatcher.clock.advance(30_000)
    ends_ms = dispatcher.clock.now_ms()
    found = samples(dispatcher.store, POOL, from_ms=begun_ms, to_ms=ends_ms)
    assert [one.at_ms - begun_ms for one in found] == [30_000, 60_000]
    assert found[0].waiting == 4
    assert found[0].lanes[0] == LaneSample(tier="high", tenant_id=BIRCH, waiting=1, oldest_wait_ms=35_000)
    assert samples(dispatcher.store, POOL, from_ms=ends_ms, to_ms=ends_ms + 9) == []
    assert len(samples(dispatcher.store, POOL, from_ms=begun_ms + 31_000, to_ms=ends_ms)) == 1
    [first, *_] = [line for line in dispatcher.metrics if "pool" in line]
    assert (first["pool"], first["PoolWaiting"], first["PoolStalled"]) == (POOL, 4, 0)


def test_a_sample_reads_back_as_it_was_made() -> None:
    dispatcher = waiting_world()
    made = now_in(dispatcher)
    dispatcher.sweep()
    [kept] = samples(dispatcher.store, POOL, from_ms=made.at_ms, to_ms=made.at_ms + 1)
    assert set(kept.lanes) == set(made.lanes)
    assert kept.resources == made.resources
    assert len(dispatcher.store.query(Table.MEASURES, f"SAMPLES#{POOL}", limit=9)) == 1
