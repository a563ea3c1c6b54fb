"""What an attempt says that it used, and what becomes of a provider's refusal."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, Throttled
from pushlane.model.attempt import Outcome, OutcomeKind, Usage
from pushlane.model.attempt import Throttled as Pause
from pushlane.ports import Table
from pushlane.state.items import attempt_of
from tests.unit.router.limited import Limited, Work


def outcome_of(work: Work) -> Outcome:
    """The last word of an attempt that does this."""
    world = Limited({})
    world.work = work
    world.submit()
    world.dispatcher._deliver_agent("queue/agent/one")
    [item] = world.store.items(Table.ATTEMPTS)
    said = attempt_of(item).outcome
    assert said is not None
    return said


def test_what_is_used_adds_up() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.used(tokens=300)
        ctx.used(tokens=50, pages=2)
        ctx.used(pages=1, **{"search-calls": 4})
        return {}

    said = outcome_of(work)
    assert said.kind is OutcomeKind.SUCCEEDED
    assert said.usage == Usage(tokens=350, resources={"pages": 3, "search-calls": 4})


def test_what_is_not_said_is_left_to_the_estimate() -> None:
    assert outcome_of(lambda _ctx, _payload: {}).usage == Usage()


def test_resources_alone_leave_the_tokens_to_the_estimate() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.used(pages=2)
        return {}

    assert outcome_of(work).usage == Usage(tokens=None, resources={"pages": 2})


def test_nothing_can_be_said_too() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.used(tokens=0)
        return {}

    assert outcome_of(work).usage == Usage(tokens=0)


def test_what_a_failed_attempt_used_counts() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.used(tokens=120)
        raise RuntimeError("it broke")

    said = outcome_of(work)
    assert (said.kind, said.usage.tokens, said.throttled) == (OutcomeKind.FAILED, 120, None)


@pytest.mark.parametrize("amounts", [{"tokens": -1}, {"pages": -1}])
def test_less_than_nothing_is_refused(amounts: dict[str, int]) -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.used(**amounts)
        return {}

    said = outcome_of(work)
    assert said.error is not None
    assert said.error.error_type == "ValueError"
    assert said.usage == Usage()


@pytest.mark.parametrize("used", [0, 70])
def test_a_refused_call_names_the_resource_and_uses_no_more_than_was_said(used: int) -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if used:
            ctx.used(tokens=used)
        raise Throttled("model-tpm", retry_after_seconds=12)

    said = outcome_of(work)
    assert said.kind is OutcomeKind.FAILED
    assert said.throttled == Pause(resource="model-tpm", retry_after_seconds=12)
    assert said.usage.tokens == used
    assert said.error is not None
    assert said.error.message == "model-tpm: a provider refused the call; try again after 12 s"


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="retry_after_seconds"):
        Throttled("model-tpm", seconds)


def test_a_pause_is_a_day_at_most() -> None:
    assert Throttled("model-tpm", 10**9).retry_after_seconds == 86_400
