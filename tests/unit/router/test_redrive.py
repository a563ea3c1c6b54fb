"""Dead-lettered tasks: kept with their history, brought back as the same task, given up for good."""

from typing import Any

import msgspec
import pytest

from pushlane.client.why import why
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName, HeldRecord
from pushlane.model.task import Door
from pushlane.ports import Message, Table
from pushlane.router.redrive import redrive, redrive_due
from pushlane.state.items import number, text
from pushlane.state.keys import delayed_pk
from pushlane.testing.deliveries import HELD
from tests.unit.router.dead import Broken


def stored(world: Broken, task_id: str) -> dict[str, Any]:
    found = world.dispatcher.task(task_id)
    assert found is not None
    return dict(found)


def test_a_task_whose_retries_are_used_up_is_dead_with_payload_error_and_history() -> None:
    world = Broken()
    task_id = world.dispatcher.submit(payload={"n": 1}, retry={"max_attempts": 2, "backoff_seconds": 1})
    world.dispatcher.advance(10)
    found = stored(world, task_id)
    assert text(found, "status") == "DEAD_LETTERED"
    assert "the provider is down" in text(found, "error")
    history = [msgspec.json.decode(text(found, f"error_{epoch}")) for epoch in (1, 2)]
    assert [one["epoch"] for one in history] == [1, 2]
    assert [one.task_id for one in world.graves()] == [task_id]
    assert "expires_at_s" not in found
    assert len(world.dispatcher.facts_of(FactName.TASK_DEAD_LETTERED, task_id)) == 1


def test_a_redriven_task_is_the_same_task_with_its_retries_from_the_beginning_and_succeeds_once() -> None:
    world = Broken()
    task_id = world.dead(payload={"n": 1})
    world.broken = False
    world.say("RedriveTask", task_id)
    assert world.dispatcher.result(task_id) == {"said": {"n": 1}}
    assert number(stored(world, task_id), "redrives") == 1
    assert number(stored(world, task_id), "epoch") == 2
    assert world.graves() == []
    assert len(world.dispatcher.facts_of(FactName.TASK_SUCCEEDED, task_id)) == 1
    assert [fact.data.code for fact in world.dispatcher.facts_of(FactName.TASK_RETRYING, task_id)] == ["redriven"]
    assert world.dispatcher.used("one") == 0


def test_why_says_that_it_is_dead_and_what_can_be_done() -> None:
    world = Broken()
    task_id = world.dead()
    said = why(world.dispatcher.store, task_id, world.dispatcher.clock.now_ms())
    assert said.explanation.startswith("its retries are used up after ValueError: the provider is down")
    assert f"pushlane dlq redrive {task_id}" in said.explanation
    assert said.ended_at_ms == world.dispatcher.clock.now_ms()


def test_what_fails_again_is_dead_again_with_the_whole_history() -> None:
    world = Broken()
    task_id = world.dead(retry={"max_attempts": 1})
    world.dispatcher.advance(60)
    world.say("RedriveTask", task_id)
    found = stored(world, task_id)
    assert text(found, "status") == "DEAD_LETTERED"
    assert {"error_1", "error_2"} <= found.keys()
    (grave,) = world.graves()
    assert grave.died_at_ms == number(found, "ended_at_ms") == world.dispatcher.clock.now_ms()


def test_a_command_that_comes_back_through_the_held_queue_is_obeyed() -> None:
    """As one does that was refused, and is redriven from quarantine."""
    world = Broken()
    task_id = world.dead()
    world.broken = False
    envelope = {"metadata": {"name": "RedriveTask", "version": 1}, "data": {"tenant_id": "atlas", "task_id": task_id}}
    held = HeldRecord(door=Door.SQS, source_id="m-1", body=msgspec.Raw(msgspec.json.encode(envelope)))
    world.dispatcher.sender.send(HELD, [Message(msgspec.json.encode(held).decode())])
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.dispatcher.quarantined() == []


def test_a_redrive_goes_through_admission() -> None:
    """No agent has room: it waits in its lane like any other."""
    world = Broken()
    task_id = world.dead()
    world.dispatcher.register(None, agent_id="one", slots=4, capabilities=("other",))
    world.say("RedriveTask", task_id)
    assert world.dispatcher.status(task_id) == "PARKED"
    assert world.dispatcher.waiting() == 1


def test_a_redrive_delivered_again_changes_nothing() -> None:
    world = Broken()
    task_id = world.dead()
    world.broken = False
    for _ in range(3):
        world.say("RedriveTask", task_id)
    assert world.runs == [task_id, task_id]
    assert number(stored(world, task_id), "redrives") == 1
    assert world.dispatcher.quarantined() == []


def test_a_redrive_means_the_death_that_it_names() -> None:
    world = Broken()
    task_id = world.dead()
    world.say("RedriveTask", task_id, epoch=1)
    assert number(stored(world, task_id), "epoch") == 2
    world.say("RedriveTask", task_id, epoch=1)  # the same command again, after it has died once more
    assert number(stored(world, task_id), "epoch") == 2
    assert number(stored(world, task_id), "redrives") == 1


@pytest.mark.parametrize("name", ["RedriveTask", "DiscardTask"])
def test_another_tenants_task_is_unknown(name: str) -> None:
    world = Broken()
    task_id = world.dead()
    world.say(name, task_id, tenant_id="birch")
    (refused,) = world.dispatcher.quarantined()
    assert (refused["code"], refused["field"]) == ("unknown_task", "$.data.task_id")
    assert world.dispatcher.status(task_id) == "DEAD_LETTERED"


def test_a_discarded_task_has_failed_and_says_why() -> None:
    world = Broken()
    task_id = world.dead()
    world.say("DiscardTask", task_id, reason="the customer is gone")
    found = stored(world, task_id)
    assert text(found, "status") == "FAILED"
    error = msgspec.json.decode(text(found, "error"))
    assert error["error_type"] == "Discarded"
    assert error["message"].startswith("the customer is gone; it had died of ")
    assert "the provider is down" in error["message"]
    assert "expires_at_s" in found
    assert world.graves() == []
    assert len(world.dispatcher.facts_of(FactName.TASK_FAILED, task_id)) == 1


def test_who_waits_for_a_dead_task_hears_of_its_end_and_not_before() -> None:
    """Its parent, to which it is attached, gets a signal when it is given up."""
    world = Broken()
    parent_id = world.dispatcher.submit(task_type="other", payload={"n": "parent"})
    child_id = world.dead(parent={"task_id": parent_id, "attached": True})
    assert "signals" not in stored(world, parent_id)
    world.say("DiscardTask", child_id)
    assert number(stored(world, parent_id), "signals") == 1
    delayed = world.dispatcher.store.query(Table.SCHEDULER, delayed_pk("default"), limit=10)
    assert not [item for item in delayed if child_id in item.key.sk]


def test_a_dead_task_can_be_cancelled() -> None:
    world = Broken()
    task_id = world.dead()
    world.say("CancelTask", task_id, reason="no longer wanted")
    assert world.dispatcher.status(task_id) == "CANCELLED"
    assert world.graves() == []


def test_what_is_not_dead_stays_as_it_is() -> None:
    world = Broken()
    world.broken = False
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    world.say("RedriveTask", task_id)
    world.say("DiscardTask", task_id)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"
    assert world.runs == [task_id]


def test_who_dies_after_the_transaction_leaves_the_rest_to_the_next_sweep() -> None:
    world = Broken()
    task_id = world.dead()
    world.broken = False
    dying = msgspec.structs.replace(world.dispatcher.turn, store=_DiesAfterTransaction(world.dispatcher.store))
    with pytest.raises(StoreUnavailable):
        redrive(dying, world.dispatcher.pusher, "atlas", task_id)
    assert world.dispatcher.status(task_id) == "RETRYING"
    world.dispatcher.advance_with_sweeps(1)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"


class _DiesAfterTransaction:
    """A store that is gone once a transaction was applied."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._gone = False

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if self._gone:
                raise StoreUnavailable("gone")
            self._gone = name == "transact"
            return getattr(self._store, name)(*arguments, **named)

        return call


# The pool's policy brings back by itself.


def rule(**changes: Any) -> dict[str, Any]:
    return {"pools": {"default": {"redrive": {"after_seconds": 300, "max_times": 2, "per_minute": 6, **changes}}}}


def test_without_a_rule_an_operator_decides() -> None:
    world = Broken()
    task_id = world.dead()
    world.broken = False
    world.dispatcher.advance_with_sweeps(30)
    assert world.dispatcher.status(task_id) == "DEAD_LETTERED"


def test_a_dead_task_goes_back_when_its_time_has_come() -> None:
    world = Broken()
    world.dispatcher.set_policy(**rule())
    task_id = world.dead()
    world.broken = False
    world.dispatcher.advance_with_sweeps(4)
    assert world.dispatcher.status(task_id) == "DEAD_LETTERED"
    world.dispatcher.advance_with_sweeps(2)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"


def test_it_goes_back_so_often_and_then_waits_for_an_operator() -> None:
    world = Broken()
    world.dispatcher.set_policy(**rule(after_seconds=60))
    task_id = world.dead()
    world.dispatcher.advance_with_sweeps(30)
    assert number(stored(world, task_id), "redrives") == 2
    assert world.runs == [task_id] * 3
    assert [one.task_id for one in world.graves()] == [task_id]


def test_no_more_go_back_in_a_minute_than_the_rule_says_and_not_all_at_once() -> None:
    world = Broken()
    for number_ in range(20):
        world.dead(payload={"n": number_})
    world.dispatcher.set_policy(**rule(after_seconds=0, max_times=1))
    world.broken = False
    before = len(world.runs)
    per_minute: list[int] = []
    for _ in range(4):
        world.dispatcher.sweep()
        world.dispatcher.run_until_idle()
        assert len(world.runs) - before - sum(per_minute) <= 2  # the others come later in the minute
        world.dispatcher.advance(60)
        per_minute.append(len(world.runs) - before - sum(per_minute))
    assert per_minute == [6, 6, 6, 2]
    assert world.graves() == []


def test_two_sweeps_in_one_minute_take_it_once() -> None:
    world = Broken()
    for number_ in range(12):
        world.dead(payload={"n": number_})
    world.dispatcher.set_policy(**rule(after_seconds=0))
    assert [redrive_due(world.dispatcher.turn, "default") for _ in range(3)] == [6, 0, 0]


def test_those_that_have_used_up_their_times_do_not_stand_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.router.redrive._WINDOW_MAX", 2)
    monkeypatch.setattr("pushlane.router.redrive._WINDOWS_MAX", 2)
    world = Broken()
    world.dispatcher.set_policy(**rule(after_seconds=0, max_times=1, per_minute=6))
    worn = [world.dead(payload={"n": n}) for n in range(6)]
    world.dispatcher.advance_with_sweeps(3)
    assert {number(stored(world, task_id), "redrives") for task_id in worn} == {1}
    fresh = world.dead(payload={"n": "fresh"})
    world.broken = False
    world.dispatcher.advance_with_sweeps(3)
    assert world.dispatcher.status(fresh) == "SUCCEEDED"
    assert {world.dispatcher.status(task_id) for task_id in worn} == {"DEAD_LETTERED"}


def test_a_raised_limit_brings_back_what_had_used_up_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.router.redrive._WINDOW_MAX", 2)
    world = Broken()
    world.dispatcher.set_policy(**rule(after_seconds=0, max_times=1))
    task_id = world.dead()
    world.dispatcher.advance_with_sweeps(3)
    world.broken = False
    world.dispatcher.set_policy(**rule(after_seconds=0, max_times=2))
    world.dispatcher.advance_with_sweeps(3)
    assert world.dispatcher.status(task_id) == "SUCCEEDED"


def test_who_dies_in_the_middle_of_a_minute_leaves_the_others_to_the_next() -> None:
    world = Broken()
    world.dispatcher.set_policy(**rule(after_seconds=0))
    task_ids = [world.dead(payload={"n": n}) for n in range(3)]
    world.broken = False
    dying = msgspec.structs.replace(world.dispatcher.turn, store=_DiesAfterTransaction(world.dispatcher.store))
    with pytest.raises(StoreUnavailable):
        redrive_due(dying, "default")
    assert len(world.graves()) == 2
    world.dispatcher.advance_with_sweeps(2)
    assert {world.dispatcher.status(task_id) for task_id in task_ids} == {"SUCCEEDED"}
