"""`plan` as a table of situations: what it decides, and that it needs nothing but its arguments."""

import os
import random
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind
from pushlane.model.task import Door, RetryPolicy, Source, Task
from pushlane.scheduling.decisions import Complete, Dispatch, Fail, Park, ParkReason, Repush, Retry
from pushlane.scheduling.plan import PUSHES_MAX, START_LEASE_MS, plan
from pushlane.scheduling.snapshot import (
    Arrival,
    Entry,
    Finished,
    Input,
    LaneRef,
    LaneView,
    LeaseExpired,
    PoolSnapshot,
    RetryDue,
    RetryState,
    ShapeView,
    WakeView,
    entry_of,
    shape_of,
)

NOW = 1_000_000


def a_task(number: int, *capabilities: str, at_ms: int = NOW, tenant: str = "atlas") -> Task:
    return Task(
        task_id=f"t-{number:04d}",
        tenant_id=tenant,
        task_type="work",
        capabilities=capabilities or ("work",),
        payload={},
        source=Source(door=Door.SQS, source_id=str(number)),
        body_digest="d",
        accepted_at_ms=at_ms,
    )


def an_agent(name: str, slots: int = 1, used: int = 0, *capabilities: str, **more: object) -> Agent:
    return Agent(
        agent_id=name,
        capabilities=frozenset(capabilities or ("work",)),
        slots=slots,
        used=used,
        queue_url=f"queue/{name}",
        **more,  # type: ignore[arg-type]  # keyword passed through by the test
    )


def a_pool(*agents: Agent, **more: object) -> PoolSnapshot:
    return PoolSnapshot(pool="default", agents=agents, **more)  # type: ignore[arg-type]  # keyword passed through


def a_lane(*entries: Entry) -> LaneView:
    ref = LaneRef(shape=entries[0].shape, tier=entries[0].tier, tenant_id=entries[0].tenant_id)
    return LaneView(ref=ref, depth=len(entries), heads=entries, complete=True)


def finished(
    task: Task, agent: str, kind: OutcomeKind = OutcomeKind.SUCCEEDED, epoch: int = 1, **more: object
) -> Finished:
    error = ErrorDetail(error_type="Boom", message="boom", **more) if kind is OutcomeKind.FAILED else None  # type: ignore[arg-type]
    outcome = Outcome(kind=kind, started_at_ms=NOW - 10, finished_at_ms=NOW, error=error)
    state = RetryState(entry=entry_of(task, epoch), retry=task.retry)
    return Finished(task.task_id, epoch, agent, "runner", outcome, state if error else None)


def expired(task: Task, *, pushes: int = 1, runner: str | None = None, epoch: int = 1) -> LeaseExpired:
    attempt = Attempt(
        task_id=task.task_id,
        epoch=epoch,
        tenant_id=task.tenant_id,
        pool="default",
        agent_id="a",
        task_type=task.task_type,
        tier=task.tier,
        dispatched_at_ms=NOW - 60_000,
        lease_until_ms=NOW - 1,
        pushes=pushes,
        runner=runner,
    )
    return LeaseExpired(attempt, RetryState(entry=entry_of(task, epoch), retry=task.retry))


def test_an_arrival_goes_straight_to_a_free_agent() -> None:
    decided = plan(a_pool(an_agent("a")), [Arrival(a_task(1))], NOW)
    [dispatch] = decided.decisions
    assert isinstance(dispatch, Dispatch)
    assert (dispatch.agent_id, dispatch.epoch, dispatch.lease_until_ms) == ("a", 1, NOW + START_LEASE_MS)
    assert decided.wake_due_ms == NOW + START_LEASE_MS


@pytest.mark.parametrize(
    ("agents", "reason"),
    [
        ([an_agent("a", 1, 1)], ParkReason.CAPACITY),
        ([an_agent("a", 1, 0, "other")], ParkReason.NO_AGENT),
        ([], ParkReason.NO_AGENT),
        ([an_agent("a", 1, 0, status=AgentStatus.DRAINING)], ParkReason.CAPACITY),
        ([an_agent("a", 1, 3)], ParkReason.CAPACITY),
    ],
)
def test_an_arrival_that_no_agent_can_take_now_is_parked_with_the_reason(
    agents: list[Agent], reason: ParkReason
) -> None:
    [parked] = plan(a_pool(*agents), [Arrival(a_task(1))], NOW).decisions
    assert isinstance(parked, Park)
    assert parked.reason is reason


def test_more_arrivals_than_slots_dispatch_the_oldest_and_park_the_rest() -> None:
    arrivals = [Arrival(a_task(n, at_ms=NOW - n)) for n in range(5)]
    decided = plan(a_pool(an_agent("a", 2)), arrivals, NOW).decisions
    assert [d.entry.task_id for d in decided if isinstance(d, Dispatch)] == ["t-0004", "t-0003"]
    assert [d.entry.task_id for d in decided if isinstance(d, Park)] == ["t-0002", "t-0001", "t-0000"]


def test_a_waiting_task_goes_before_a_newer_arrival() -> None:
    waiting = entry_of(a_task(1, at_ms=NOW - 5_000))
    decided = plan(a_pool(an_agent("a"), lanes=(a_lane(waiting),)), [Arrival(a_task(2))], NOW).decisions
    assert [(type(d), d.entry.task_id) for d in decided if isinstance(d, Dispatch | Park)] == [
        (Dispatch, "t-0001"),
        (Park, "t-0002"),
    ]


def test_a_completion_hands_its_slot_to_the_first_waiting_task() -> None:
    done, waiting = a_task(1), entry_of(a_task(2))
    decided = plan(a_pool(an_agent("a", 1, 1), lanes=(a_lane(waiting),)), [finished(done, "a")], NOW).decisions
    complete, dispatch = decided
    assert isinstance(complete, Complete)
    assert isinstance(dispatch, Dispatch)
    assert dispatch.handed_from == done.task_id


def test_a_blocked_kind_of_work_does_not_hide_a_runnable_one() -> None:
    blocked, runnable = entry_of(a_task(1, "gpu", at_ms=NOW - 9_000)), entry_of(a_task(2, "cpu"))
    lanes = (a_lane(blocked), a_lane(runnable))
    [dispatch] = plan(a_pool(an_agent("g", 1, 1, "gpu"), an_agent("c", 1, 0, "cpu"), lanes=lanes), [], NOW).decisions
    assert isinstance(dispatch, Dispatch)
    assert dispatch.entry.task_id == runnable.task_id


def test_a_specialist_is_taken_before_a_generalist() -> None:
    pool = a_pool(an_agent("general", 2, 0, "cpu", "gpu"), an_agent("special", 2, 0, "cpu"))
    [dispatch] = plan(pool, [Arrival(a_task(1, "cpu"))], NOW).decisions
    assert isinstance(dispatch, Dispatch)
    assert dispatch.agent_id == "special"


@pytest.mark.parametrize(("epoch", "retryable", "expected"), [(1, True, Retry), (3, True, Fail), (1, False, Fail)])
def test_a_failure_is_retried_within_the_policy(epoch: int, retryable: bool, expected: type) -> None:
    failed = finished(a_task(1), "a", OutcomeKind.FAILED, epoch, retryable=retryable)
    [decision] = plan(a_pool(an_agent("a", 1, 1)), [failed], NOW).decisions
    assert isinstance(decision, expected)


def test_a_retry_waits_for_its_backoff_and_is_then_like_any_waiting_task() -> None:
    task = a_task(1)
    [retry] = plan(a_pool(an_agent("a", 1, 1)), [finished(task, "a", OutcomeKind.FAILED)], NOW).decisions
    assert isinstance(retry, Retry)
    assert NOW + 500 <= retry.due_ms <= NOW + 1_000
    [dispatch] = plan(a_pool(an_agent("a")), [RetryDue(retry.entry, retry.due_ms)], retry.due_ms).decisions
    assert isinstance(dispatch, Dispatch)
    assert dispatch.epoch == 2


@pytest.mark.parametrize(
    ("pushes", "runner", "expected"),
    [(1, None, Repush), (PUSHES_MAX - 1, None, Repush), (PUSHES_MAX, None, Retry), (1, "r", Retry)],
)
def test_an_expired_lease_is_pushed_again_if_never_started_and_else_retried(
    pushes: int, runner: str | None, expected: type
) -> None:
    [decision] = plan(a_pool(an_agent("a", 1, 1)), [expired(a_task(1), pushes=pushes, runner=runner)], NOW).decisions
    assert isinstance(decision, expected)


def test_a_lost_attempt_of_a_task_without_tries_left_fails_for_good() -> None:
    task = a_task(1)
    once = LeaseExpired(
        expired(task, runner="r").attempt, RetryState(entry=entry_of(task, 1), retry=RetryPolicy(max_attempts=1))
    )
    [decision] = plan(a_pool(an_agent("a", 1, 1)), [once], NOW).decisions
    assert isinstance(decision, Fail)
    assert decision.error.error_type == "LeaseExpired"


@pytest.mark.parametrize(
    ("armed_ms", "expected"),
    [
        (None, NOW + START_LEASE_MS),
        (NOW + START_LEASE_MS, None),
        (NOW + 1, None),
        (NOW + START_LEASE_MS + 1, NOW + START_LEASE_MS),
        (NOW, NOW + START_LEASE_MS),  # it has run, or is about to: it cannot be relied on
        (NOW - 1, NOW + START_LEASE_MS),
    ],
)
def test_a_wake_up_is_armed_unless_one_that_is_still_ahead_covers_it(
    armed_ms: int | None, expected: int | None
) -> None:
    pool = a_pool(an_agent("a"), wake=WakeView(generation=1, due_ms=armed_ms))
    assert plan(pool, [Arrival(a_task(1))], NOW).wake_due_ms == expected


def test_without_dispatch_everything_parks_and_a_turn_follows_at_once() -> None:
    decided = plan(a_pool(an_agent("a")), [Arrival(a_task(1))], NOW, dispatch=False)
    [parked] = decided.decisions
    assert isinstance(parked, Park)
    assert parked.reason is ParkReason.CONTENTION
    assert decided.wake_due_ms == NOW


@given(
    slots=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6), st.sampled_from(["x", "y"])), max_size=4),
    wanted=st.lists(st.sampled_from(["x", "y"]), max_size=12),
)
def test_no_agent_is_ever_given_more_than_its_free_slots_and_none_idles_beside_a_runnable_task(
    slots: list[tuple[int, int, str]], wanted: list[str]
) -> None:
    agents = [an_agent(f"a{n}", total, used, kind) for n, (total, used, kind) in enumerate(slots)]
    decided = plan(a_pool(*agents), [Arrival(a_task(n, kind)) for n, kind in enumerate(wanted)], NOW).decisions
    given_to = [d.agent_id for d in decided if isinstance(d, Dispatch)]
    assert all(given_to.count(agent.agent_id) <= agent.free for agent in agents)
    for kind in ("x", "y"):
        free = sum(agent.free for agent in agents if kind in agent.capabilities)
        dispatched = sum(isinstance(d, Dispatch) and d.entry.capabilities == (kind,) for d in decided)
        assert dispatched == min(free, wanted.count(kind))
    assert len(decided) == len(wanted)


def test_plan_needs_no_clock_no_randomness_no_environment_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("plan reached outside its arguments")

    pool = a_pool(
        an_agent("a", 2, 1),
        lanes=(a_lane(entry_of(a_task(3))),),
        shapes=(ShapeView(shape=shape_of(("work",)), capabilities=("work",), lanes=1),),
    )
    inputs: list[Input] = [Arrival(a_task(1)), finished(a_task(2), "a", OutcomeKind.FAILED), expired(a_task(4))]
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
