"""One attempt from its push to its nudge: what is refused and what each kind of ending leaves."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import AttemptLost, Permanent, TaskContext
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.attempt import OutcomeKind
from pushlane.model.errors import StoreUnavailable
from pushlane.ports import Message
from tests.unit.agent.worlds import REMAINING_MS, RESULTS, World, raises, says


def test_an_attempt_runs_once_however_often_it_is_delivered() -> None:
    runs: list[int] = []

    def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        runs.append(ctx.attempt)
        return dict(payload)

    world = World(work, payload={"say": "hello"})
    assert [world.run(), world.run(), world.run()] == [True, False, False]
    assert runs == [1]
    assert world.complete() == {"say": "hello"}
    assert world.events.count("not-started") == 2


def test_a_delivery_beside_a_running_attempt_is_refused() -> None:
    seen: list[bool] = []

    def work(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if not seen:
            seen.append(False)
            seen.append(world.run())
        return {}

    world = World(work)
    assert world.run() is True
    assert seen == [False, False]


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_push_of_another_epoch_is_refused(epoch: int) -> None:
    world = World(says({}))
    world.message = Message(msgspec.json.encode(msgspec.structs.replace(world.dispatch, epoch=epoch)).decode())
    assert world.run() is False
    assert "runner" not in world.stored


def test_a_push_whose_attempt_is_gone_is_refused() -> None:
    world = World(says({}))
    assert world.run() is True
    world.complete()
    assert world.run() is False
    assert world.dispatcher.live_attempts() == []


@pytest.mark.parametrize("body", ["", "junk", "{}", "[]"])
def test_a_body_that_is_no_dispatch_is_an_error(body: str) -> None:
    world = World(says({}))
    with pytest.raises(msgspec.DecodeError):
        AgentRuntime(world.definition, world.dispatcher.agent_ports()).run(body, REMAINING_MS)


class Odd(Exception):
    """An author's own error."""


@pytest.mark.parametrize(
    ("error", "error_type", "message", "retryable"),
    [
        (Odd("boom"), "Odd", "boom", True),
        (Permanent("malformed"), "Permanent", "malformed", False),
        (AttemptLost("gone"), "AttemptLost", "gone", False),
        (KeyError("field"), "KeyError", "'field'", True),
        (Odd(), "Odd", "", True),
        (Odd("x" * 5_000), "Odd", "x" * 2_000, True),
        (FileNotFoundError("caf\udce9.txt"), "FileNotFoundError", "caf?.txt", True),
    ],
    ids=lambda value: str(value)[:20].encode(errors="replace").decode(),
)
def test_whatever_the_author_raises_is_the_outcome(
    error: Exception, error_type: str, message: str, retryable: bool
) -> None:
    world = World(raises(error))
    assert world.run() is True
    assert world.outcome.kind is OutcomeKind.FAILED
    said = world.outcome.error
    assert said is not None
    assert (said.error_type, said.message, said.retryable) == (error_type, message, retryable)
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(world.task_id) == ("RETRYING" if retryable else "FAILED")


def test_a_task_of_a_type_that_the_agent_does_not_take_fails_for_good() -> None:
    world = World(says({}), task_type="other", capabilities=["echo"])
    world.run()
    assert world.outcome.error is not None
    assert world.outcome.error.message == "this agent takes echo, not other"
    assert world.outcome.error.retryable is False


def test_a_nudge_that_no_queue_takes_is_made_up_for_by_the_sweep() -> None:
    world = World(says({"a": 1}))
    world.dispatcher.sender._refuse = lambda url, _message: url == RESULTS
    assert world.run() is True
    assert "nudge-lost" in world.events
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(world.task_id) == "DISPATCHED"
    world.dispatcher.clock.advance(30_000)  # its lease
    assert world.dispatcher.sweep().due == 1
    assert world.dispatcher.result(world.task_id) == {"a": 1}
    assert (world.dispatcher.used("one"), world.dispatcher.live_attempts()) == (0, [])


def test_a_store_that_is_down_before_the_start_changes_nothing_and_is_told() -> None:
    world = World(says({}))

    class Down:
        def before(self, name: str, operations: object) -> None:
            raise StoreUnavailable("as ordered")

        def after(self, name: str, operations: object) -> None:
            """Nothing happens."""

    working, world.dispatcher.store._faults = world.dispatcher.store._faults, Down()
    with pytest.raises(StoreUnavailable):
        world.run()
    world.dispatcher.store._faults = working
    assert world.run() is True
