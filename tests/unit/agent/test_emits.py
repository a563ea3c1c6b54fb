"""Events and progress: in order, numbered, bounded, and proof that the work goes on."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import AttemptLost, TaskContext, agent
from pushlane.model.emitted import Emitted
from pushlane.testing import run_agent
from pushlane.testing.event_logs import EVENTS
from tests.unit.agent.worlds import World


def emitted(world: World) -> list[tuple[Emitted, str | None, str | None]]:
    messages = world.dispatcher.sender.drain(EVENTS)
    return [(msgspec.json.decode(m.body, type=Emitted), m.group, m.deduplication_id) for m in messages]


def test_events_are_numbered_and_stay_in_the_order_of_their_task() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.emit("token", "Hel")
        ctx.emit("token", "lo")
        ctx.emit("done")
        return {}

    world = World(work)
    world.run()
    said = emitted(world)
    assert [(one.number, one.kind, one.data) for one, _, _ in said] == [
        (1, "token", "Hel"),
        (2, "token", "lo"),
        (3, "done", None),
    ]
    runner = world.stored["runner"]
    assert {group for _, group, _ in said} == {world.task_id}
    assert [same for _, _, same in said] == [f"{world.task_id}/1/{runner}/{number}" for number in (1, 2, 3)]
    assert {(one.token, one.epoch, one.runner) for one, _, _ in said} == {(world.dispatch.token, 1, runner)}


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("", 1, "emit: a kind has 1 to 64 characters, this one has 0"),
        ("k" * 65, 1, "emit: a kind has 1 to 64 characters, this one has 65"),
        ("big", "x" * 65_536, "emit('big'): 65538 bytes, at most 65536: store it and emit where it lies"),
    ],
)
def test_what_cannot_be_an_event_is_refused(kind: str, data: object, message: str) -> None:
    run = run_agent(agent(task_types=("any",))(lambda ctx, _payload: ctx.emit(kind, data)))
    assert run.error is not None
    assert (run.error.error_type, run.error.message, run.emits) == ("ValueError", message, ())


def test_an_event_that_no_queue_takes_is_logged_and_the_work_goes_on() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.emit("token", "a")
        return {"went": "on"}

    world = World(work)
    world.dispatcher.sender._refuse = lambda url, _message: url == EVENTS
    assert world.run() is True
    assert "emit-lost" in world.events
    world.dispatcher.sender._refuse = lambda _url, _message: False
    assert world.complete() == {"went": "on"}


@pytest.mark.parametrize(
    ("said", "value"), [(0.5, {"fraction": 0.5}), (1, {"fraction": 1}), ({"page": 3}, {"page": 3})]
)
def test_progress_is_stored_and_told(said: Any, value: Any) -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.progress(said)
        return {}

    world = World(work)
    world.run()
    assert msgspec.json.decode(world.stored["progress"]) == value
    assert [(one.kind, one.data) for one, _, _ in emitted(world)] == [("progress", value)]


@pytest.mark.parametrize("said", [-0.1, 1.1, 50, float("nan")])
def test_a_fraction_is_from_0_to_1(said: float) -> None:
    run = run_agent(agent(task_types=("any",))(lambda ctx, _payload: ctx.progress(said)))
    assert run.error is not None
    assert run.error.error_type == "ValueError"


def test_an_agent_that_only_emits_is_not_stalled_and_a_silent_one_is() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.attempt > 1:
            return {}
        for _ in range(4):
            world.dispatcher.advance(5)
            ctx.emit("tick")
        leases.append(world.stored["lease_until_ms"])
        world.dispatcher.advance(20)
        ctx.emit("awake again")  # which makes the heartbeat look
        world.dispatcher.advance(1)
        try:
            ctx.emit("too late")
        except AttemptLost:
            leases.append(-1)
            raise
        return {}

    leases: list[int] = []
    world = World(work)
    world.redispatch(stall_seconds=8, lease_seconds=6)
    began_ms = world.dispatcher.clock.now_ms()
    assert world.run() is False
    assert leases[-1] == -1
    assert began_ms + 20_000 < leases[0] <= began_ms + 28_000
