"""Agents that are there, or are not: heartbeats that stay away and come again, and agents that start nothing."""

import pytest

from pushlane.model.agent import AgentStatus
from pushlane.model.task import DEFAULT_POOL
from pushlane.ports import Table, Update
from pushlane.state import attempts, keys
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.beating_agents import (
    BEATS,
    a_dispatcher,
    agent_item,
    beat,
    duties,
    missed,
    registered,
    status,
    told,
    with_beats,
)
from tests.unit.router.by_hand import put, running, stored
from tests.unit.router.faults import Beside, FailAt


def test_an_agent_with_heartbeats_takes_work_from_the_first_one_on() -> None:
    dispatcher = InMemoryDispatcher(tenants=("atlas",))
    registered(dispatcher, "one")
    task_id = put(dispatcher, "early")
    assert (status(dispatcher, "one"), dispatcher.status(task_id)) == ("UNAVAILABLE", "PARKED")
    beat(dispatcher, "one")
    assert (status(dispatcher, "one"), dispatcher.status(task_id)) == ("ACTIVE", "DISPATCHED")
    assert told(dispatcher) == [("up", "one")]


def test_a_registration_that_comes_again_leaves_a_living_agent_alone() -> None:
    dispatcher = a_dispatcher("one")
    registered(dispatcher, "one", heartbeat_seconds=60, slots=3)
    found = agent_item(dispatcher, "one")
    assert (found.status, found.slots, found.heartbeat_ms) == (AgentStatus.ACTIVE, 3, 60_000)
    registered(dispatcher, "one", heartbeat_seconds=None)
    found = agent_item(dispatcher, "one")
    assert (found.status, found.heartbeat_ms, found.heartbeat_at_ms) == (AgentStatus.ACTIVE, None, None)
    dispatcher.advance(200)
    assert (status(dispatcher, "one"), duties(dispatcher)) == ("ACTIVE", [])


def test_an_agent_whose_heartbeats_come_stays_and_costs_one_write_each() -> None:
    dispatcher = a_dispatcher("one")
    with_beats(dispatcher, 300, "one")
    assert (status(dispatcher, "one"), told(dispatcher)) == ("ACTIVE", [("up", "one")])
    assert len(duties(dispatcher)) == 1


@pytest.mark.parametrize("started", [False, True])
def test_a_missing_heartbeat_is_seen_in_time_and_the_work_goes_on_elsewhere(started: bool) -> None:
    dispatcher = a_dispatcher("one")
    task_id = put(dispatcher, "first")
    if started:
        dispatcher.take("one")  # with a lease of a quarter of an hour
    registered(dispatcher, "two")
    beat(dispatcher, "two")
    with_beats(dispatcher, BEATS, "two")
    dispatcher.advance(5)
    assert (status(dispatcher, "one"), told(dispatcher)[-1]) == ("UNAVAILABLE", ("down", "one"))
    dispatcher.advance(1)  # the backoff of one that had been started
    again = dispatcher.take("two")
    assert (again.task_id, again.dispatch.epoch, dispatcher.used("one")) == (task_id, 2, 0)
    # What was never started is no try of the task.
    assert stored(dispatcher, task_id).get("uncounted", 0) == (0 if started else 1)


def test_one_that_runs_is_not_taken_from_an_agent_whose_heartbeat_comes_in_this_very_moment() -> None:
    beside = Beside(
        lambda operations: any(isinstance(one, Update) and one.set.get("status") == "UNAVAILABLE" for one in operations)
    )
    dispatcher = a_dispatcher("one", faults=beside)
    attempt = running(dispatcher, "first")
    key = keys.agent_key(DEFAULT_POOL, "one")
    beside.early = lambda: dispatcher.store.write(Update(key, set={"heartbeat_at_ms": dispatcher.clock.now_ms()}))
    dispatcher.advance(BEATS + 2)
    assert beside.over
    assert (status(dispatcher, "one"), len(duties(dispatcher))) == ("ACTIVE", 1)
    attempt.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "SUCCEEDED"
    dispatcher.advance(BEATS + 2)
    assert status(dispatcher, "one") == "UNAVAILABLE"


def test_an_attempt_that_checks_in_in_this_very_moment_is_left_alone() -> None:
    beside = Beside(lambda operations: any(one.key.table is Table.ATTEMPTS for one in operations))
    dispatcher = a_dispatcher("one", faults=beside)
    attempt = running(dispatcher, "first")
    dispatcher.clock.advance(BEATS * 1_000)
    beside.early = attempt.check_in
    dispatcher.advance(5)
    assert beside.over
    assert (status(dispatcher, "one"), dispatcher.used("one")) == ("UNAVAILABLE", 1)
    attempt.succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(attempt.task_id) == "SUCCEEDED"


def test_an_attempt_that_is_started_in_this_very_moment_is_left_alone() -> None:
    """Its start leaves the lease as it was read: that it was started is said by its runner alone."""
    beside = Beside(lambda operations: any(one.key.table is Table.ATTEMPTS for one in operations))
    dispatcher = a_dispatcher("one", faults=beside)
    dispatcher.clock.advance(10_000)
    task_id = put(dispatcher, "first")
    [item] = dispatcher.live_attempts()
    lease_ms = int(str(item.attributes["lease_until_ms"]))
    start = attempts.start(item.key, 1, "call", dispatcher.clock.now_ms(), lease_ms, leaves_lease=True)
    dispatcher.clock.advance((BEATS - 10) * 1_000)
    beside.early = lambda: dispatcher.store.write(start)
    dispatcher.advance(1)
    assert beside.over
    [item] = dispatcher.live_attempts()
    assert (item.attributes["runner"], item.attributes["epoch"], dispatcher.status(task_id)) == (
        "call",
        1,
        "DISPATCHED",
    )


def test_an_agent_that_is_heard_of_again_takes_what_waits() -> None:
    dispatcher = a_dispatcher("one")
    dispatcher.advance(BEATS + 5)
    task_id = put(dispatcher, "waits")
    assert (dispatcher.status(task_id), stored(dispatcher, task_id)["park_reason"]) == ("PARKED", "no-agent")
    beat(dispatcher, "one")
    assert (status(dispatcher, "one"), dispatcher.status(task_id)) == ("ACTIVE", "DISPATCHED")
    assert told(dispatcher) == [("up", "one"), ("down", "one"), ("up", "one")]
    assert len(duties(dispatcher)) == 1
    dispatcher.advance(BEATS + 5)
    assert status(dispatcher, "one") == "UNAVAILABLE"


def test_an_attempt_that_waits_on_a_dead_agent_goes_on_elsewhere_too() -> None:
    dispatcher = a_dispatcher("one", "two")
    attempt = running(dispatcher, "first")
    attempt.begin_wait()
    dispatcher.run_until_idle()
    with_beats(dispatcher, BEATS + 10, "two")
    assert dispatcher.take("two").task_id == attempt.task_id
    assert (dispatcher.used("one"), dispatcher.used("two")) == (0, 1)


@pytest.mark.parametrize(("agent_id", "code"), [("nobody", "unknown_agent"), ("plain", "no_heartbeats")])
def test_a_heartbeat_of_an_agent_that_should_send_none_is_refused(agent_id: str, code: str) -> None:
    dispatcher = InMemoryDispatcher(tenants=("atlas",))
    registered(dispatcher, "plain", heartbeat_seconds=None)
    beat(dispatcher, agent_id)
    assert [one["code"] for one in dispatcher.quarantined()] == [code]


def test_a_draining_agent_is_watched_until_its_work_is_done() -> None:
    dispatcher = a_dispatcher("one", "two")
    attempt = running(dispatcher, "first")
    dispatcher.store.write(Update(keys.agent_key(DEFAULT_POOL, "one"), set={"status": "DRAINING"}))
    with_beats(dispatcher, 60, "one", "two")
    assert (status(dispatcher, "one"), dispatcher.status(attempt.task_id)) == ("DRAINING", "DISPATCHED")
    with_beats(dispatcher, 40, "two")
    assert (status(dispatcher, "one"), dispatcher.used("one")) == ("DRAINING", 0)
    assert dispatcher.take("two").task_id == attempt.task_id


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_all_of_a_dead_agents_work_goes_on_within_seconds(moment: str) -> None:
    unharmed = FailAt(None, "never")
    missed(unharmed)
    assert unharmed.calls > 15
    for number in range(1, unharmed.calls + 1):
        dispatcher = missed(FailAt(number, moment))
        dispatcher.advance(5)
        where = f"call {number} of {unharmed.calls} failing {moment}"
        assert (status(dispatcher, "one"), dispatcher.used("one")) == ("UNAVAILABLE", 0), where
        assert told(dispatcher) == [("up", "one"), ("down", "one")], where
        assert len({dispatcher.take("two").task_id for _ in range(12)}) == 12, where
        assert dispatcher.sweep().repaired == 0, where
