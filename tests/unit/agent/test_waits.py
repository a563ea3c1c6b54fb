"""Sleeping and waiting for signals: no invocation meanwhile, nothing done twice, nothing missed."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import SignalTimeout, TaskContext, agent
from pushlane.model.attempt import OutcomeKind
from pushlane.model.signals import Signal
from pushlane.ports import Update
from pushlane.state.attempts import signal_attribute
from pushlane.testing import run_agent
from tests.unit.agent.worlds import World

Work = Any


def any_agent(work: Work) -> Any:
    return agent(task_types=("any",))(work)


def test_a_sleep_ends_the_invocation_and_is_over_when_the_function_comes_by_again() -> None:
    runs: list[int] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        runs.append(ctx.attempt)
        ctx.sleep(3_600)
        ctx.sleep(60)
        return {"runs": len(runs)}

    run = run_agent(any_agent(work))
    assert (run.result, run.virtual_seconds, run.invocations) == ({"runs": 3}, 3_660, 3)


def test_what_was_checkpointed_before_a_sleep_is_not_done_again() -> None:
    done: list[str] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.restored is None:
            done.append("order")
            ctx.checkpoint({"ordered": True})
        ctx.sleep(600)
        done.append("collect")
        return dict(ctx.restored or {})

    run = run_agent(any_agent(work))
    assert (run.result, done) == ({"ordered": True}, ["order", "collect"])


def test_a_function_that_stores_the_same_state_again_does_not_sleep_for_ever() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        yield {"ordered": True}
        ctx.sleep(600)
        return {"by": ctx.wait_for_signal("approve").data["by"]}

    run = run_agent(any_agent(work), signals=[("approve", {"by": "ada"})])
    assert (run.result, run.invocations, run.virtual_seconds) == ({"by": "ada"}, 3, 600)


def test_a_state_that_comes_back_after_a_wait_is_a_new_place() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        while len(slept) < 3:
            yield {"ticking": True}
            ctx.sleep(60)
            slept.append(1)
        return {}

    slept: list[int] = []
    assert run_agent(any_agent(work)).virtual_seconds == 180


def test_a_checkpoint_begins_the_count_of_waits_anew() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        for one in range((ctx.restored or {"done": 0})["done"], 3):
            ctx.sleep(100)
            yield {"done": one + 1}
        return {}

    run = run_agent(any_agent(work))
    assert (run.kind, run.virtual_seconds) == (OutcomeKind.SUCCEEDED, 300)


@pytest.mark.parametrize(("seconds", "invocations"), [(0, 1), (0.5, 1), (1, 1), (1.1, 2)])
def test_a_moment_is_waited_through(seconds: float, invocations: int) -> None:
    run = run_agent(any_agent(lambda ctx, _payload: {"slept": ctx.sleep(seconds)}))
    assert (run.invocations, run.virtual_seconds) == (invocations, seconds)


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    run = run_agent(any_agent(lambda ctx, _payload: ctx.sleep(seconds)))
    assert run.error is not None
    assert run.error.error_type == "ValueError"


def test_a_signal_that_is_not_there_suspends_until_it_comes() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(ctx.wait_for_signal("approve").data)

    assert run_agent(any_agent(work)).awaits == "approve"
    run = run_agent(any_agent(work), signals=[("note", {}), ("approve", {"by": "ada"})])
    assert (run.result, run.invocations) == ({"by": "ada"}, 2)


def chat(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
    said = list((ctx.restored or {"said": []})["said"])
    while len(said) < 3:
        said.append(ctx.wait_for_signal("say").data["text"])
        yield {"said": said}
    return {"said": said}


def test_each_signal_is_taken_once_whatever_the_checkpoints() -> None:
    messages = [("say", {"text": text}) for text in ("a", "b", "c")]
    assert run_agent(any_agent(chat), signals=messages).result == {"said": ["a", "b", "c"]}


def test_what_was_taken_after_the_last_checkpoint_comes_again() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"said": [ctx.wait_for_signal("say").data["text"] for _ in range(3)]}

    messages = [("say", {"text": text}) for text in ("a", "b", "c")]
    run = run_agent(any_agent(work), signals=messages)
    assert (run.result, run.invocations) == ({"said": ["a", "b", "c"]}, 4)


def test_a_signal_that_does_not_come_in_time_is_an_error_that_can_be_caught() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            ctx.wait_for_signal("approve", timeout_seconds=90)
        except SignalTimeout as error:
            return {"error": str(error)}
        return {}

    run = run_agent(any_agent(work))
    assert run.result == {"error": "no signal 'approve' came within 90 s"}
    assert run.virtual_seconds == 90


def signalled(world: World, number: int, name: str) -> None:
    [item] = world.dispatcher.live_attempts()
    one = Signal(number=number, name=name, signal_id=f"s{number}", sent_at_ms=1)
    world.dispatcher.store.write(Update(item.key, set={"signals": number, **signal_attribute(one)}))


def test_a_signal_that_came_while_the_attempt_ran_is_returned_at_once() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        signalled(world, 1, "approve")
        return {"number": ctx.wait_for_signal("approve").number}

    world = World(work)
    world.run()
    assert (world.outcome.kind, world.outcome.result) == (OutcomeKind.SUCCEEDED, {"number": 1})


class JustBefore:
    """A signal slips in right before the attempt would be suspended."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.sent = world, name, 0

    def before(self, _name: str, operations: Any) -> None:
        if operations and "outcome" in operations[0].set and self.sent == 0:
            self.sent = 1
            signalled(self.world, 1, self.name)

    def after(self, _name: str, _operations: Any) -> None:
        """Nothing happens."""


@pytest.mark.parametrize(("name", "kind"), [("approve", OutcomeKind.SUCCEEDED), ("other", OutcomeKind.SUSPENDED)])
def test_a_signal_that_slips_in_before_the_suspension_is_not_missed(name: str, kind: OutcomeKind) -> None:
    runs: list[int] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        runs.append(ctx.attempt)
        return {"number": ctx.wait_for_signal("approve").number}

    world = World(work)
    world.dispatcher.store._faults = JustBefore(world, name)
    assert world.run() is True
    assert (world.outcome.kind, runs) == (kind, [1, 1])
    if kind is OutcomeKind.SUSPENDED:
        assert (world.outcome.signals_seen, world.outcome.awaits) == (1, "approve")


def test_a_suspended_outcome_says_what_it_waits_for() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.checkpoint({"page": 1})
        ctx.wait_for_signal("approve", timeout_seconds=60)
        return {}

    world = World(work)
    world.run()
    said = world.outcome
    assert (said.kind, said.awaits, said.signals_seen) == (OutcomeKind.SUSPENDED, "approve", 0)
    assert said.resume_at_ms == world.dispatcher.clock.now_ms() + 60_000
    assert said.checkpoint is not None
    assert said.checkpoint["page"] == 1


def test_a_wait_of_an_attempt_that_was_cancelled_ends_it() -> None:
    run = run_agent(any_agent(lambda ctx, _payload: (ctx.check_in(), ctx.sleep(600))), orders=["cancel"])
    assert run.kind is OutcomeKind.CANCELLED
