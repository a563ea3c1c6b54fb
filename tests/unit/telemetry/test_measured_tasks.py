"""Tasks that run in a whole Pushlane: what their measures say of them, and how many writes that took."""

from typing import Any, Final

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.policy import Policy
from pushlane.ports import Change, Table
from pushlane.state.items import number
from pushlane.telemetry.reading import summaries
from pushlane.telemetry.report import By, Summary
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import agent_queue

FOREVER: Final = 2**42


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
    if payload.get("fails"):
        raise ValueError("as asked")
    return payload


def of(dispatcher: InMemoryDispatcher, by: By = "tenant", **asked: Any) -> list[Summary]:
    return summaries(dispatcher.store, **{"from_ms": 0, "to_ms": FOREVER, "by": by, **asked})


class Writes(InMemoryDispatcher):
    """Counts the writes of measures."""

    def __init__(self) -> None:
        self.written: list[Change] = []
        super().__init__()

    def _on_change(self, change: Change) -> None:
        if change.key.table is Table.MEASURES:
            self.written.append(change)
        super()._on_change(change)


def test_a_task_that_waits_runs_and_ends_is_measured_from_end_to_end() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(None, agent_id="one", capabilities=("echo",))
    deadline_ms = dispatcher.clock.now_ms() + 60_000
    first = dispatcher.submit(task_type="echo", deadline_ms=deadline_ms, estimate={"tokens": 800})
    dispatcher.run_until_idle()
    second = dispatcher.submit(task_type="echo", tier="high")
    dispatcher.run_until_idle()
    dispatcher.clock.advance(400)
    attempt = dispatcher.take("one")
    dispatcher.clock.advance(5_000)
    attempt.succeed()
    dispatcher.run_until_idle()
    dispatcher.clock.advance(100)
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(first, second) == ["SUCCEEDED", "SUCCEEDED"]
    high, normal = of(dispatcher, "tenant_tier", policy=Policy(token_cost_ms=2.0))
    assert (normal.tier, normal.counts) == ("normal", {"started": 1, "succeeded": 1, "deadline_met": 1})
    assert {name: one.max_ms for name, one in normal.latencies.items()} == pytest.approx(
        {"pickup": 400, "ingest": 0, "dispatch": 400, "run": 5_000}, rel=0.01
    )
    assert (normal.slot_seconds, normal.tokens, normal.reserved_tokens, normal.weight) == (5.0, 800, 800, 1.0)
    assert normal.cost == 5.0 + 1.6
    assert high.counts == {"started": 1, "succeeded": 1}
    assert set(high.latencies) == {"pickup", "ingest", "parked.capacity", "dispatch", "run"}
    assert high.latencies["parked.capacity"].p99_ms == pytest.approx(5_400, rel=0.01)
    assert high.latencies["dispatch"].p99_ms == pytest.approx(100, rel=0.01)


def epoch_of(dispatcher: InMemoryDispatcher) -> int:
    return next((number(one.attributes, "epoch") for one in dispatcher.store.items(Table.ATTEMPTS)), 0)


def test_a_start_after_an_attempt_that_nobody_started_is_the_first_one() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(None, agent_id="one", capabilities=("echo",))
    begun_ms = dispatcher.clock.now_ms()
    dispatcher.submit(task_type="echo", retry={"backoff_seconds": 1})
    dispatcher.run_until_idle()
    while epoch_of(dispatcher) != 2:
        dispatcher.sender.drain(agent_queue("one"))  # what is pushed is lost
        dispatcher.advance(5)
        assert dispatcher.clock.now_ms() < begun_ms + 600_000
    waited_ms = dispatcher.clock.now_ms() - begun_ms
    dispatcher.take("one").fail()
    dispatcher.advance(60)
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    [summary] = of(dispatcher)
    assert summary.counts["started"] == 1, "the third attempt's start is not the first"
    assert summary.latencies["pickup"].max_ms == pytest.approx(waited_ms, rel=0.01)
    assert summary.latencies["parked.not-started"].max_ms > 0.5 * waited_ms


def test_a_task_takes_two_writes_of_measures_while_nothing_goes_wrong() -> None:
    dispatcher = Writes()
    dispatcher.register(echo, agent_id="one", slots=4)
    dispatcher.submit(task_type="echo")
    dispatcher.run_until_idle()
    dispatcher.written.clear()  # the first one also said that its tenant was measured today
    for _ in range(5):
        dispatcher.submit(task_type="echo", deadline_ms=dispatcher.clock.now_ms() + 60_000)
        dispatcher.run_until_idle()
        dispatcher.clock.advance(7_000)
    assert len(dispatcher.written) <= 10
    assert {item.key.pk for item in dispatcher.store.items(Table.MEASURES)} == {"TENANT#atlas", "MEASURED#19675"}


def test_retries_and_dead_letters_are_counted_and_the_cost_of_all_attempts() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one")
    dispatcher.submit(task_type="echo", payload={"fails": True}, retry={"max_attempts": 3}, estimate={"tokens": 100})
    dispatcher.submit(task_type="echo", payload={"fails": True}, retry={"max_attempts": 2, "exhausted": "fail"})
    dispatcher.run_until_idle()
    for _ in range(6):
        dispatcher.advance(60)
    [summary] = of(dispatcher)
    assert summary.counts == {"started": 2, "failed": 1, "dead_lettered": 1, "retried": 1}
    assert summary.tokens == 0
    assert summary.latencies["pickup"].count == 2


def test_by_minute_and_of_the_tenants_that_were_measured() -> None:
    dispatcher = InMemoryDispatcher(tenants=("atlas", "birch"))
    dispatcher.register(echo, agent_id="one", slots=4)
    begun_ms = dispatcher.clock.now_ms()
    for tenant_id in ("atlas", "birch", "atlas"):
        dispatcher.submit(task_type="echo", tenant_id=tenant_id)
        dispatcher.run_until_idle()
        dispatcher.clock.advance(61_000)
    minute_ms = begun_ms // 60_000 * 60_000
    minutes = [(one.tenant_id, one.from_ms - minute_ms, one.counts["started"]) for one in of(dispatcher, "minute")]
    assert minutes == [("atlas", 0, 1), ("atlas", 120_000, 1), ("birch", 60_000, 1)]
    assert [one.counts["started"] for one in of(dispatcher)] == [2, 1]
    assert [one.tenant_id for one in of(dispatcher, tenant_id="birch")] == ["birch"]
    assert of(dispatcher, tenant_id="nobody") == []
    assert [one.counts["started"] for one in of(dispatcher, to_ms=begun_ms + 60_000)] == [1]
    assert [one.tenant_id for one in of(dispatcher, from_ms=begun_ms + 90_000)] == ["atlas"]
