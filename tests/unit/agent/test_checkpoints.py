"""Checkpoints: stored, restored, handed on, and where an attempt ends when it is told to."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from pushlane.agent import Order, TaskContext, agent
from pushlane.agent.checkpoints import Checkpoint, Memory, checkpoint_of, stored_form
from pushlane.model.attempt import OutcomeKind
from pushlane.ports import Update
from pushlane.testing import run_agent
from tests.unit.agent.worlds import REMAINING_MS, World

Steps = Generator[Mapping[str, Any], Order, Mapping[str, Any]]


@agent(task_types=("count",))
def count(ctx: TaskContext, payload: Mapping[str, Any]) -> Steps:
    """Counts to `to`, and remembers how far it is."""
    done = (ctx.restored or {"done": 0})["done"]
    while done < payload["to"]:
        done += 1
        ctx.emit("step", done)
        yield {"done": done}
    return {"done": done}


def steps_of(run: Any) -> list[Any]:
    return [one.data for one in run.emits]


def test_each_yield_is_a_checkpoint() -> None:
    run = run_agent(count, {"to": 3})
    assert run.result == {"done": 3}
    assert run.checkpoints == ({"done": 1}, {"done": 2}, {"done": 3})
    assert run.invocations == 1


def test_a_generator_goes_on_from_its_checkpoint() -> None:
    assert steps_of(run_agent(count, {"to": 3}, checkpoint={"done": 2})) == [3]


def test_a_preempted_agent_yields_at_its_checkpoint_and_repeats_nothing_before_it() -> None:
    run = run_agent(count, {"to": 4}, orders=["continue", "preempt"])
    assert (run.result, run.invocations) == ({"done": 4}, 2)
    assert steps_of(run) == [1, 2, 3, 4]


def test_a_cancelled_agent_ends_at_its_checkpoint() -> None:
    run = run_agent(count, {"to": 4}, orders=["continue", "cancel"])
    assert run.kind is OutcomeKind.CANCELLED
    assert steps_of(run) == [1, 2]


def test_an_ended_generator_runs_its_finally_blocks_and_an_authors_except_does_not_catch_the_end() -> None:
    seen: list[str] = []

    @agent(task_types=("any",))
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Steps:
        try:
            yield {"at": 1}
        except Exception:
            seen.append("caught")
        finally:
            seen.append("closed")
        return {}

    @agent(task_types=("any",))
    def plain(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            ctx.checkpoint({"at": 1})
        except Exception:
            seen.append("caught")
        return {}

    assert run_agent(work, orders=["cancel"]).kind is OutcomeKind.CANCELLED
    assert run_agent(plain, orders=["cancel"]).kind is OutcomeKind.CANCELLED
    assert seen == ["closed"]


def test_near_the_end_of_its_invocation_an_attempt_yields_at_its_checkpoint() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        done = (ctx.restored or {"done": 0})["done"]
        for one in range(done, 5):
            world.dispatcher.clock.advance(REMAINING_MS // 3)
            ctx.checkpoint({"done": one + 1})
        return {"attempt": ctx.attempt, "began_at": done}

    world = World(work)
    assert world.run() is True
    assert (world.outcome.kind, world.outcome.checkpoint) == (OutcomeKind.YIELDED, {"done": 3})
    assert world.complete() == {"attempt": 2, "began_at": 3}


def test_a_check_in_says_what_is_ordered_and_ends_nothing() -> None:
    heard: list[Order] = []

    @agent(task_types=("any",))
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        heard.extend(ctx.check_in() for _ in range(4))
        return {"signals": [one.name for one in ctx.signals]}

    run = run_agent(work, orders=["continue", "signal", "continue", "cancel"], signals=[("stop", {})])
    assert heard == [Order.CONTINUE, Order.SIGNAL, Order.CONTINUE, Order.CANCEL]
    assert run.result == {"signals": ["stop"]}


def test_an_order_that_stands_at_the_start_ends_the_attempt_before_the_function_runs() -> None:
    world = World(lambda _ctx, _payload: pytest.fail("it ran"))
    [item] = world.dispatcher.live_attempts()
    world.dispatcher.store.write(Update(item.key, set={"order": "cancel"}))
    assert world.run() is True
    assert world.outcome.kind is OutcomeKind.CANCELLED


def test_a_failed_attempt_hands_its_last_checkpoint_on() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.restored is None:
            ctx.checkpoint({"page": 7})
            raise RuntimeError("broke")
        return {"restored": ctx.restored}

    world = World(work, retry={"backoff_seconds": 0.1})
    world.run()
    assert (world.outcome.kind, world.outcome.checkpoint) == (OutcomeKind.FAILED, {"page": 7})
    world.dispatcher.advance(5)
    assert world.complete() == {"restored": {"page": 7}}


def test_an_attempt_that_stored_none_hands_on_the_one_it_got() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError(str(ctx.restored))

    world = World(work)
    world.redispatch(checkpoint={"page": 7})
    world.run()
    assert world.outcome.checkpoint == {"page": 7}
    assert world.outcome.error is not None
    assert world.outcome.error.message == "{'page': 7}"


def test_a_large_checkpoint_lies_in_the_claims_and_is_read_back() -> None:
    text = "x" * 70_000

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.restored is None:
            ctx.checkpoint({"text": text})
            raise RuntimeError("broke")
        return {"same": ctx.restored == {"text": text}}

    world = World(work, retry={"backoff_seconds": 0.1})
    world.run()
    assert list(msgspec.json.decode(world.stored["checkpoint"])) == ["$claim_check"]
    assert world.outcome.checkpoint == msgspec.json.decode(world.stored["checkpoint"])
    world.dispatcher.advance(5)
    assert world.complete() == {"same": True}


@dataclass
class State:
    page: int


@pytest.mark.parametrize("state", [{"page": 1}, State(1)])
def test_a_state_is_an_object(state: object) -> None:
    run = run_agent(agent(task_types=("any",))(lambda ctx, _payload: {"order": ctx.checkpoint(state).value}))
    assert run.checkpoints == ({"page": 1},)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "a checkpoint is a JSON object, this one is NoneType"),
        ([1], "a checkpoint is a JSON object, this one is list"),
        ("text", "a checkpoint is a JSON object, this one is str"),
        ({"$pushlane": {}}, "checkpoint: the name '$pushlane' is Pushlane's own, choose another"),
        ({"$claim_check": {}}, "checkpoint: the name '$claim_check' is Pushlane's own, choose another"),
    ],
)
def test_what_is_no_state_is_refused(state: object, message: str) -> None:
    @agent(task_types=("any",))
    def work(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Generator[object, Order, Mapping[str, Any]]:
        yield state
        return {}

    run = run_agent(work)
    assert run.error is not None
    assert (run.error.error_type, run.error.message) == ("ValueError", message)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(),
        Checkpoint(state={}),
        Checkpoint(state={"a": 1}),
        Checkpoint(memory=Memory(waits=(None, 7), bare=True)),
        Checkpoint(state={}, memory=Memory(taken=(1, 2))),
        Checkpoint(state={"a": 1}, memory=Memory(taken=(3,), waits=(9,))),
    ],
)
def test_a_checkpoint_survives_its_stored_form(checkpoint: Checkpoint) -> None:
    read_back = checkpoint_of(stored_form(checkpoint))
    assert read_back.state == checkpoint.state
    assert (read_back.memory.taken, read_back.memory.waits) == (checkpoint.memory.taken, checkpoint.memory.waits)


def test_a_plain_checkpoint_is_stored_as_it_is() -> None:
    assert stored_form(Checkpoint(state={"page": 3})) == {"page": 3}
    assert stored_form(Checkpoint()) is None
