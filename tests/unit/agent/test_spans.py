"""Steps that an author marks: spans of the attempt, with the step's idempotency key."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.definition import Work
from pushlane.agent.steps import STEPS_MAX
from pushlane.inmemory import InMemorySpans
from pushlane.model.span import Span, SpanStatus
from pushlane.ports import Tracing
from pushlane.testing import InMemoryDispatcher


def steps_of(work: Work, *, tracing: bool = True) -> tuple[list[Span], InMemoryDispatcher]:
    """Run one task of a function; the steps that it exported, in order."""
    spans = InMemorySpans()
    dispatcher = InMemoryDispatcher(tracing=Tracing(exporter=spans) if tracing else None)
    dispatcher.register(agent(task_types=("echo",))(work), agent_id="one")
    dispatcher.submit(payload={}, retry={"max_attempts": 1})
    dispatcher.run_until_idle()
    return [one for one in spans.exported if one.name.startswith("step ")], dispatcher


def test_a_step_has_its_idempotency_key_and_its_time() -> None:
    keys: list[str] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with ctx.span("charge") as key:
            keys.extend([key, ctx.step("charge")])
        return {}

    (step,), _ = steps_of(work)
    assert keys[0] == keys[1]
    assert type(keys[0]) is str  # it goes into payloads and headers
    assert (step.name, step.status) == ("step charge", SpanStatus.OK)
    assert step.attributes["epoch"] == 1


def test_a_step_that_fails_says_so_and_the_error_goes_on() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with pytest.raises(KeyError), ctx.span("lookup"):
            raise KeyError("secret")
        with ctx.span("next"):
            pass
        return {}

    (failed, after), dispatcher = steps_of(work)
    assert (failed.status, failed.attributes["error.type"]) == (SpanStatus.ERROR, "KeyError")
    assert "secret" not in str(failed)
    assert after.status is SpanStatus.OK
    assert [one["outcome"] for event, one in dispatcher.logged if event == "attempt"] == ["succeeded"]


def test_an_attempt_that_ends_at_its_checkpoint_has_not_failed_its_step() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with ctx.span("ask"):
            ctx.wait_for_signal("answer")
        return {}

    (step,), _ = steps_of(work)
    assert (step.status, step.attributes.get("error.type")) == (SpanStatus.OK, None)


def test_the_same_step_again_is_another_span_and_there_is_an_end_of_them() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(STEPS_MAX + 10):
            with ctx.span("page"):
                pass
        return {}

    steps, _ = steps_of(work)
    assert len(steps) == len({one.span_id for one in steps}) == STEPS_MAX


def test_where_nobody_traces_a_step_is_only_its_key() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with ctx.span("charge") as key:
            return {"key": key, "trace": ctx.traceparent}

    steps, dispatcher = steps_of(work, tracing=False)
    assert steps == []
    assert [one["outcome"] for event, one in dispatcher.logged if event == "attempt"] == ["succeeded"]
