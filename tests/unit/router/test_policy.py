"""The policy that turns go by: current within a second, and never lost to a bad one; set by an event of the bus."""

import json
from typing import Any

import msgspec
import pytest

from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.events import Fact, FactName
from pushlane.model.policy import Policy
from pushlane.ports import Message, Put, Scalar, Table
from pushlane.router.app import Router
from pushlane.router.intake import record_of_sqs
from pushlane.router.policy import CACHE_MS, PolicyDirectory
from pushlane.state.keys import policy_key, policy_revision_key
from pushlane.state.policies import PolicyChange, current_revision, policy_history, set_policy
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope
from pushlane.testing.deliveries import INTAKE
from tests.unit.model.json_schema import accepts
from tests.unit.model.test_events import schema
from tests.unit.values import NOW


class Directory:
    """A directory over a store whose reads are counted."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.store = InMemoryItemStore(self.clock)
        self.logged: list[dict[str, Any]] = []
        self.directory = self.fresh()

    def fresh(self) -> PolicyDirectory:
        return PolicyDirectory(
            self.store, self.clock, lambda event, **said: self.logged.append({"event": event} | said)
        )

    def set(self, weight: float) -> int:
        document = json.dumps({"default_tenant": {"weight": weight}}).encode()
        change = PolicyChange(document=document, change_id=f"c-{weight}", changed_by="ann")
        return set_policy(self.store, change, self.clock.now_ms()).revision

    def store_unreadable(self) -> int:
        """A revision of a later version of the code."""
        revision = current_revision(self.store) + 1
        said: dict[str, Scalar] = {"v": 1, "changed_at_ms": NOW, "changed_by": "later"}
        self.store.write(Put(policy_revision_key(revision), {**said, "document": '{"quantum":1}'}))
        self.store.write(Put(policy_key(), {**said, "revision": revision}))
        return revision

    def weight(self, directory: PolicyDirectory | None = None) -> float:
        return (directory or self.directory).current().tenant("atlas").weight


def test_without_a_policy_the_defaults_hold() -> None:
    assert Directory().directory.current() == Policy()


def test_a_policy_says_which_revision_it_is() -> None:
    world = Directory()
    world.set(2)
    assert world.directory.current().revision == world.set(3) - 1


def test_a_change_is_effective_within_a_second_and_not_read_more_often() -> None:
    world = Directory()
    world.set(2)
    assert world.weight() == 2
    world.set(3)
    assert world.weight() == 2
    world.clock.advance(CACHE_MS - 1)
    assert world.weight() == 2
    world.clock.advance(1)
    assert world.weight() == 3


def test_an_unchanged_policy_is_not_parsed_again() -> None:
    world = Directory()
    world.set(2)
    first = world.directory.current()
    world.clock.advance(CACHE_MS)
    assert world.directory.current() is first


def test_a_revision_that_cannot_be_read_leaves_the_last_good_one_and_is_logged_once() -> None:
    world = Directory()
    world.set(2)
    assert world.weight() == 2
    revision = world.store_unreadable()
    for _ in range(3):
        world.clock.advance(CACHE_MS)
        assert world.weight() == 2
    assert world.logged == [
        {
            "event": "policy-unreadable",
            "revision": revision,
            "field": "$.quantum",
            "error": "no field of this name is known",
        }
    ]


def test_a_new_process_looks_back_for_the_last_good_one() -> None:
    world = Directory()
    world.set(2)
    world.set(3)
    world.store_unreadable()
    assert world.weight(world.fresh()) == 3


def test_with_nothing_readable_the_defaults_hold_until_there_is() -> None:
    world = Directory()
    world.store_unreadable()
    assert world.directory.current() == Policy()
    world.set(4)
    world.clock.advance(CACHE_MS)
    assert world.weight() == 4


def set_policy_event(policy: object, event_id: str = "e-1", **data: Any) -> dict[str, Any]:
    """What the bus puts into the queue."""
    detail = {"metadata": {"name": "SetPolicy", "version": 1}, "data": {"policy": policy, **data}}
    return {"id": event_id, "detail-type": "SetPolicy", "source": "ops", "detail": detail}


class Bus:
    """A dispatcher and what it makes of events."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.store = self.dispatcher.store

    def send(self, *events: dict[str, Any]) -> None:
        for n, event in enumerate(events):
            kept = {"id": f"{event.get('id')}-{n}", "envelope": event}
            self.dispatcher.sender.send(INTAKE, [Message(json.dumps(kept))])
        self.dispatcher.run_until_idle()

    def facts(self, name: FactName) -> list[Fact]:
        return [fact for fact in self.dispatcher.facts if fact.metadata.name is name]


def test_an_event_sets_the_policy_and_a_fact_says_so() -> None:
    bus = Bus()
    bus.send(set_policy_event({"tenants": {"atlas": {"weight": 5}}}, "e-7"))
    [made] = policy_history(bus.store)
    assert (made.revision, made.document, made.changed_by) == (1, '{"tenants":{"atlas":{"weight":5}}}', "event:e-7")
    [fact] = bus.facts(FactName.POLICY_CHANGED)
    assert (fact.data.revision, fact.data.changed_by) == (1, "event:e-7")
    assert accepts(schema("fact"), json.loads(msgspec.json.encode(fact)))
    assert bus.dispatcher.quarantined() == []


def test_an_event_is_effective_in_other_routers_within_a_second() -> None:
    bus = Bus()
    clock = bus.dispatcher.clock
    directory = PolicyDirectory(bus.store, clock, bus.dispatcher.log)
    assert directory.current().tenant("atlas").weight == 1
    bus.send(set_policy_event({"tenants": {"atlas": {"weight": 5}}}))
    clock.advance(1_000)
    assert directory.current().tenant("atlas").weight == 5


def test_a_raised_cap_moves_what_waits_for_it_although_nothing_else_happens() -> None:
    bus = Bus()
    bus.dispatcher.register(None, agent_id="one", slots=2, capabilities=("work",))
    bus.send(set_policy_event({"tenants": {"atlas": {"in_flight_max": 1}}}, "e-1"))
    bus.dispatcher.advance(5)
    tasks = [bus.dispatcher.submit(task_type="work") for _ in range(2)]
    bus.dispatcher.run_until_idle()
    assert bus.dispatcher.statuses(*tasks) == ["DISPATCHED", "PARKED"]
    bus.send(set_policy_event({"tenants": {"atlas": {"in_flight_max": 2}}}, "e-2"))
    bus.dispatcher.advance(2)
    assert bus.dispatcher.statuses(*tasks) == ["DISPATCHED", "DISPATCHED"]


def test_an_event_delivered_again_changes_nothing_even_after_another() -> None:
    bus = Bus()
    first, second = set_policy_event({}, "e-1"), set_policy_event({"token_cost_ms": 2}, "e-2")
    bus.send(first, first, second, first)
    assert [one.changed_by for one in policy_history(bus.store)] == ["event:e-2", "event:e-1"]
    assert bus.dispatcher.quarantined() == []
    assert len(bus.facts(FactName.POLICY_CHANGED)) == 2


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a bad policy": (
        set_policy_event({"tenants": {"atlas": {"weight": 0}}}),
        "$.data.policy.tenants.atlas.weight",
        "invalid_policy",
    ),
    "shares": (set_policy_event({"tiers": {"low": {"min_share": 0.9}}}), "$.data.policy.tiers", "invalid_policy"),
    "no object": (set_policy_event([]), "$.data.policy", "invalid"),
    "another field": (set_policy_event({}, force=True), "$.data", "invalid"),
    "an old revision": (set_policy_event({}, expect_revision=0), "$.data.expect_revision", "policy_moved"),
    "an old revision in the document": (set_policy_event({"revision": 0}), "$.data.expect_revision", "policy_moved"),
    "version 2": (
        set_policy_event({}) | {"detail": {"metadata": {"name": "SetPolicy", "version": 2}, "data": {"policy": {}}}},
        "$.metadata.version",
        "invalid",
    ),
    "a submission under this name": (
        set_policy_event({}) | {"detail": submit_envelope()},
        "$.metadata.name",
        "invalid",
    ),
}


@pytest.mark.parametrize(("event", "field", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refused_event_names_the_field_and_the_old_policy_stays(event: dict[str, Any], field: str, code: str) -> None:
    bus = Bus()
    bus.send(set_policy_event({"token_cost_ms": 2}, "good"))
    bus.send(event)
    [kept] = bus.dispatcher.quarantined()
    assert (kept["field"], kept["code"], kept["door"]) == (field, code, "eventbridge")
    [fact] = bus.facts(FactName.POLICY_REFUSED)
    assert (fact.data.field, fact.data.reason) == (field, kept["reason"])
    assert bus.facts(FactName.TASK_REJECTED) == []
    assert [one.changed_by for one in policy_history(bus.store)] == ["event:good"]


def test_where_the_doors_see_no_caller_no_event_sets_a_policy() -> None:
    dispatcher = InMemoryDispatcher()
    trusting = dispatcher.router._ports
    ports = msgspec.structs.replace(trusting, accept_unsigned_tenant=False)
    body = json.dumps(set_policy_event({}))
    assert Router(ports).handle(sqs_event(INTAKE, [("m-1", body)])) == {"batchItemFailures": []}
    [kept] = dispatcher.quarantined()
    assert (kept["code"], kept["field"]) == ("unsigned_policy", "$.metadata.name")
    dispatcher.publish()
    assert [fact.metadata.name for fact in dispatcher.facts] == [FactName.POLICY_REFUSED]
    assert dispatcher.store.get([policy_key()]) == {}


def test_only_the_bus_sets_a_policy() -> None:
    """Through another door the same envelope is a submission, and no good one."""
    bus = Bus()
    bus.send(set_policy_event({})["detail"])
    [kept] = bus.dispatcher.quarantined()
    assert (kept["field"], kept["door"]) == ("$.metadata.name", "sqs")
    assert policy_history(bus.store) == ()


def test_submissions_beside_it_are_taken() -> None:
    bus = Bus()
    task_id = bus.dispatcher.submit(task_type="echo")
    bus.send(set_policy_event({"token_cost_ms": -1}), set_policy_event({"token_cost_ms": 2}, "e-2"))
    assert bus.dispatcher.task(task_id) is not None
    assert len(policy_history(bus.store)) == 1


def test_a_submission_of_the_bus_is_still_one() -> None:
    event = {"id": "e-1", "detail-type": "SubmitTask", "detail": submit_envelope()}
    record = record_of_sqs({"messageId": "m-1", "body": json.dumps(event)})
    assert (record.name, record.source.door) == ("SubmitTask", "eventbridge")


def test_the_event_s_schema_takes_what_the_router_takes() -> None:
    said = schema("set-policy")
    assert accepts(said, set_policy_event({}, expect_revision=3)["detail"])
    assert not accepts(said, set_policy_event([])["detail"])
    assert not accepts(said, set_policy_event({}, force=True)["detail"])


def test_history_and_change_marks_lie_in_the_config_table_only() -> None:
    bus = Bus()
    bus.send(set_policy_event({}))
    assert {item.key.pk for item in bus.store.items(Table.CONFIG)} >= {"POLICY", "POLICY_REVISIONS", "POLICY_CHANGES"}
