"""The move itself: three tenants from a polling fleet to push and one back, under load; nothing lost, nothing twice."""

import pytest

from pushlane.model.mode import Mode, Route, route_of_share
from tests.unit.migrate.fleets import TENANTS, Fleets

# From a change of the mode until every router goes by it.
KNOWN_MS = 1_000
LOAD = 1.5


def move(fleets: Fleets) -> dict[str, int]:
    """Everybody starts polled; each goes its own way; at the end one is back. Says when what was set."""
    at: dict[str, int] = {}
    for tenant_id in TENANTS:
        fleets.set(tenant_id, Mode.POLL)
    fleets.run(10, per_second=LOAD)
    fleets.set("atlas", Mode.SHADOW)
    fleets.run(5, per_second=LOAD)
    at["share"] = fleets.now_ms
    fleets.set("atlas", Mode.PERCENT, 20)
    fleets.set("boreal", Mode.PUSH)
    fleets.run(10, per_second=LOAD)
    at["higher"] = fleets.now_ms
    fleets.set("atlas", Mode.PERCENT, 70)
    fleets.set("cirrus", Mode.PERCENT, 50)
    fleets.run(8, per_second=LOAD)
    at["all"] = fleets.now_ms
    fleets.set("atlas", Mode.PUSH)
    fleets.set("cirrus", Mode.PUSH)
    fleets.run(10, per_second=LOAD)
    at["back"] = fleets.now_ms
    fleets.set("boreal", Mode.POLL)
    fleets.run(10, per_second=LOAD)
    fleets.drain()
    return at


@pytest.mark.parametrize(("seed", "fault_rate"), [(1, 0.0), (2, 0.04)])
def test_three_tenants_move_to_push_and_one_back_under_load_and_nothing_is_lost_or_done_twice(
    seed: int, fault_rate: float
) -> None:
    fleets = Fleets(seed, fault_rate=fault_rate)
    at = move(fleets)
    assert len(fleets.submitted) > 150
    assert fleets.duplicated > 10
    assert bool(fleets.faults.raised) is bool(fault_rate)
    # Not one lost, not one run twice, not one told twice.
    assert fleets.finished == dict.fromkeys(fleets.submitted, 1)
    assert {task_id: len(starts) for task_id, starts in fleets.started.items()} == dict.fromkeys(fleets.submitted, 1)
    assert fleets.succeeded() == dict.fromkeys(fleets.submitted, 1)
    assert fleets.world.waiting() == 0
    assert [fleets.world.used(name) for name in (*fleets.agents, *fleets.pollers)] == [0] * 8
    # Each change holds from a second later on.
    pushed_for_good = {"atlas": at["all"], "cirrus": at["all"]}
    for tenant_id, since_ms in pushed_for_good.items():
        assert {fleets.by(one) for one in fleets.taken_after(tenant_id, since_ms + KNOWN_MS)} == {"pushed"}
    assert {fleets.by(one) for one in fleets.taken_after("boreal", at["back"] + KNOWN_MS)} == {"pollers"}


def test_a_share_is_kept_task_by_task() -> None:
    fleets = Fleets(4)
    fleets.set("atlas", Mode.PERCENT, 40)
    fleets.run(2)
    fleets.run(12, per_second=LOAD)
    fleets.drain()
    ways = {one: fleets.by(one) for one in fleets.taken_after("atlas", 0)}
    expected = {one: "pushed" if route_of_share(one, 40) is Route.PUSH else "pollers" for one in ways}
    assert ways == expected
    assert {"pushed", "pollers"} == set(ways.values())


def test_falling_back_takes_what_waits_within_a_second_and_a_poll_even_when_no_agent_answers_any_more() -> None:
    fleets = Fleets(5)
    fleets.set("atlas", Mode.PUSH)
    fleets.run(2)
    agents, fleets.agents = fleets.agents, []  # from now on nothing that is pushed is started
    made = [fleets.submit("atlas") for _ in range(30)]
    fleets.run(3)
    assert not fleets.started
    back_ms = fleets.now_ms
    fleets.set("atlas", Mode.POLL)
    fleets.run(12)
    waited = [task_id for task_id in made if task_id in fleets.started]
    assert len(waited) == 30 - 8  # all but those that lie with the agents
    assert min(at for starts in fleets.started.values() for _, at in starts) <= back_ms + 2_000
    fleets.drain()
    fleets.agents = agents
    fleets.run(1)  # the pushes that nobody heard arrive at last
    assert fleets.finished == dict.fromkeys(made, 1)
    assert fleets.stale >= 8
