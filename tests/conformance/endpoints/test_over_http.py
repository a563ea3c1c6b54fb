"""What only agents outside Lambda can meet: answers that are lost, a worker's life, heartbeats that stay away."""

from typing import Any

import pytest

from pushlane.agent.context import TaskContext
from pushlane.agent.http import ApiRefused, HttpAgentRuntime, Worker
from pushlane.model.errors import StoreUnavailable
from pushlane.testing import InMemoryDispatcher
from tests.conformance.endpoints.http_api import WorldClock
from tests.conformance.endpoints.ways import ByPull


def echo(ctx: TaskContext, payload: Any) -> dict[str, Any]:
    ctx.checkpoint({"half": payload["n"]})
    return {"n": payload["n"], "attempt": ctx.attempt}


def a_worker(way: ByPull, **more: Any) -> Worker:
    runtime = HttpAgentRuntime(
        way.definition,
        way.api.transport(),
        clock=WorldClock(way.dispatcher.clock),
        heartbeats=lambda _store, _clock: way.dispatcher.heartbeats,
        log=way.dispatcher.log,
    )
    return Worker(runtime, way.api.transport(), "one", **more)


def submitted(way: ByPull, n: int = 1) -> str:
    task_id = way.dispatcher.submit(task_type="work", payload={"n": n}, retry={"max_attempts": 3, "backoff_seconds": 1})
    way.settle()
    return task_id


@pytest.mark.parametrize("lost_after", range(4))
def test_a_lost_answer_is_asked_for_again_and_nothing_happens_twice(lost_after: int) -> None:
    """The calls are claim, start, check-in and complete; the answer of one of them is lost, twice over."""
    done: list[int] = []

    def work(ctx: TaskContext, payload: Any) -> dict[str, Any]:
        done.append(ctx.attempt)
        return echo(ctx, payload)

    way = ByPull(InMemoryDispatcher(), work)
    task_id = submitted(way)
    way.api.lose_after = len(way.api.calls) + lost_after
    assert a_worker(way).work_once()
    way.settle()
    assert way.dispatcher.result(task_id) == {"n": 1, "attempt": 1}
    assert (done, way.dispatcher.used("one")) == ([1], 0)


def test_an_api_that_is_gone_costs_an_attempt_its_lease_and_the_task_nothing() -> None:
    way = ByPull(InMemoryDispatcher(), echo)
    task_id = submitted(way)
    [document] = way.arrivals()
    way.api.lose = 100
    with pytest.raises(StoreUnavailable):
        way.run(document)
    way.api.lose = 0
    way.dispatcher.advance(60)
    for again in way.arrivals():
        way.run(again)
    assert way.dispatcher.result(task_id)["n"] == 1


def test_a_worker_works_until_it_is_stopped_and_finishes_what_it_has() -> None:
    worker: list[Worker] = []
    done: list[int] = []

    def work(_ctx: TaskContext, payload: Any) -> dict[str, Any]:
        done.append(payload["n"])
        if len(done) == 3:
            worker[0].stop()
        return {"n": payload["n"]}

    way = ByPull(InMemoryDispatcher(), work)
    tasks = [submitted(way, n) for n in (1, 2, 3, 4)]
    worker.append(a_worker(way))
    worker[0].run()
    way.settle()
    ended = sorted(str(way.dispatcher.status(task_id)) for task_id in tasks)
    assert ended == ["PARKED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]


def test_a_worker_that_the_api_refuses_says_so() -> None:
    way = ByPull(InMemoryDispatcher(), echo)
    runtime = HttpAgentRuntime(way.definition, way.api.transport("producer"))
    with pytest.raises(ApiRefused) as refused:
        Worker(runtime, way.api.transport("producer"), "one").run()
    assert refused.value.status == 403
    with pytest.raises(ApiRefused):
        Worker(runtime, way.api.transport(), "nobody").run()


def test_an_agent_that_claims_no_more_and_sends_no_heartbeat_loses_its_work_to_others() -> None:
    way = ByPull(InMemoryDispatcher(), echo)
    registration = {"capabilities": ["work"], "slots": 2, "endpoint": {"kind": "pull"}, "heartbeat_seconds": 20}
    assert way.api.call("PUT", "/v1/agents/one", json=registration).status_code == 200
    task_id = submitted(way)
    [_document] = way.arrivals()
    way.dispatcher.register(None, agent_id="two", capabilities=("work",))
    way.dispatcher.advance(25)
    way.dispatcher.take("two").succeed({"by": "two"})
    way.settle()
    assert way.dispatcher.result(task_id) == {"by": "two"}
    assert way.api.call("GET", "/v1/agents/one").json()["status"] == "UNAVAILABLE"
