"""`plan` as a table of situations: what ends, what runs, what waits and why; and that it needs only its arguments."""

import os
import random
import socket
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import OutcomeKind
from pushlane.model.policy import Policy, Rate, TaskTypePolicy
from pushlane.model.task import Tier
from pushlane.scheduling.decisions import Complete, Dispatch, Drop, Park, ParkReason, Retry
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, DeadlineDue, Input, LaneState, Ready, RetryState
from tests.unit.scheduling.situations import (
    HARD_LATE,
    a_late_line,
    a_line,
    a_pool,
    dispatched,
    dispatches,
    parked,
)
from tests.unit.values import NOW, a_finish, a_task, an_agent, an_arrival, an_entry, an_expiry, an_outcome


def a_failure(number: int, **error: object) -> Input:
    outcome = an_outcome(OutcomeKind.FAILED)
    assert outcome.error is not None
    outcome = msgspec.structs.replace(outcome, error=msgspec.structs.replace(outcome.error, **error))
    return a_finish(number, outcome, RetryState(entry=an_entry(number, epoch=1), retry=a_task(number).retry))


def test_an_arrival_goes_straight_to_a_free_agent() -> None:
    decided = plan(a_pool(an_agent()), [an_arrival(1)], NOW)
    [dispatch] = decided.decisions
    assert isinstance(dispatch, Dispatch)
    assert (dispatch.agent_id, dispatch.epoch, dispatch.lease_until_ms) == ("one", 1, NOW + START_LEASE_MS)
    assert (dispatch.reservation.tenant_id, dispatch.reservation.reserved_at_ms) == ("atlas", NOW)
    assert decided.wake_due_ms == NOW + START_LEASE_MS


@pytest.mark.parametrize(
    ("agents", "reason"),
    [
        ([an_agent(used=1)], ParkReason.CAPACITY),
        ([an_agent(capabilities=frozenset({"other"}))], ParkReason.NO_AGENT),
        ([], ParkReason.NO_AGENT),
        ([an_agent(status=AgentStatus.DRAINING)], ParkReason.NO_AGENT),
        ([an_agent(used=3)], ParkReason.CAPACITY),
    ],
)
def test_an_arrival_that_no_agent_can_take_now_is_parked_with_the_reason(
    agents: list[Agent], reason: ParkReason
) -> None:
    [waits] = plan(a_pool(*agents), [an_arrival(1)], NOW).decisions
    assert isinstance(waits, Park)
    assert waits.block.reason is reason


def test_more_arrivals_than_slots_run_by_when_they_have_to_start_and_the_rest_is_parked() -> None:
    arrivals = [an_arrival(n, deadline_ms=NOW + 100_000 - n * 1_000) for n in range(5)]
    decided = plan(a_pool(an_agent(slots=2)), arrivals, NOW).decisions
    assert [d.entry.task_id for d in decided if isinstance(d, Dispatch)] == ["t-0004", "t-0003"]
    assert parked(decided) == {0: "capacity", 1: "capacity", 2: "capacity"}


def test_a_waiting_task_of_the_same_tenant_goes_before_a_newer_arrival() -> None:
    decided = plan(a_pool(an_agent(), lanes=[a_line("atlas", 1)]), [an_arrival(2)], NOW).decisions
    assert [(type(d), d.entry.task_id) for d in decided if isinstance(d, Dispatch | Park)] == [
        (Dispatch, "t-0001"),
        (Park, "t-0002"),
    ]


def test_an_arrival_never_overtakes_tasks_of_its_lane_that_were_not_read() -> None:
    line = a_line("atlas", 1, more=3)
    decided = plan(a_pool(an_agent(slots=5), lanes=[line]), [an_arrival(9)], NOW).decisions
    assert parked(decided) == {9: "fairness"}
    unread = a_pool(an_agent(), lane_states={line.ref: LaneState(depth=3, turn_tag_ms=0, urgent_ms=NOW)})
    assert parked(plan(unread, [an_arrival(9)], NOW).decisions) == {9: "fairness"}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"tier": Tier.HIGH}, "priority"),
        ({"tenant_id": "boreas", "deadline_ms": NOW + 40_000}, "fairness"),
        ({"deadline_ms": NOW + 40_000}, "capacity"),
    ],
)
def test_who_took_the_last_slot_is_why_another_waits(first: dict[str, Any], reason: str) -> None:
    decided = plan(a_pool(an_agent()), [an_arrival(1, **first), an_arrival(2)], NOW).decisions
    assert parked(decided) == {2: reason}


def test_a_rate_is_named_in_the_reason_and_the_pool_wakes_when_it_admits_again() -> None:
    policy = Policy(
        resources={"llm": Rate(per_minute=60, burst=1)}, task_types={"work": TaskTypePolicy(resources=("llm",))}
    )
    decided = plan(a_pool(an_agent(slots=9), policy=policy), [an_arrival(n, policy) for n in (1, 2)], NOW)
    assert parked(decided.decisions) == {2: "rate:llm"}
    assert decided.wake_due_ms == NOW + 1_000


def test_a_completion_hands_its_slot_to_the_first_waiting_task() -> None:
    pool = a_pool(an_agent(used=1), lanes=[a_line("atlas", 2)])
    complete, dispatch = plan(pool, [a_finish(1)], NOW).decisions
    assert isinstance(complete, Complete)
    assert isinstance(dispatch, Dispatch)
    assert dispatch.handed_from == "t-0001"


def test_each_ended_attempt_hands_on_one_slot() -> None:
    pool = a_pool(an_agent(slots=2, used=2), lanes=[a_line("atlas", 3, 4, 5)])
    made = dispatches(pool, [a_finish(1), a_failure(2)])
    assert [dispatch.handed_from for dispatch in made] == ["t-0001", "t-0002"]


def test_a_slot_of_an_agent_that_is_overcommitted_is_not_handed_on() -> None:
    assert dispatched(a_pool(an_agent(slots=1, used=3), lanes=[a_line("atlas", 2)]), [a_finish(1)]) == []


def test_a_blocked_kind_of_work_does_not_hide_a_runnable_one() -> None:
    lanes = [a_line("atlas", 1, capabilities=("gpu",)), a_line("atlas", 2, capabilities=("cpu",))]
    agents = an_agent("g", used=1, capabilities=frozenset({"gpu"})), an_agent("c", capabilities=frozenset({"cpu"}))
    assert dispatched(a_pool(*agents, lanes=lanes)) == [2]


def test_a_retry_waits_for_its_backoff_and_is_then_like_any_waiting_task() -> None:
    [retry] = plan(a_pool(an_agent(used=1)), [a_failure(1)], NOW).decisions
    assert isinstance(retry, Retry)
    assert NOW + 500 <= retry.due_ms <= NOW + 1_000
    [again] = dispatches(a_pool(an_agent()), [Ready(retry.entry, due_ms=retry.due_ms)], retry.due_ms)
    assert again.epoch == 2


def test_a_task_whose_hard_deadline_is_due_expires_and_is_not_dispatched_from_its_lane() -> None:
    entry = an_entry(1, **HARD_LATE)
    decided = plan(a_pool(an_agent(), lanes=[a_late_line("atlas", 1, **HARD_LATE)]), [DeadlineDue(entry)], NOW)
    assert decided.decisions == (Drop(entry=entry, origin=DeadlineDue(entry)),)


def test_without_dispatch_everything_parks_and_a_turn_follows_at_once() -> None:
    decided = plan(a_pool(an_agent()), [an_arrival(1)], NOW, dispatch=False)
    assert parked(decided.decisions) == {1: "contention"}
    assert decided.wake_due_ms == NOW


@given(
    slots=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6), st.sampled_from(["x", "y"])), max_size=4),
    wanted=st.lists(st.sampled_from(["x", "y"]), max_size=12),
)
def test_no_agent_is_ever_given_more_than_its_free_slots_and_none_idles_beside_a_runnable_task(
    slots: list[tuple[int, int, str]], wanted: list[str]
) -> None:
    agents = [
        an_agent(f"a{n}", slots=total, used=used, capabilities=frozenset({kind}))
        for n, (total, used, kind) in enumerate(slots)
    ]
    decided = plan(
        a_pool(*agents), [an_arrival(n, capabilities=(kind,)) for n, kind in enumerate(wanted)], NOW
    ).decisions
    given_to = [d.agent_id for d in decided if isinstance(d, Dispatch)]
    assert all(given_to.count(agent.agent_id) <= agent.free for agent in agents)
    for kind in ("x", "y"):
        free = sum(agent.free for agent in agents if kind in agent.capabilities)
        made = sum(isinstance(d, Dispatch) and d.entry.capabilities == (kind,) for d in decided)
        assert made == min(free, wanted.count(kind))
    assert len(decided) == len(wanted)


def test_plan_needs_no_clock_no_randomness_no_environment_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("plan reached outside its arguments")

    pool = a_pool(an_agent(slots=2, used=1), lanes=[a_line("atlas", 3), a_late_line("boreas", 5)])
    inputs: list[Input] = [Arrival(a_task(1), an_entry(1)), a_failure(2), an_expiry(4)]
    before = plan(pool, inputs, NOW)
    with monkeypatch.context() as patched:
        for module, names in {
            time: ("time", "time_ns", "monotonic", "perf_counter"),
            random: ("random", "uniform", "choice"),
            os: ("getenv", "urandom"),
            socket: ("socket",),
        }.items():
            for name in names:
                patched.setattr(module, name, forbidden)
        patched.setattr(os, "environ", None)
        assert plan(pool, inputs, NOW) == before
