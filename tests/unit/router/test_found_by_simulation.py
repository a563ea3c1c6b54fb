"""What the simulation of the handlers has found (`docs/reliability.md`), each in its smallest form."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.ports import Message, Update
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE, WAKEUPS
from pushlane.testing.dispatcher import START_MS
from pushlane.testing.events import submit_envelope


@agent(task_types=("echo",))
def sleeps(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    ctx.sleep(10)
    return {}


def test_a_sleep_and_a_hard_deadline_that_are_over_by_the_same_look_do_not_stop_the_pool() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(sleeps, agent_id="one", slots=2)
    hard = {"deadline_kind": "hard", "deadline_ms": START_MS + 20_000, "estimate": {"runtime_seconds": 5.0}}
    late, other = dispatcher.submit(**hard), dispatcher.submit()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(late, other) == ["SUSPENDED", "SUSPENDED"]
    dispatcher.clock.advance(60_000)
    dispatcher.sender.drain(WAKEUPS)  # none of them came in time
    assert dispatcher.sweep().failed == ()
    dispatcher.run_until_idle()
    assert dispatcher.statuses(late, other) == ["EXPIRED", "SUCCEEDED"]


def test_the_same_key_twice_in_a_batch_is_refused_twice_when_the_lane_is_full() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.set_policy(pools={"default": {"lane_max": 1}})
    dispatcher.submit()
    dispatcher.run_until_idle()
    for message_id in ("first", "second"):
        said = {"id": message_id, "envelope": submit_envelope(idempotency_key="same")}
        dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(said).decode())])
    dispatcher.router = dispatcher.new_router()
    dispatcher.run_until_idle()
    assert sorted(str(one["source_id"]) for one in dispatcher.quarantined()) == ["first", "second"]


def test_a_task_that_an_older_version_has_parked_can_be_cancelled() -> None:
    dispatcher = InMemoryDispatcher()
    task_id = dispatcher.submit()
    dispatcher.run_until_idle()
    dispatcher.store.write(Update(keys.task_key(task_id), remove=("waits_at",)))
    said = {"metadata": {"name": "CancelTask", "version": 1}, "data": {"tenant_id": "atlas", "task_id": task_id}}
    dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode({"id": "cancel", "envelope": said}).decode())])
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "CANCELLED"
