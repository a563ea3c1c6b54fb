"""The author's test kit: what it plays, what it tells, and where it gives up."""

from collections.abc import Mapping
from typing import Any

import pytest

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.model.attempt import OutcomeKind
from pushlane.testing import EndlessRun, run_agent


def any_agent(work: Any) -> Any:
    return agent(task_types=("any",))(work)


def test_everything_that_an_agent_says_is_told() -> None:
    def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Any:
        ctx.log("began", page=1)
        ctx.progress(0.5)
        ctx.used(tokens=9)
        yield {"page": 1}
        ctx.emit("done", {"page": 1})
        return {"got": payload["a"]}

    heard: list[tuple[str, Any]] = []
    run = run_agent(any_agent(work), {"a": 1}, listen=lambda kind, said: heard.append((kind, said)))
    assert (run.kind, run.result, run.error, run.usage.tokens) == (OutcomeKind.SUCCEEDED, {"got": 1}, None, 9)
    assert (run.progress, run.checkpoints) == (({"fraction": 0.5},), ({"page": 1},))
    assert [one.kind for one in run.emits] == ["progress", "done"]
    assert [kind for kind, _ in heard] == ["log: began", "progress", "checkpoint", "done", "log: attempt"]


def test_a_failure_is_told_and_not_tried_again() -> None:
    def work(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise Permanent("no")

    run = run_agent(any_agent(work))
    assert run.error is not None
    assert (run.kind, run.error.message, run.invocations) == (OutcomeKind.FAILED, "no", 1)


def test_an_agent_that_never_ends_is_given_up() -> None:
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        while True:
            ctx.sleep(60)
            yield {"again": True}

    with pytest.raises(EndlessRun, match="not over after 5 invocations"):
        run_agent(any_agent(work), invocations_max=5)


def test_a_large_result_is_given_back_whole() -> None:
    assert run_agent(any_agent(lambda _ctx, _payload: {"a": "x" * 70_000})).result == {"a": "x" * 70_000}
