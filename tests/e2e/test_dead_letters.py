"""Dead letters on a deployed Pushlane: tasks that died, refused submissions, messages that nobody could handle."""

import json
import time
from uuid import uuid4

import pytest

from pushlane.client.dead_messages import DeadMessages
from pushlane.client.dead_orders import order_all, wait_for
from pushlane.client.dead_tasks import DeadTasks, Wanted
from pushlane.client.pace import Pace
from pushlane.client.tenants import add_tenant
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Status
from tests.e2e.conftest import Deployed, eventually

pytestmark = pytest.mark.e2e


def test_dead_tasks_are_redriven_as_the_same_tasks_and_succeed(deployed: Deployed) -> None:
    """Each fails its first attempt, which is its only one, and succeeds in the second, which a redrive gives it."""
    work = {"tenant_id": "atlas", "task_type": "chaos", "payload": {"do": "raise", "times": 1}}
    batch = deployed.client.submit_many([{**work, "retry": {"max_attempts": 1}} for _ in range(5)])
    task_ids = {one.task_id for one in batch.accepted}
    eventually(lambda: _all(deployed, task_ids, Status.DEAD_LETTERED), "all are dead", 60)
    dead = [one for one in DeadTasks(deployed.store).find(Wanted(tenant_id="atlas")) if one.task_id in task_ids]
    assert len(dead) == 5
    assert all(len(one.history) == 1 for one in dead)
    ordered = order_all(
        dead,
        lambda one: deployed.client.redrive(one.tenant_id, one.task_id, epoch=one.epoch, door="eventbridge"),
        limit=None,
        pace=Pace(50),
        told=lambda _count: None,
    )
    became = wait_for(deployed.client, ordered, timeout_seconds=60, monotonic=time.monotonic, sleep=time.sleep)
    assert {one.task_id: one.status for one in became} == dict.fromkeys(task_ids, "SUCCEEDED")
    assert not [one for one in DeadTasks(deployed.store).find(Wanted()) if one.task_id in task_ids]


def test_what_was_refused_goes_in_again_once_its_tenant_is_there(deployed: Deployed) -> None:
    tenant_id, key = f"late-{uuid4().hex[:8]}", uuid4().hex
    deployed.client.submit(
        {"tenant_id": tenant_id, "task_type": "chaos", "payload": {"do": "echo"}, "idempotency_key": key}, door="sns"
    )
    messages = DeadMessages(deployed.installation, deployed.aws)
    eventually(lambda: any(key in one.body for one in messages.peek("quarantine", 100)), "it is in quarantine")
    add_tenant(deployed.store, tenant_id, time.time_ns() // 1_000_000)
    time.sleep(1.5)  # routers look at the tenants once a second
    messages.redrive("quarantine", None, Pace(50), lambda _count: None)
    task_id = keyed_task_id(tenant_id, key)
    [record] = deployed.client.wait([task_id], timeout_seconds=60).values()
    assert (record.status, record.door) == (Status.SUCCEEDED, "sns")


def test_a_dead_message_goes_back_to_the_queue_that_it_came_from(deployed: Deployed) -> None:
    """A submission as it would lie there when the router had failed five times."""
    key = uuid4().hex
    data = {"tenant_id": "atlas", "task_type": "chaos", "payload": {"do": "echo"}, "idempotency_key": key}
    envelope = {"metadata": {"name": "SubmitTask", "version": 1}, "data": data}
    messages = DeadMessages(deployed.installation, deployed.aws)
    deployed.aws.sqs.send_message(QueueUrl=messages.place("intake").url, MessageBody=json.dumps(envelope))
    assert next(one for one in messages.queues() if one.name == "intake").waiting == 1
    assert messages.redrive("intake", None, Pace(50), lambda _count: None).moved == 1
    [record] = deployed.client.wait([keyed_task_id("atlas", key)], timeout_seconds=60).values()
    assert record.status is Status.SUCCEEDED


def test_every_dead_letter_queue_has_a_name_and_is_there(deployed: Deployed) -> None:
    found = DeadMessages(deployed.installation, deployed.aws).queues()
    names = {one.name for one in found}
    assert {"intake", "undelivered", "held", "results", "wakeups", "quarantine", "stream", "agent/chaos"} <= names


def _all(deployed: Deployed, task_ids: set[str], status: Status) -> bool:
    found = deployed.client.tasks(task_ids)
    return len(found) == len(task_ids) and all(one.status is status for one in found.values())
