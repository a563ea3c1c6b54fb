"""Stored forms: what is written is read back, an index finds what it should, and a damaged item names its attribute."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.agent import AgentStatus
from pushlane.model.attempt import Attempt, ErrorDetail, Hold, OutcomeKind, outcome_digest
from pushlane.model.task import Door, Estimate, RetryPolicy, Source, Status, Task, Tier
from pushlane.ports import Attributes, Item, Key, Table
from pushlane.scheduling.entry import shape_of
from pushlane.scheduling.snapshot import (
    AccountView,
    LaneState,
    ResourceView,
    ShapeView,
    TenantView,
    TierView,
    WakeView,
)
from pushlane.state import keys
from pushlane.state.items import (
    account_of,
    agent_of,
    attempt_of,
    entry_attributes,
    entry_of_item,
    lane_state_of,
    new_attempt_attributes,
    new_task_attributes,
    number,
    outcome_attributes,
    resource_of,
    shape_of_item,
    source_of,
    status_of,
    task_of,
    tenant_of,
    text,
    texts,
    tier_of_item,
    to_json,
    wake_of,
)
from tests.unit.values import POOL, a_reservation, a_task, agent_item, an_agent, an_attempt, an_entry, an_outcome

FULL_TASK = a_task(
    payload={"é": [1, {"x": None}], "big": 10**30},
    tier=Tier.CRITICAL,
    deadline_ms=5,
    estimate=Estimate(tokens=7),
    retry=RetryPolicy(max_attempts=9),
    idempotency_key="k#1",
    labels={"a": "b"},
    correlation_id="c",
    traceparent="t",
    depth=3,
    source=Source(door=Door.KINESIS, source_id="shard:1"),
)


@pytest.mark.parametrize("task", [a_task(), FULL_TASK])
def test_a_task_is_read_back_as_it_was_accepted(task: Task) -> None:
    attributes = new_task_attributes(task, Status.PARKED, 0)
    assert task_of(attributes) == task
    assert source_of(attributes) == task.source
    assert status_of(attributes) is Status.PARKED
    assert (attributes["v"], attributes["epoch"]) == (1, 0)


def test_what_conditions_and_filters_use_stands_beside_the_body() -> None:
    attributes = new_task_attributes(FULL_TASK, Status.DISPATCHED, 1)
    alone = ("tenant_id", "task_type", "tier", "pool", "body_digest", "accepted_at_ms")
    body = msgspec.to_builtins(FULL_TASK)
    assert {name: attributes[name] for name in alone} == {
        name: body.get(name, POOL if name == "pool" else None) for name in alone
    }


def attempt_item(attempt: Attempt) -> Item:
    attributes = new_attempt_attributes(attempt)
    if attempt.runner is not None and attempt.started_at_ms is not None:
        attributes |= {"runner": attempt.runner, "started_at_ms": attempt.started_at_ms}
    if attempt.outcome is not None:
        attributes |= outcome_attributes(attempt.outcome)
    return Item(keys.attempt_key(attempt.pool, attempt.task_id), attributes)


@pytest.mark.parametrize(
    "attempt",
    [
        an_attempt(),
        an_attempt(pushes=3, epoch=7, task_type="other", tier=Tier.LOW),
        an_attempt(runner="call", started_at_ms=5),
        an_attempt(reservation=a_reservation(holds=(Hold("llm-tpm", 9, 2), Hold("browsers", 1)), late=True)),
        an_attempt(runner="call", started_at_ms=5, outcome=an_outcome(result={"a": [1, 2.5, None]})),
        an_attempt(runner="call", started_at_ms=5, outcome=an_outcome(OutcomeKind.FAILED)),
    ],
)
def test_an_attempt_is_read_back_in_every_stage_of_its_life(attempt: Attempt) -> None:
    assert attempt_of(attempt_item(attempt)) == attempt


def test_an_agent_is_read_back() -> None:
    agent = an_agent(slots=3, used=2, status=AgentStatus.DRAINING, revision=9, capabilities=frozenset({"a", "b"}))
    put = agent_item(agent)
    assert agent_of(Item(put.key, put.attributes)) == agent


def test_an_entry_a_shape_and_a_wake_up_are_read_back() -> None:
    entry = an_entry(epoch=2, tier=Tier.HIGH, capabilities=("a", "b"))
    assert entry_of_item(Item(keys.entry_key(POOL, entry), entry_attributes(entry))) == entry
    counts = {"lanes_normal": 2, "lanes_low": 0, "lanes_high": 1}
    known = {"capabilities": ["a", "b"], "resources": ["llm-tpm"]}
    shape = Item(keys.shape_key(POOL, shape_of(("a", "b"), ("llm-tpm",))), {**known, **counts})
    assert shape_of_item(shape) == ShapeView(
        shape=shape_of(("b", "a"), ("llm-tpm",)),
        capabilities=("a", "b"),
        resources=("llm-tpm",),
        lanes={Tier.HIGH: 1, Tier.NORMAL: 2},
    )
    assert shape_of_item(shape).waiting == 3
    wake = Item(keys.wake_key(POOL), {"generation": 1, "due_ms": 2})
    assert wake_of(wake) == WakeView(generation=1, due_ms=2)


def test_an_entry_with_an_order_out_names_its_victim() -> None:
    entry = an_entry()
    stored = {**entry_attributes(entry), "victim": "t-0009"}
    assert entry_of_item(Item(keys.entry_key(POOL, entry), stored)) == msgspec.structs.replace(entry, victim="t-0009")


def test_a_lane_is_read_back_and_one_that_was_never_written_is_empty() -> None:
    stored: Attributes = {
        "depth": 3,
        "undated": 1,
        "turn_key": keys.index_key(Tier.LOW, 12),
        "urgent_key": keys.index_key(Tier.LOW, 34),
        "late_key": keys.index_key(Tier.LOW, 0),
        "pressed": 1,
        "revision": 5,
    }
    assert lane_state_of(stored) == LaneState(
        depth=3, undated=1, turn_tag_ms=12, urgent_ms=34, late_tag_ms=0, pressed=True, revision=5
    )
    assert lane_state_of({}) == LaneState()


def test_clocks_accounts_and_limits_are_read_back_and_start_at_nothing() -> None:
    assert tier_of_item({"virtual_ms": 1, "late_clock_ms": 5}) == TierView(virtual_ms=1, late_clock_ms=5)
    assert account_of({"uncharged_ms": 2}) == AccountView(uncharged_ms=2)
    assert tenant_of({"in_flight": 2, "day": 20261122, "revision": 9}) == TenantView(in_flight=2, day=20261122)
    assert resource_of("r", 3, {"tat_us": 7, "paused_until_ms": 8}) == ResourceView(
        name="r", shard=3, tat_us=7, paused_until_ms=8
    )
    assert (tier_of_item({}), account_of({}), tenant_of({})) == (TierView(), AccountView(), TenantView())
    assert resource_of("r", 0, {}) == ResourceView(name="r")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_the_fingerprint_of_an_outcome_is_that_of_its_stored_copy(result: dict[str, Any]) -> None:
    outcome = an_outcome(result=result)
    stored = outcome_attributes(outcome)
    read = attempt_of(Item(Key(Table.ATTEMPTS, "p", "t"), {**new_attempt_attributes(an_attempt()), **stored})).outcome
    assert read is not None
    assert outcome_digest(read) == outcome_digest(outcome) == stored["outcome_digest"]
    assert outcome_digest(an_outcome(result={"wrapped": result})) != stored["outcome_digest"]


@given(JSON)
def test_our_json_is_json_without_what_a_queue_would_refuse(value: Any) -> None:
    written = to_json({"value": value, "odd": "\x00\x1f\ufffe\uffff"})
    assert json.loads(written)["odd"] == "\x00\x1f\ufffe\uffff"
    assert all(c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" for c in written)


def test_a_mistyped_attribute_is_named() -> None:
    damaged: Attributes = {"one": 1, "text": "x", "list": ["x"]}
    for read, name, kind in (
        (text, "one", "int"),
        (number, "text", "str"),
        (texts, "text", "str"),
        (text, "list", "list"),
    ):
        with pytest.raises(TypeError, match=f"{name!r} is of type {kind}"):
            read(damaged, name)
    with pytest.raises(KeyError, match="missing"):
        text(damaged, "missing")


@pytest.mark.parametrize(
    "name", ["epoch", "agent_id", "lease_until_ms", "tenant_id", "pushes", "outcome", "reservation"]
)
def test_a_damaged_attempt_is_an_error_that_names_the_attribute(name: str) -> None:
    item = attempt_item(an_attempt(runner="call", started_at_ms=5, outcome=an_outcome()))
    with pytest.raises(TypeError, match=name):
        attempt_of(Item(item.key, {**item.attributes, name: ["odd"]}))


def test_an_unknown_status_is_an_error() -> None:
    with pytest.raises(ValueError, match="LOST"):
        status_of({"status": "LOST"})


def test_an_error_is_kept_as_it_was_said() -> None:
    error = ErrorDetail(error_type="Boom", message="é\n", retryable=False)
    assert msgspec.json.decode(to_json(error), type=ErrorDetail) == error
