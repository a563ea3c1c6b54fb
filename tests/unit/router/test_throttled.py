"""A provider's 429: the resource pauses for everyone, and the pause ends by its own wake-up."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, Throttled
from pushlane.model.events import FactName
from tests.unit.router.limited import Limited


def needing(**rate: Any) -> dict[str, Any]:
    """Every `echo` draws on `tpm`."""
    return {
        "resources": {"tpm": {"kind": "rate", "per_minute": 100_000, **rate}},
        "task_types": {"echo": {"resources": ["tpm"]}},
    }


def estimated(tokens: int) -> dict[str, Any]:
    return {"estimate": {"tokens": tokens}}


class Busy:
    """A provider that refuses for a while, and counts how often it was asked."""

    def __init__(self, world: Limited, until_ms: int, retry_after_seconds: float) -> None:
        self.world, self.until_ms, self.retry_after_seconds = world, until_ms, retry_after_seconds
        self.asked_at_ms: list[int] = []

    def __call__(self, _ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        now_ms = self.world.clock.now_ms()
        self.asked_at_ms.append(now_ms)
        if now_ms < self.until_ms:
            raise Throttled("tpm", self.retry_after_seconds)
        return {}


@pytest.mark.parametrize("shards", [1, 4])
def test_a_429_pauses_for_everyone_and_ends_by_itself(shards: int) -> None:
    world = Limited(needing(shards=shards))
    world.register("far-one", pool="far")
    now_ms = world.clock.now_ms()
    world.work = busy = Busy(world, now_ms + 1, 20)
    refused = world.submit(**estimated(10), retry={"max_attempts": 1})
    world.run_one()
    assert world.dispatcher.status(refused) == "RETRYING"
    here, there = world.submit(tenant_id="borea"), world.submit(tenant_id="borea", pool="far")
    assert [world.reason(one) for one in (here, there)] == ["rate:tpm", "rate:tpm"]
    assert world.dispatcher.status(world.submit(task_type="other", capabilities=["echo"])) == "DISPATCHED"
    [fact] = world.facts(FactName.RESOURCE_PAUSED)
    assert fact.data.resource == "tpm"
    world.dispatcher.advance(19)
    assert [world.dispatcher.status(one) for one in (refused, here, there)] == ["RETRYING", "PARKED", "PARKED"]
    world.dispatcher.advance(2)
    assert [world.dispatcher.status(one) for one in (refused, here, there)] == ["SUCCEEDED"] * 3
    assert min(busy.asked_at_ms[1:]) >= now_ms + 20_000
    world.assert_all_given_back()


def test_a_429_costs_no_retry_and_no_tokens() -> None:
    world = Limited({**needing(), "default_tenant": {"tokens_per_day": {"hard": 1_000}}})
    world.work = Busy(world, world.clock.now_ms() + 50_000, 10)
    task_id = world.submit(**estimated(400), retry={"max_attempts": 1})
    world.dispatcher.advance(45)
    assert world.dispatcher.status(task_id) == "RETRYING"
    assert world.tenant()["day_tokens"] == 0
    world.dispatcher.advance(15)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.tenant()["day_tokens"] == 400


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    world = Limited(needing())
    world.submit_many(2)
    until_ms = world.clock.now_ms() + 60_000
    world.work = Busy(world, until_ms, 60)
    world.run_one()
    world.work = Busy(world, until_ms, 5)
    world.run_one()
    assert world.resource("tpm")["paused_until_ms"] == until_ms
    assert world.live() == 0


def test_a_pause_of_what_the_policy_does_not_know_only_delays_the_task() -> None:
    world = Limited({})
    world.work = Busy(world, world.clock.now_ms() + 1, 5)
    task_id = world.submit()
    world.dispatcher.advance(4)
    assert world.dispatcher.status(task_id) == "RETRYING"
    world.dispatcher.advance(2)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.resource("tpm") == {}
