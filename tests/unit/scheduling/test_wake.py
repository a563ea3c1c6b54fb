"""When a pool has to be looked at again although no message may come."""

from typing import Any

import msgspec
import pytest

from pushlane.model.policy import Policy, Preemption
from pushlane.model.task import DeadlineKind, Tier
from pushlane.scheduling.decisions import Block, Decision, Park, ParkReason, Repush, Retry
from pushlane.scheduling.endings import LEASE_LOST
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import WakeView
from pushlane.scheduling.wake import wake_due_ms
from tests.unit.scheduling.situations import a_pool
from tests.unit.values import NOW, a_finish, an_agent, an_arrival, an_entry, an_expiry, dispatch_of, park_of

NO_PREEMPTION = Policy(preemption=Preemption(enabled=False))
HARD: dict[str, Any] = {"deadline_ms": NOW + 40_000, "deadline_kind": DeadlineKind.HARD}


def due(*decisions: Decision, blocks: tuple[Block, ...] = (), policy: Policy = NO_PREEMPTION) -> int | None:
    return wake_due_ms(a_pool(policy=policy), decisions, blocks, NOW)


def test_with_nothing_to_come_nothing_is_armed() -> None:
    assert due() is None
    assert due(park_of(an_arrival())) is None
    assert due(blocks=(Block(ParkReason.CAPACITY),)) is None
    assert plan(a_pool(an_agent(used=1)), [a_finish()], NOW).wake_due_ms is None


def test_the_earliest_of_everything_that_falls_due_is_armed() -> None:
    expired = an_expiry()
    retry = Retry(ended=expired, entry=an_entry(epoch=1), due_ms=NOW + 700, error=LEASE_LOST)
    assert due(dispatch_of(an_arrival())) == NOW + 1
    assert due(Repush(expired=expired, lease_until_ms=NOW + 900), retry) == NOW + 700
    assert due(retry, blocks=(Block(ParkReason.RATE, NOW + 300, "llm"),)) == NOW + 300


def test_a_parked_task_is_looked_at_when_its_hard_deadline_can_no_longer_be_made() -> None:
    assert due(park_of(an_arrival(**HARD))) == NOW + 10_001
    assert due(park_of(an_arrival(deadline_ms=NOW + 40_000))) is None


def test_what_a_refill_admits_is_looked_at_then() -> None:
    arrival = an_arrival()
    parked = Park(entry=arrival.entry, block=Block(ParkReason.WINDOW, NOW + 5_000), origin=arrival)
    assert due(parked) == NOW + 5_000


def test_a_critical_task_is_looked_at_when_it_may_ask_another_to_yield() -> None:
    parked = park_of(an_arrival(tier=Tier.CRITICAL, deadline_ms=NOW + 60_000))
    assert due(parked, policy=Policy()) == NOW + 25_000
    assert due(parked) is None


def test_what_is_overdue_is_due_now() -> None:
    pool = msgspec.structs.replace(a_pool(), next_due_ms=NOW - 60_000)
    assert wake_due_ms(pool, (), (), NOW) == NOW


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
    pool = a_pool(an_agent(), wake=WakeView(generation=1, due_ms=armed_ms))
    assert plan(pool, [an_arrival()], NOW).wake_due_ms == expected
