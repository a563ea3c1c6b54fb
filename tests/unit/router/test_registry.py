"""The registry of agents: what CloudFormation's requests do to the scheduler's entries, and what it is answered."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.agent import AgentStatus
from pushlane.model.endpoint import sqs
from pushlane.model.errors import InvalidEvent
from pushlane.ports import Update
from pushlane.router.registry import apply, request_of
from pushlane.state.items import agent_of
from pushlane.state.keys import agent_key, pool_registration_key
from pushlane.wiring.registry import Registry

KEY = agent_key("gpu", "translator")


@pytest.fixture
def store() -> InMemoryItemStore:
    return InMemoryItemStore(ManualClock(1_000))


def event(kind: str, **properties: Any) -> dict[str, Any]:
    """A request as CloudFormation sends it: numbers as text, and the service token among the properties."""
    given = {
        "AgentId": "translator",
        "Pool": "gpu",
        "Capabilities": ["translate"],
        "Slots": "4",
        "QueueUrl": "https://q",
    }
    return {
        "RequestType": kind,
        "RequestId": "r-1",
        "StackId": "s-1",
        "LogicalResourceId": "l-1",
        "ResponseURL": "https://answer",
        "ResourceProperties": {"ServiceToken": "arn:f", "ServiceTimeout": "330", **given, **properties},
    }


def never() -> bool:
    return False


def do(store: InMemoryItemStore, kind: str, wait: Callable[[], bool] = never, **properties: Any) -> str:
    return apply(request_of(event(kind, **properties)), store, wait)


def test_a_declared_agent_becomes_an_active_entry_of_its_pool(store: InMemoryItemStore) -> None:
    assert do(store, "Create") == "registered"
    found = store.get([KEY, pool_registration_key("gpu")])
    agent = agent_of(found[KEY])
    assert (agent.agent_id, agent.pool, agent.slots, agent.endpoint) == ("translator", "gpu", 4, sqs("https://q"))
    assert agent.capabilities == {"translate"}
    assert agent.status is AgentStatus.ACTIVE
    assert (agent.used, agent.revision) == (0, 0)
    assert pool_registration_key("gpu") in found


def test_an_update_leaves_running_work_alone(store: InMemoryItemStore) -> None:
    do(store, "Create")
    store.write(Update(KEY, add={"used": 3, "revision": 7}))
    do(store, "Update", Slots="2", Capabilities=["translate", "detect"])
    agent = agent_of(store.get([KEY])[KEY])
    assert (agent.slots, agent.used, agent.revision) == (2, 3, 7)
    assert agent.free == 0
    assert agent.capabilities == {"translate", "detect"}


def test_a_draining_agent_that_is_declared_again_is_active(store: InMemoryItemStore) -> None:
    do(store, "Create")
    store.write(Update(KEY, set={"status": "DRAINING"}))
    do(store, "Create")
    assert agent_of(store.get([KEY])[KEY]).status is AgentStatus.ACTIVE


def test_an_idle_agent_is_removed_at_once(store: InMemoryItemStore) -> None:
    do(store, "Create")
    assert do(store, "Delete") == "removed"
    assert KEY not in store.get([KEY])


def test_removal_waits_for_running_work_and_lets_no_new_work_in(store: InMemoryItemStore) -> None:
    do(store, "Create")
    store.write(Update(KEY, add={"used": 1}))
    looks = []

    def finish_after_two_looks() -> bool:
        looks.append(agent_of(store.get([KEY])[KEY]).status)
        if len(looks) == 2:
            store.write(Update(KEY, add={"used": -1}))
        return True

    assert do(store, "Delete", finish_after_two_looks) == "removed"
    assert looks == [AgentStatus.DRAINING, AgentStatus.DRAINING]
    assert KEY not in store.get([KEY])


def test_an_entry_with_reservations_is_never_removed(store: InMemoryItemStore) -> None:
    do(store, "Create")
    store.write(Update(KEY, add={"used": 2}))
    assert do(store, "Delete") == "left draining: 2 attempts are still running"
    assert agent_of(store.get([KEY])[KEY]).status is AgentStatus.DRAINING


def test_a_removal_yields_to_a_new_registration(store: InMemoryItemStore) -> None:
    do(store, "Create")
    store.write(Update(KEY, add={"used": 1}))

    def registered_meanwhile() -> bool:
        do(store, "Create")
        return True

    assert do(store, "Delete", registered_meanwhile) == "registered again meanwhile"
    assert agent_of(store.get([KEY])[KEY]).status is AgentStatus.ACTIVE


def test_removing_what_is_not_there_succeeds(store: InMemoryItemStore) -> None:
    assert do(store, "Delete") == "was not registered"
    assert KEY not in store.get([KEY])


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"Slots": "0"}, r"Slots"),
        ({"Slots": "many"}, r"Slots"),
        ({"AgentId": "a#b"}, r"AgentId"),
        ({"Capabilities": []}, r"Capabilities"),
        ({"QueueUrl": ""}, r"QueueUrl"),
    ],
)
def test_a_wrong_property_is_named(properties: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidEvent, match=named):
        request_of(event("Create", **properties))


class Answers:
    """Where answers would be put."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []

    def __call__(self, url: str, body: bytes) -> None:
        self.sent.append((url, json.loads(body)))


def answered(
    store: InMemoryItemStore, request: dict[str, Any], wake: Callable[[str], None] = lambda _pool: None
) -> dict[str, str]:
    answers = Answers()
    Registry(store, wake, answers, lambda *_event, **_fields: None).answer(request, lambda: 0)
    ((url, answer),) = answers.sent
    assert url == "https://answer"
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == ("s-1", "r-1", "l-1")
    return answer


def test_success_is_answered_with_the_identity_of_the_entry(store: InMemoryItemStore) -> None:
    answer = answered(store, event("Create"))
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "gpu/translator")


def test_a_registration_has_a_turn_run_on_its_pool_and_a_removal_does_not(store: InMemoryItemStore) -> None:
    woken: list[str] = []
    answered(store, event("Create"), woken.append)
    answered(store, event("Delete"), woken.append)
    assert woken == ["gpu"]


def test_an_agent_that_changes_its_pool_is_another_resource(store: InMemoryItemStore) -> None:
    answered(store, event("Create"))
    moved = {**event("Update", Pool="cpu"), "PhysicalResourceId": "gpu/translator"}
    assert answered(store, moved)["PhysicalResourceId"] == "cpu/translator"


def test_a_refused_declaration_is_answered_with_the_reason_and_can_be_rolled_back(store: InMemoryItemStore) -> None:
    refused = answered(store, event("Create", Slots="0"))
    assert refused["Status"] == "FAILED"
    assert "Slots" in refused["Reason"]
    rollback = {**event("Delete", Slots="0"), "PhysicalResourceId": refused["PhysicalResourceId"]}
    assert answered(store, rollback)["Status"] == "SUCCESS"


def test_a_store_that_fails_is_answered_too(store: InMemoryItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(_operation: object) -> None:
        raise OSError("the table is gone")

    monkeypatch.setattr(store, "write", unavailable)
    answer = answered(store, event("Create"))
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "the table is gone")
    assert answer["PhysicalResourceId"] == "gpu/translator"
