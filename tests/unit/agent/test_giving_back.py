"""`ctx.waiting()`: what is given back, and what it takes to get it again, seen from the attempt."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext
from pushlane.model.attempt import OutcomeKind
from pushlane.model.events import Back, Waits
from pushlane.ports import Scalar, Update
from tests.unit.agent.worlds import RESULTS, World

BODY = "body"


class Waiting(World):
    """A world whose router is the test: `say` writes on the attempt, `words` are what it was told."""

    def __init__(self, work: Any, **submitted: Any) -> None:
        super().__init__(work, **submitted)
        self.slept: list[float] = []
        self.on_sleep: Any = lambda: None

    def ports(self) -> Any:
        return msgspec.structs.replace(self.dispatcher.agent_ports(), sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.dispatcher.clock.advance(round(seconds * 1_000))
        self.on_sleep()

    def say(self, **attributes: Scalar) -> None:
        [item] = self.dispatcher.live_attempts()
        self.dispatcher.store.write(Update(item.key, set=attributes))

    def words(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(message.body) for message in self.dispatcher.sender.drain(RESULTS)]


def waits_once(world: list[Waiting], inside: Any) -> Any:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.checkpoint({"asked": True})
        with ctx.waiting():
            inside(world[0])
        return {"orders": ctx.check_in().value}

    return work


def waiting_world(inside: Any) -> Waiting:
    worlds: list[Waiting] = []
    worlds.append(Waiting(waits_once(worlds, inside)))
    return worlds[0]


def test_where_nothing_was_given_back_the_wait_is_over_at_once() -> None:
    seen: list[Any] = []
    world = waiting_world(lambda one: seen.append((one.stored["waiting"], one.stored["waits"], one.words())))
    assert world.run() is True
    waiting, number, words = seen[0]
    assert (waiting, number) == (True, 1)
    assert msgspec.convert(words, list[Waits]) == [
        Waits(token=world.dispatch.token, runner=world.stored["runner"], number=1)
    ]
    assert [word.get("word") for word in world.words()] == [None]  # the nudge alone
    assert (world.stored["waiting"], world.slept) == (False, [])


def test_what_was_given_back_is_asked_for_and_waited_for() -> None:
    world = waiting_world(lambda one: (one.words(), one.say(gave_back=1)))
    world.on_sleep = lambda: world.say(granted=1) if len(world.slept) == 3 else None
    assert world.run() is True
    assert world.slept == [0.2, 0.4, 0.8]
    back, nudge = world.words()
    assert msgspec.convert(back, Back).number == 1
    assert nudge["outcome"]["kind"] == "succeeded"


def test_the_second_wait_is_not_granted_by_the_first() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        for number in (1, 2):
            with ctx.waiting():
                world.say(gave_back=number)
        return {}

    world = Waiting(work)
    world.on_sleep = lambda: world.say(granted=1 if len(world.slept) < 3 else 2)
    assert world.run() is True
    assert len(world.slept) == 3
    assert [(word.get("word"), word.get("number")) for word in world.words()] == [
        ("waits", 1),
        ("back", 1),
        ("waits", 2),
        ("back", 2),
        (None, None),
    ]


def test_a_grant_that_does_not_come_in_the_invocation_leaves_the_checkpoint() -> None:
    world = waiting_world(lambda one: one.say(gave_back=1))
    assert world.run() is True
    assert (world.outcome.kind, world.outcome.checkpoint) == (OutcomeKind.YIELDED, {"asked": True})
    assert max(world.slept) == 2.0


def test_a_cancel_ends_the_wait_for_the_grant() -> None:
    world = waiting_world(lambda one: one.say(gave_back=1))
    world.on_sleep = lambda: world.say(order="cancel")
    assert world.run() is True
    assert (world.outcome.kind, len(world.slept)) == (OutcomeKind.CANCELLED, 1)


@pytest.mark.parametrize("caught", [True, False])
def test_an_error_in_the_block_comes_back_first_because_it_may_be_caught(caught: bool) -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            with ctx.waiting():
                world.say(gave_back=1)
                raise RuntimeError("the tool broke")
        except RuntimeError:
            if not caught:
                raise
        return {"granted": world.stored["granted"]}

    world = Waiting(work)
    world.on_sleep = lambda: world.say(granted=1)
    assert world.run() is True
    assert world.outcome.kind is (OutcomeKind.SUCCEEDED if caught else OutcomeKind.FAILED)
    assert world.slept == [0.2]


@pytest.mark.parametrize("inside", [lambda ctx: ctx.sleep(600), lambda ctx: ctx.waiting().__enter__()])
def test_what_gives_back_by_itself_has_no_place_in_the_block(inside: Any) -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        with ctx.waiting():
            inside(ctx)
        return {}

    world = Waiting(work)
    assert world.run() is True
    assert world.outcome.error is not None
    assert world.outcome.error.error_type == "ValueError"
    assert world.stored["waiting"] is False
