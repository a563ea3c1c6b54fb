"""What the author's function may ask and say while it works, and what becomes of it."""

from collections.abc import Mapping
from typing import Any

from pushlane.agent import AttemptLost, TaskContext
from pushlane.agent.lease import LEASE_GRACE_MS
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from tests.unit.agent.worlds import REMAINING_MS, World

LEASE_MS = 30_000


def test_the_lease_is_extended_by_a_check_in_and_never_outlasts_the_invocation_by_much() -> None:
    leases: list[int] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        leases.append(world.stored["lease_until_ms"])
        for seconds in (10, 40):
            world.dispatcher.clock.advance(seconds * 1_000)
            ctx.check_in(checkpoint={"page": 3}, progress=0.5)
            leases.append(world.stored["lease_until_ms"])
        assert (world.stored["checkpoint"], world.stored["progress"]) == ('{"page":3}', "0.5")
        return {}

    world = World(work)
    begins_ms = world.dispatcher.clock.now_ms()
    assert world.run() is True
    ends_ms = begins_ms + REMAINING_MS + LEASE_GRACE_MS
    assert leases == [begins_ms + LEASE_MS, begins_ms + 10_000 + LEASE_MS, ends_ms]


def test_a_check_in_without_news_keeps_the_last_one() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.check_in(progress="half")
        ctx.check_in()
        return {"progress": world.stored["progress"]}

    world = World(work)
    world.run()
    assert world.complete() == {"progress": '"half"'}


def test_a_check_in_of_a_reclaimed_attempt_says_that_it_is_lost() -> None:
    lost: list[AttemptLost] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.attempt > 1:
            return {"attempt": ctx.attempt}
        ctx.check_in()
        world.dispatcher.advance(REMAINING_MS / 1_000 + 20)
        try:
            ctx.check_in()
        except AttemptLost as error:
            lost.append(error)
            raise
        return {"attempt": "zombie"}

    world = World(work)
    assert world.run() is False
    assert [str(error) for error in lost] == [f"attempt 1 of {world.task_id} is not current any more"]
    assert world.complete() == {"attempt": 2}
    assert "not-finished" in world.events
    stale = [fact for fact in world.dispatcher.facts if fact.metadata.name is FactName.RESULT_STALE]
    assert stale == []


def test_the_time_that_remains_runs_down_to_zero() -> None:
    seen: list[float] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        for by_ms in (0, 1_500, REMAINING_MS):
            world.dispatcher.clock.advance(by_ms)
            seen.append(ctx.remaining_seconds())
        return {}

    world = World(work)
    world.run()
    assert seen == [60.0, 58.5, 0.0]
    assert world.outcome.finished_at_ms - world.outcome.started_at_ms == 61_500


def test_the_author_knows_the_task_and_its_log_lines_name_it() -> None:
    seen: list[tuple[Any, ...]] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.log("half way", page=3)
        seen.append((ctx.task_id, ctx.tenant_id, ctx.task_type, ctx.attempt, ctx.deadline_ms))
        return {}

    world = World(work, deadline_ms=99)
    world.run()
    assert seen == [(world.task_id, "atlas", "echo", 1, 99)]
    trace_id = digest("trace", world.task_id)
    fields = {"task_id": world.task_id, "tenant_id": "atlas", "epoch": 1, "trace_id": trace_id, "page": 3}
    assert ("half way", fields) in world.dispatcher.logged


def test_an_agent_can_be_called_like_the_function_that_it_is() -> None:
    world = World(lambda _ctx, payload: {"got": payload["n"]})
    context: Any = None
    assert world.definition(context, {"n": 1}) == {"got": 1}
