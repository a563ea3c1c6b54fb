"""Typed payloads and results: decoded, checked, and refused by the name of the field."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from pushlane.agent import TaskContext, agent
from pushlane.model.attempt import OutcomeKind
from pushlane.model.workflow import ParentResult
from pushlane.testing import run_agent


class Order(Struct, frozen=True):
    article: str
    count: Annotated[int, Meta(ge=1)] = 1


@dataclass
class Shipped:
    count: int


@agent(task_types=("ship",), payload=Order, result=Shipped)
def ship(_ctx: TaskContext, order: Order) -> Shipped:
    return Shipped(count=order.count)


def test_a_payload_is_decoded_into_its_type_and_a_result_into_json() -> None:
    run = run_agent(ship, {"article": "lamp", "count": 3})
    assert run.result == {"count": 3}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, "payload: Object missing required field `article`"),
        ({"article": 7}, "payload.article: Expected `str`, got `int`"),
        ({"article": "lamp", "count": 0}, "payload.count: Expected `int` >= 1"),
    ],
)
def test_a_payload_that_does_not_fit_fails_for_good_and_names_the_field(payload: Any, message: str) -> None:
    run = run_agent(ship, payload)
    assert run.error is not None
    assert (run.error.error_type, run.error.message, run.error.retryable) == ("Permanent", message, False)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Order("lamp"), "an agent returns a Shipped, this one returned Order"),
        (None, "an agent returns a Shipped, this one returned NoneType"),
        ({"count": "three"}, "result: Expected `int`, got `str` - at `$.count`"),
    ],
)
def test_a_result_that_does_not_fit_fails_for_good(result: Any, message: str) -> None:
    run = run_agent(agent(task_types=("ship",), result=Shipped)(lambda _ctx, _payload: result))
    assert run.error is not None
    assert (run.error.error_type, run.error.message, run.error.retryable) == ("Permanent", message, False)


def test_a_struct_is_a_result_without_any_type_said() -> None:
    run = run_agent(agent(task_types=("any",))(lambda _ctx, _payload: Order("lamp")))
    assert run.result == {"article": "lamp", "count": 1}


def test_a_step_has_the_same_key_in_every_attempt() -> None:
    def work(ctx: TaskContext, _payload: Any) -> Any:
        keys.append(ctx.step("charge"))
        ctx.sleep(60)
        return {}

    keys: list[str] = []
    assert run_agent(agent(task_types=("any",))(work)).kind is OutcomeKind.SUCCEEDED
    assert keys == ["t-rehearsal/charge"] * 2


def test_parents_reach_their_child() -> None:
    def work(ctx: TaskContext, _payload: Any) -> Any:
        with pytest.raises(KeyError, match="b has no result: it ended as FAILED"):
            ctx.result_of("b")
        return {"a": ctx.result_of("a"), "b": ctx.parents["b"].status}

    parents = {"a": ParentResult(status="SUCCEEDED", result={"n": 1}), "b": ParentResult(status="FAILED")}
    assert run_agent(agent(task_types=("any",))(work), parents=parents).result == {"a": {"n": 1}, "b": "FAILED"}
