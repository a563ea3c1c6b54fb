"""What agents survive, on the emulated AWS: preemption, sleep, signals, cancellation, death and redrive, workflows."""

from typing import Any

import pytest

from pushlane.client import Workflow
from pushlane.model.task import Status
from tests.e2e.conftest import Deployed, eventually

pytestmark = pytest.mark.e2e

SLOTS = 4


def test_a_critical_task_runs_while_its_victim_yields_and_goes_on_where_it_was(deployed: Deployed) -> None:
    long = [
        deployed.client.submit({**_order(do="steps", steps=20, seconds=0.4), "tier": "background"}).task_id
        for _ in range(SLOTS)
    ]
    eventually(lambda: len(_running(deployed, long)) == SLOTS, "all slots are taken", 60)
    urgent = deployed.client.submit({**_order(do="echo"), "tier": "critical"})
    [record] = deployed.client.wait([urgent.task_id], timeout_seconds=60).values()
    assert record.status is Status.SUCCEEDED
    assert any(not one.at_rest for one in deployed.client.tasks(long).values())
    ended = deployed.client.wait(long, timeout_seconds=180)
    assert {one.status for one in ended.values()} == {Status.SUCCEEDED}
    results = [deployed.client.result(one) for one in ended.values()]
    assert all(one["steps"] == 20 for one in results)
    assert any(one["resumed_at"] > 0 for one in results)


def test_a_task_that_sleeps_holds_nothing_and_goes_on_at_its_time(deployed: Deployed) -> None:
    asleep = deployed.client.submit(_order(do="doze", seconds=4))
    eventually(lambda: _status(deployed, asleep.task_id) is Status.SUSPENDED, "it sleeps", 30)
    assert not [item for item in deployed.live_attempts() if item.key.sk == asleep.task_id]
    [record] = deployed.client.wait([asleep.task_id], timeout_seconds=60).values()
    assert (record.status, record.epoch) == (Status.SUCCEEDED, 2)


def test_a_task_that_asks_gets_its_answer(deployed: Deployed) -> None:
    asks = deployed.client.submit(_order(do="ask"))
    eventually(lambda: _status(deployed, asks.task_id) is Status.SUSPENDED, "it waits", 30)
    deployed.client.signal("atlas", asks.task_id, "answer", {"approved": True})
    [record] = deployed.client.wait([asks.task_id], timeout_seconds=60).values()
    assert deployed.client.result(record)["value"] == {"approved": True}


def test_a_running_task_that_is_cancelled_stops_and_a_waiting_one_never_runs(deployed: Deployed) -> None:
    running = deployed.client.submit(_order(do="steps", steps=100, seconds=0.3))
    asleep = deployed.client.submit(_order(do="doze", seconds=600))
    eventually(lambda: _running(deployed, [running.task_id]), "it runs", 30)
    eventually(lambda: _status(deployed, asleep.task_id) is Status.SUSPENDED, "it sleeps", 30)
    for one in (running, asleep):
        deployed.client.cancel("atlas", one.task_id, reason="not needed any more")
    ended = deployed.client.wait([running.task_id, asleep.task_id], timeout_seconds=60)
    assert {one.status for one in ended.values()} == {Status.CANCELLED}


def test_a_dead_letter_that_is_redriven_goes_on_where_it_was_and_counts_once(deployed: Deployed) -> None:
    """It fails after every step, so each attempt gets one step further."""
    retry = {"max_attempts": 2, "backoff_seconds": 0.2}
    dies = deployed.client.submit({**_order(do="raise-steps", steps=3), "retry": retry})
    [record] = deployed.client.wait([dies.task_id], timeout_seconds=60).values()
    assert (record.status, record.epoch) == (Status.DEAD_LETTERED, 2)
    deployed.client.redrive("atlas", dies.task_id)
    eventually(lambda: _status(deployed, dies.task_id) is Status.SUCCEEDED, "it succeeds after all", 60)
    assert deployed.client.task(dies.task_id).epoch == 4


def test_a_workflow_runs_in_order_and_hands_results_on(deployed: Deployed) -> None:
    flow = (
        Workflow("diamond", "atlas")
        .task("top", task_type="chaos", payload={"do": "echo", "value": 1})
        .task("left", task_type="chaos", payload={"do": "echo"}, after=["top"])
        .task("right", task_type="chaos", payload={"do": "steps", "steps": 2, "seconds": 0.2}, after=["top"])
        .task("bottom", task_type="chaos", payload={"do": "echo"}, after=["left", "right"])
    )
    submitted = deployed.client.submit_workflow(flow)
    ended = deployed.client.wait_workflow(submitted.workflow_id, timeout_seconds=90)
    assert (ended.status, ended.counts.succeeded) == ("SUCCEEDED", 4)
    nodes = deployed.client.tasks(submitted.task_ids.values())
    bottom = nodes[submitted.task_ids["bottom"]].started_at_ms
    assert bottom is not None
    assert all((nodes[submitted.task_ids[name]].finished_at_ms or bottom) <= bottom for name in ("left", "right"))
    eventually(deployed.nothing_is_held, "every slot is free again", 30)


def _order(**payload: Any) -> dict[str, Any]:
    return {"tenant_id": "atlas", "task_type": "chaos", "payload": payload, "estimate": {"runtime_seconds": 5}}


def _status(deployed: Deployed, task_id: str) -> Status | None:
    record = deployed.client.tasks([task_id]).get(task_id)
    return None if record is None else record.status


def _running(deployed: Deployed, task_ids: list[str]) -> list[str]:
    started = {item.key.sk for item in deployed.live_attempts() if "runner" in item.attributes}
    return [one for one in task_ids if one in started]
