"""Each committed change and the facts it amounts to: their names, their ids, and how they go out."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from pushlane.model.attempt import ErrorDetail, OutcomeKind
from pushlane.model.events import Fact, FactName
from pushlane.model.ids import digest
from pushlane.model.task import TRANSITIONS, Status, Task, Tier
from pushlane.model.trace_context import task_trace
from pushlane.ports import Attributes, Change, Key, Table
from pushlane.router.facts import ANNOUNCED, facts_of, published
from pushlane.state import keys
from pushlane.state.items import error_attributes, new_attempt_attributes, new_task_attributes, outcome_attributes
from tests.unit.values import NOW, POOL, a_task, an_attempt, an_outcome

TASK = a_task(
    tier=Tier.HIGH, labels={"kind": "x"}, correlation_id="c", traceparent="t", depth=2, payload={"secret": "payload"}
)
PLACED: dict[str, Any] = {"agent_id": "one", "dispatched_at_ms": NOW + 1}
ENDED: dict[str, Any] = {**PLACED, "started_at_ms": NOW + 2, "finished_at_ms": NOW + 3, "ended_at_ms": NOW + 4}
ERROR = error_attributes(ErrorDetail(error_type="Boom", message="it broke"))

AFTER: dict[Status, dict[str, Any]] = {
    Status.PARKED: {"park_reason": "capacity", "changed_at_ms": NOW + 5},
    Status.DISPATCHED: PLACED,
    Status.RETRYING: {**ENDED, **ERROR, "due_ms": NOW + 9, "changed_at_ms": NOW + 6},
    Status.SUCCEEDED: {**ENDED, "result": '{"said":"hello"}'},
    Status.FAILED: {**ENDED, **ERROR},
    Status.EXPIRED: {"ended_at_ms": NOW + 4, **ERROR},
    Status.CANCELLED: {"ended_at_ms": NOW + 4, **ERROR},
    Status.DEAD_LETTERED: {**ENDED, **ERROR},
    Status.BLOCKED: {"changed_at_ms": NOW + 7},
    Status.WAITING: {**PLACED, "changed_at_ms": NOW + 7},
    Status.SUSPENDED: {**PLACED, "changed_at_ms": NOW + 7, "awaits": "approval"},
}
NAMES = {
    Status.PARKED: FactName.TASK_PARKED,
    Status.DISPATCHED: FactName.TASK_DISPATCHED,
    Status.RETRYING: FactName.TASK_RETRYING,
    Status.SUCCEEDED: FactName.TASK_SUCCEEDED,
    Status.FAILED: FactName.TASK_FAILED,
    Status.EXPIRED: FactName.TASK_EXPIRED,
    Status.CANCELLED: FactName.TASK_CANCELLED,
    Status.DEAD_LETTERED: FactName.TASK_DEAD_LETTERED,
    Status.BLOCKED: FactName.TASK_BLOCKED,
    Status.WAITING: FactName.TASK_WAITING,
    Status.SUSPENDED: FactName.TASK_SUSPENDED,
}
BROKEN = (Status.RETRYING, Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.DEAD_LETTERED)


def stored(status: Status, epoch: int = 1, task: Task = TASK) -> Attributes:
    return {**new_task_attributes(task, status, epoch), **AFTER[status]}


def change(old: Attributes | None, new: Attributes | None) -> Change:
    return Change(keys.task_key(TASK.task_id), old, new)


def names(facts: list[Fact]) -> list[FactName]:
    return [fact.metadata.name for fact in facts]


@pytest.mark.parametrize("status", [Status.PARKED, Status.DISPATCHED, Status.EXPIRED, Status.BLOCKED])
def test_a_new_task_is_accepted_and_then_whatever_it_became(status: Status) -> None:
    facts = facts_of(change(None, stored(status)))
    assert names(facts) == [FactName.TASK_ACCEPTED, NAMES[status]]
    assert facts[0].metadata.occurred_at_ms == TASK.accepted_at_ms


STEPS = [(before, after) for before, to in TRANSITIONS.items() for after in sorted(to)]


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_every_transition_of_the_state_machine_is_one_fact(before: Status, after: Status) -> None:
    epoch = 2 if after is Status.DISPATCHED else 1
    [fact] = facts_of(change(stored(before), stored(after, epoch)))
    assert fact.metadata.name is NAMES[after]
    data = fact.data
    assert (data.tenant_id, data.task_id, data.task_type, data.tier, data.pool, data.epoch) == (
        TASK.tenant_id,
        TASK.task_id,
        TASK.task_type,
        Tier.HIGH,
        POOL,
        epoch,
    )
    assert (data.labels, data.door, data.accepted_at_ms) == ({"kind": "x"}, "sqs", TASK.accepted_at_ms)
    assert (fact.metadata.correlation_id, fact.metadata.depth) == ("c", 2)
    assert fact.metadata.traceparent == task_trace(TASK).root.traceparent
    assert (data.result is not None) == (after is Status.SUCCEEDED)
    broke = dict.fromkeys(BROKEN, "Boom: it broke")
    assert data.reason == ({Status.PARKED: "capacity"} | broke).get(after)


@pytest.mark.parametrize(
    ("status", "occurred_at_ms"),
    [
        (Status.DISPATCHED, NOW + 1),
        (Status.SUCCEEDED, NOW + 4),
        (Status.FAILED, NOW + 4),
        (Status.EXPIRED, NOW + 4),
        (Status.CANCELLED, NOW + 4),
        (Status.DEAD_LETTERED, NOW + 4),
        (Status.PARKED, NOW + 5),
        (Status.RETRYING, NOW + 6),
        (Status.WAITING, NOW + 7),
        (Status.SUSPENDED, NOW + 7),
    ],
)
def test_a_fact_says_when_it_happened(status: Status, occurred_at_ms: int) -> None:
    before = stored(Status.PARKED, 0) if status is Status.DISPATCHED else stored(Status.DISPATCHED)
    [fact] = facts_of(change(before, stored(status)))
    assert fact.metadata.occurred_at_ms == occurred_at_ms


def test_an_end_carries_every_time_of_the_attempt_and_the_result() -> None:
    [fact] = facts_of(change(stored(Status.DISPATCHED), stored(Status.SUCCEEDED)))
    data = fact.data
    assert (data.dispatched_at_ms, data.started_at_ms, data.finished_at_ms) == (NOW + 1, NOW + 2, NOW + 3)
    assert (data.agent_id, data.result) == ("one", {"said": "hello"})


@pytest.mark.parametrize("status", list(Status))
def test_a_change_of_anything_else_is_no_fact(status: Status) -> None:
    assert facts_of(change(stored(status), {**stored(status), "expires_at_s": 1})) == []


def test_an_erased_item_is_no_fact() -> None:
    assert facts_of(change(stored(Status.SUCCEEDED), None)) == []
    assert facts_of(Change(keys.fact_key("f"), {"fact": "TaskRejected"}, None)) == []


def whole_life() -> list[Change]:
    statuses = [
        (Status.PARKED, 0),
        (Status.DISPATCHED, 1),
        (Status.RETRYING, 1),
        (Status.PARKED, 1),
        (Status.DISPATCHED, 2),
        (Status.PARKED, 2),  # it yielded
        (Status.DISPATCHED, 3),
        (Status.SUCCEEDED, 3),
    ]
    images: list[Attributes | None] = [None, *(stored(status, epoch) for status, epoch in statuses)]
    return [change(old, new) for old, new in pairwise(images)]


def test_ids_differ_within_a_life_and_are_the_same_when_it_is_told_again() -> None:
    first = [fact.metadata.fact_id for one in whole_life() for fact in facts_of(one)]
    assert len(set(first)) == len(first) == 9
    assert [fact.metadata.fact_id for one in whole_life() for fact in facts_of(one)] == first


@pytest.mark.parametrize("end", [status for status in Status if status.terminal])
def test_an_end_has_one_id_whichever_attempt_brought_it(end: Status) -> None:
    ids = {
        facts_of(change(stored(Status.DISPATCHED, epoch), stored(end, epoch)))[0].metadata.fact_id for epoch in (1, 2)
    }
    assert ids == {digest(NAMES[end], TASK.task_id, "")}


def attempt_change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> Change:
    base = new_attempt_attributes(an_attempt())
    return Change(
        Key(Table.ATTEMPTS, "default#0", TASK.task_id),
        None if old is None else {**base, **old},
        None if new is None else {**base, **new},
    )


STARTED: dict[str, Any] = {"runner": "call", "started_at_ms": NOW + 2}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, {}, 0),
        ({}, STARTED, 1),
        (None, STARTED, 1),  # the stream may tell creation and start at once
        (STARTED, {**STARTED, "lease_until_ms": 9}, 0),
        (STARTED, {**STARTED, **outcome_attributes(an_outcome(OutcomeKind.FAILED))}, 0),
        (STARTED, None, 0),
    ],
)
def test_an_attempt_is_started_once(old: dict[str, Any] | None, new: dict[str, Any] | None, told: int) -> None:
    facts = facts_of(attempt_change(old, new))
    assert names(facts) == [FactName.TASK_STARTED] * told
    for fact in facts:
        assert (fact.metadata.occurred_at_ms, fact.data.epoch, fact.data.task_id) == (NOW + 2, 1, TASK.task_id)
        assert fact.metadata.fact_id == digest(FactName.TASK_STARTED, TASK.task_id, "1")


RECORDED: dict[str, Any] = {
    "fact": "TaskRejected",
    "occurred_at_ms": NOW,
    "field": "$.data",
    "reason": "odd",
    "door": "sqs",
}


def test_a_recorded_fact_is_told_once_under_its_own_id() -> None:
    [fact] = facts_of(Change(keys.fact_key("f-1"), None, RECORDED))
    assert (fact.metadata.name, fact.metadata.fact_id) == (FactName.TASK_REJECTED, "f-1")
    assert (fact.data.field, fact.data.reason, fact.data.door, fact.data.tenant_id) == ("$.data", "odd", "sqs", None)
    assert facts_of(Change(keys.fact_key("f-1"), RECORDED, RECORDED)) == []


def test_no_payload_is_published() -> None:
    for one in whole_life():
        assert all("secret" not in fact.body for fact in published(facts_of(one)))


def test_attributes_are_for_filters_and_none_is_empty() -> None:
    [whole] = published(facts_of(change(stored(Status.DISPATCHED), stored(Status.SUCCEEDED))))
    assert whole.attributes == {
        "fact": "TaskSucceeded",
        "tenant_id": "atlas",
        "task_type": "work",
        "tier": "high",
        "pool": "default",
        "status": "SUCCEEDED",
    }
    [accepted, _] = published(facts_of(change(None, stored(Status.PARKED))))
    assert "status" not in accepted.attributes
    [bare] = published(facts_of(Change(keys.fact_key("f-1"), None, {**RECORDED, "tenant_id": ""})))
    assert bare.attributes == {"fact": "TaskRejected"}


def test_what_is_published_is_the_fact_as_json() -> None:
    facts = facts_of(change(stored(Status.DISPATCHED), stored(Status.SUCCEEDED)))
    [one] = published(facts)
    assert msgspec.json.decode(one.body, type=Fact) == facts[0]
    assert (one.name, json.loads(one.body)["metadata"]["name"]) == ("TaskSucceeded", "TaskSucceeded")


def test_ends_and_trouble_are_announced_and_the_steps_in_between_are_not() -> None:
    told = {one.name: one.announced for change in whole_life() for one in published(facts_of(change))}
    assert told == {
        "TaskAccepted": False,
        "TaskParked": False,
        "TaskDispatched": False,
        "TaskRetrying": False,
        "TaskSucceeded": True,
    }
    steps = {FactName(name) for name, announced in told.items() if not announced} | {
        FactName.TASK_STARTED,
        FactName.TASK_BLOCKED,
        FactName.TASK_WAITING,
        FactName.TASK_SUSPENDED,
        FactName.SIGNAL_ACCEPTED,
        FactName.WORKFLOW_ACCEPTED,
        FactName.WORKFLOW_STARTED,
        FactName.SCHEDULE_FIRED,
    }
    assert set(FactName) - steps == ANNOUNCED
