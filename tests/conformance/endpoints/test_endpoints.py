"""One contract for every kind of endpoint: what an agent may rely on, however its dispatches reach it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushlane.agent.context import TaskContext
from pushlane.model.endpoint import DISPATCH_BYTES_MAX
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.testing import InMemoryDispatcher
from tests.conformance.endpoints.ways import WAYS, Way, Work

LEASE_SECONDS = 30


@pytest.fixture(params=sorted(WAYS))
def made(request: pytest.FixtureRequest) -> Callable[[Work], Way]:
    """Makes the agent of a test, by the name of its endpoint's kind."""
    return lambda work: WAYS[request.param](InMemoryDispatcher(), work)


class Runs:
    """What the agent's function was called with, and did."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, Any]] = []

    def __call__(self, ctx: TaskContext, payload: Any) -> dict[str, Any]:
        self.seen.append((ctx.attempt, payload))
        return {"echo": payload["n"], "attempt": ctx.attempt}


def submitted(way: Way, n: int = 1, **more: Any) -> str:
    task_id = way.dispatcher.submit(task_type="work", payload={"n": n}, **more)
    way.settle()
    return task_id


def only(way: Way) -> bytes:
    [document] = way.arrivals()
    return document


def test_a_task_reaches_the_agent_once_and_its_result_comes_back(made: Callable[[Work], Way]) -> None:
    runs = Runs()
    way = made(runs)
    task_id = submitted(way)
    document = only(way)
    assert way.arrivals() == []
    assert way.run(document)
    assert way.dispatcher.result(task_id) == {"echo": 1, "attempt": 1}
    assert (runs.seen, way.dispatcher.used("one")) == ([(1, {"n": 1})], 0)


def test_a_dispatch_that_comes_twice_is_run_once(made: Callable[[Work], Way]) -> None:
    runs = Runs()
    way = made(runs)
    submitted(way)
    document = only(way)
    assert (way.run(document), way.run(document)) == (True, False)
    assert len(runs.seen) == 1


def test_a_dispatch_that_comes_again_while_it_runs_changes_nothing(made: Callable[[Work], Way]) -> None:
    ran: list[bool] = []

    def work(_ctx: TaskContext, payload: Any) -> dict[str, Any]:
        ran.append(way.run(document))
        return {"echo": payload["n"]}

    way = made(work)
    task_id = submitted(way)
    document = only(way)
    assert way.run(document)
    assert ran == [False]
    assert way.dispatcher.result(task_id) == {"echo": 1}


def test_what_was_lost_on_the_way_arrives_after_the_start_lease(made: Callable[[Work], Way]) -> None:
    way = made(Runs())
    task_id = submitted(way)
    way.lose()
    assert way.arrivals() == []
    way.dispatcher.advance(START_LEASE_MS / 1_000 + 1)
    assert way.run(only(way))
    assert way.dispatcher.result(task_id) == {"echo": 1, "attempt": 1}


def test_a_draining_agent_gets_nothing_new_and_finishes_what_it_has(made: Callable[[Work], Way]) -> None:
    way = made(Runs())
    first = submitted(way, 1)
    document = only(way)
    assert way.api.call("POST", "/v1/agents/one/drain", "admin").status_code == 200
    second = submitted(way, 2)
    assert way.arrivals() == []
    assert way.run(document)
    assert (way.dispatcher.status(first), way.dispatcher.status(second)) == ("SUCCEEDED", "PARKED")
    assert way.arrivals() == []


def test_the_next_attempt_goes_on_from_the_checkpoint(made: Callable[[Work], Way]) -> None:
    def work(ctx: TaskContext, _payload: Any) -> dict[str, Any]:
        if ctx.restored is None:
            ctx.checkpoint({"pages": 7})
            raise RuntimeError("after the checkpoint")
        return {"from": dict(ctx.restored)}

    way = made(work)
    task_id = submitted(way, retry={"max_attempts": 2, "backoff_seconds": 1})
    assert way.run(only(way))
    way.dispatcher.advance(5)
    assert way.run(only(way))
    assert way.dispatcher.result(task_id) == {"from": {"pages": 7}}


def test_an_attempt_that_was_given_up_changes_nothing_any_more(made: Callable[[Work], Way]) -> None:
    said: list[bool] = []

    def work(ctx: TaskContext, _payload: Any) -> dict[str, Any]:
        if ctx.attempt == 1:
            way.dies(ctx.task_id)
            way.dispatcher.advance(LEASE_SECONDS + 10)
            [again] = way.arrivals()
            said.append(way.run(again))
        return {"attempt": ctx.attempt}

    way = made(work)
    task_id = submitted(way, retry={"max_attempts": 3, "backoff_seconds": 1})
    assert not way.run(only(way))
    assert said == [True]
    assert way.dispatcher.result(task_id) == {"attempt": 2}
    assert way.dispatcher.used("one") == 0


def test_a_death_without_a_word_is_found_by_its_lease(made: Callable[[Work], Way]) -> None:
    class Killed(BaseException):
        """The process is gone: no `except` of the runtime hears of it."""

    def work(ctx: TaskContext, payload: Any) -> dict[str, Any]:
        if ctx.attempt == 1:
            raise Killed
        return {"echo": payload["n"]}

    way = made(work)
    task_id = submitted(way, retry={"max_attempts": 2, "backoff_seconds": 1})
    with pytest.raises(Killed):
        way.run(only(way))
    assert way.arrivals() == []
    way.dispatcher.advance(LEASE_SECONDS + 10)
    assert way.run(only(way))
    assert way.dispatcher.result(task_id) == {"echo": 1}


def test_what_is_too_large_for_the_endpoint_comes_by_claim_check(
    made: Callable[[Work], Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit that a task's signals can pass."""
    told: list[int] = []

    def work(ctx: TaskContext, _payload: Any) -> dict[str, Any]:
        if ctx.attempt == 1:
            ctx.wait_for_signal("go")
        told.append(len(ctx.signals))
        return {}

    way = made(work)
    task_id = submitted(way)
    assert way.run(only(way))
    monkeypatch.setitem(DISPATCH_BYTES_MAX, way.kind, 100_000)
    count = 100_000 // 15_000 + 1
    for n in range(1, count + 1):
        data = {"tenant_id": "atlas", "task_id": task_id, "name": "note", "data": {"text": "x" * 15_000}}
        sent = {**data, "signal_id": f"s-{n}", "name": "go" if n == count else "note"}
        way.dispatcher.send({"metadata": {"name": "SignalTask", "version": 1}, "data": sent})
    document = only(way)
    assert len(document) < 10_000 < DISPATCH_BYTES_MAX[way.kind]
    assert "whole" in msgspec.json.decode(document)
    assert way.run(document)
    assert told == [count]
    assert way.dispatcher.status(task_id) == "SUCCEEDED"


def test_a_large_result_and_a_child_come_the_same_way(made: Callable[[Work], Way]) -> None:
    def work(ctx: TaskContext, payload: Any) -> dict[str, Any]:
        if payload["n"] == 1:
            return {"child": ctx.submit("work", {"n": 2}, key="half").result()["text"][:3]}
        ctx.emit("said", {"n": payload["n"]})
        ctx.progress(0.5)
        return {"text": "y" * 100_000}

    way = made(work)
    task_id = submitted(way)
    for _ in range(3):
        for document in way.arrivals():
            way.run(document)
        way.dispatcher.advance(1)
    assert way.dispatcher.result(task_id) == {"child": "yyy"}
