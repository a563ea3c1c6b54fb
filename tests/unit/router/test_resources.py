"""Shared resources, reserved with the slot in one transaction: rates, slots, true-up, and a provider's pause."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pushlane.model.events import FactName
from pushlane.model.policy import Policy, Rate
from pushlane.ports import Table, Write
from pushlane.router.turn import Turn
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import Arrival
from pushlane.state import keys
from tests.unit.router.limited import POOL, Limited
from tests.unit.values import a_task

MINUTE = 60


def rate(per_minute: int, **more: Any) -> dict[str, Any]:
    return {"kind": "rate", "per_minute": per_minute, **more}


def needing(*names: str, **resources: Mapping[str, Any]) -> dict[str, Any]:
    return {"resources": resources, "task_types": {"echo": {"resources": list(names or resources)}}}


def estimated(tokens: int) -> dict[str, Any]:
    return {"estimate": {"tokens": tokens}}


class Transactions:
    """Keeps the operations of every transaction. `before_next`: what happens just before the next one."""

    def __init__(self) -> None:
        self.seen: list[Sequence[Write]] = []
        self.before_next: list[Any] = []

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "transact":
            self.seen.append(operations)
            if self.before_next:
                self.before_next.pop()()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


def test_slot_tenant_and_resources_are_reserved_in_one_transaction() -> None:
    seen = Transactions()
    policy = needing(tpm=rate(1_000), licence={"kind": "slots", "slots": 1})
    world = Limited({**policy, "default_tenant": {"in_flight_max": 3}}, faults=seen)
    seen.seen.clear()
    task_id = world.submit(**estimated(400))
    [operations] = seen.seen
    assert {one.key for one in operations} >= {
        keys.task_key(task_id),
        keys.attempt_key(POOL, task_id),
        keys.agent_key(POOL, "one"),
        keys.tenant_limits_key("atlas"),
        keys.resource_key("tpm", 0),
        keys.resource_key("licence", 0),
    }
    assert (world.drawn("tpm", 1_000), world.resource("licence")["used"]) == (400, 1)
    assert (world.tenant()["in_flight"], world.dispatcher.used("one")) == (1, 1)


def test_what_lacks_one_thing_holds_nothing() -> None:
    world = Limited(needing(tpm=rate(1_000), licence={"kind": "slots", "slots": 1}))
    world.submit(**estimated(400))
    parked = world.submit(**estimated(400))
    assert world.reason(parked) == "rate:licence"
    assert (world.drawn("tpm", 1_000), world.resource("licence")["used"]) == (400, 1)
    assert (world.dispatcher.used("one"), world.live()) == (1, 1)


@pytest.mark.parametrize(("unit", "drawn"), [("tokens", 300), ("requests", 1), ("tool-calls", 1)])
def test_a_rate_draws_what_its_unit_says(unit: str, drawn: int) -> None:
    world = Limited(needing(limit=rate(1_000, unit=unit)))
    world.submit(**estimated(300))
    assert world.drawn("limit", 1_000) == drawn


@pytest.mark.parametrize("drawn_before", [0, 1])
@pytest.mark.parametrize("unit", ["tokens", "requests", "tool-calls"])
def test_two_routers_with_stale_snapshots_never_exceed_a_rate(unit: str, drawn_before: int) -> None:
    """Each plans on what it read; the other commits in between. Nothing but the rate stands in its way: the wake-up
    that both need is armed before.
    """
    seen = Transactions()
    world = Limited({"resources": {"limit": rate(10, unit=unit)}}, faults=seen)
    world.submit(**({"resources": {"limit": 1}} if drawn_before else {}))
    policy = world.dispatcher.turn.policies.current()
    amount = {"limit": 6}

    def turn(number: int) -> None:
        task = a_task(number, task_type="echo", capabilities=("echo",), resources=amount)
        turns = Turn(world.dispatcher.turn, world.dispatcher.pusher, POOL)
        turns.run([Arrival(task, entry_of(task, policy))])

    seen.before_next = [lambda: turn(2)]
    turn(1)
    assert world.live() == 1 + 1
    assert world.drawn("limit", 10) == 6 + drawn_before
    states = [world.dispatcher.status(f"t-000{n}") for n in (1, 2)]
    assert states == ["PARKED", "DISPATCHED"]
    assert world.reason("t-0001") == "rate:limit"


def test_a_rate_admits_its_burst_and_then_what_it_earns() -> None:
    world = Limited(needing(rpm=rate(60, unit="requests", burst=5)), slots=200)
    task_ids = world.submit_many(100)
    assert len(world.dispatched(task_ids)) == 5
    for seconds in range(1, 11):
        world.dispatcher.advance(1)
        started = sum(world.dispatcher.status(task_id) != "PARKED" for task_id in task_ids)
        assert 5 + seconds - 1 <= started <= 5 + seconds
    world.dispatcher.advance(2 * MINUTE)
    assert {world.dispatcher.status(task_id) for task_id in task_ids} == {"SUCCEEDED"}
    world.assert_all_given_back()


def test_a_hot_rate_is_split_over_shards_and_never_exceeded() -> None:
    world = Limited(needing(rpm=rate(40, unit="requests", shards=4)), slots=100)
    task_ids = world.submit_many(60)
    assert len(world.dispatched(task_ids)) == 40
    assert [world.drawn("rpm", 40, shard, 4) for shard in range(4)] == [10, 10, 10, 10]
    pks = {item.key.pk for item in world.store.items(Table.SCHEDULER) if item.key.pk.startswith("RESOURCE#")}
    assert pks == {"RESOURCE#rpm", "RESOURCE#rpm#1", "RESOURCE#rpm#2", "RESOURCE#rpm#3"}


def test_a_charge_above_the_burst_is_admitted_when_full_and_leaves_debt() -> None:
    world = Limited(needing(tpm=rate(1_000, burst=100)))
    large = world.submit(**estimated(500))
    assert world.dispatched([large]) == [large]
    assert world.drawn("tpm", 1_000) == 500
    small = world.submit(**estimated(50))
    assert world.reason(small) == "rate:tpm"
    world.dispatcher.advance(26)  # of 500 drawn at 1,000 a minute, 50 fit into the burst of 100 after 27 s
    assert world.dispatcher.status(small) == "PARKED"
    world.dispatcher.advance(2)
    assert world.dispatcher.status(small) == "SUCCEEDED"


def test_a_large_charge_waits_until_the_bucket_is_full() -> None:
    world = Limited(needing(tpm=rate(1_000, burst=100)))
    world.submit(**estimated(100))
    large = world.submit(**estimated(500))
    assert world.reason(large) == "rate:tpm"
    world.dispatcher.advance(5)
    assert world.dispatcher.status(large) == "PARKED"
    world.dispatcher.advance(2)
    assert world.dispatcher.status(large) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("used", "after_seconds", "drawn"),
    [
        (1_900, 30, 2_000 - 500 - 100),  # refunded: its own window is not over
        (1_900, 90, 2_000 - 1_500),  # not refunded: it would add to a later window's burst
        (2_300, 90, 2_000 - 1_500 + 300),  # debt, whenever it is known
        (2_300, 150, 300),  # the bucket was full again
    ],
)
def test_actual_use_is_trued_up(used: int, after_seconds: int, drawn: int) -> None:
    world = Limited(needing(tpm=rate(1_000)))
    world.submit(**estimated(2_000))
    world.work = world.using(used)
    world.clock.advance(after_seconds * 1_000)
    world.run_one()
    assert world.drawn("tpm", 1_000) == drawn


def test_a_refund_makes_room_at_once() -> None:
    world = Limited(needing(tpm=rate(1_000)))
    first, second = world.submit(**estimated(600)), world.submit(**estimated(600))
    assert world.reason(second) == "rate:tpm"
    world.work = world.using(100)
    world.run_one()
    assert world.dispatcher.status(first) == "SUCCEEDED"
    assert world.dispatcher.status(second) == "DISPATCHED"
    assert world.drawn("tpm", 1_000) == 700


@pytest.mark.parametrize("after_seconds", [50, 55])
def test_a_refund_fills_the_bucket_and_not_beyond_in_the_commit_that_draws_again(after_seconds: int) -> None:
    """The slot is handed on, so refund and draw fall into one transaction."""
    world = Limited(needing(tpm=rate(1_000)), slots=1)
    world.submit(**estimated(900))
    second = world.submit(**estimated(800))
    world.clock.advance(after_seconds * 1_000)  # of the 54 that it takes to earn 900
    world.work = world.using(0)
    world.run_one()
    assert world.dispatcher.status(second) == "DISPATCHED"
    assert world.drawn("tpm", 1_000) == 800


def test_slots_are_taken_by_amount_and_given_back_to_who_waits() -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 3}}})
    first = world.submit(resources={"licence": 2})
    second = world.submit(resources={"licence": 2})
    third = world.submit(resources={"licence": 1}, tier="high")
    assert world.dispatched([first, second, third]) == [first, third]
    assert world.reason(second) == "rate:licence"
    assert world.resource("licence")["used"] == 3
    world.run_one()
    assert world.dispatcher.status(second) == "DISPATCHED"
    assert world.resource("licence")["used"] == 3
    world.dispatcher.run_until_idle()
    world.assert_all_given_back()


def test_slots_are_shared_by_all_pools_and_the_waiting_one_is_woken() -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 1}}})
    world.register("other", pool="far")
    world.submit(resources={"licence": 1})
    waiting = world.submit(resources={"licence": 1}, pool="far")
    assert world.reason(waiting) == "rate:licence"
    world.dispatcher.run_until_idle()
    assert world.dispatcher.status(waiting) == "SUCCEEDED"
    world.assert_all_given_back()


def test_what_needs_nothing_scarce_is_not_held_up() -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 1}}})
    world.submit_many(3, resources={"licence": 1})
    free = world.submit()
    assert world.dispatcher.status(free) == "DISPATCHED"


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": ({"resources": {"nothing": 1}}, "$.data.resources.nothing", "unknown_resource"),
    "more than there is": ({"resources": {"licence": 4}}, "$.data.resources.licence", "too_large"),
}


@pytest.mark.parametrize(("data", "field", "code"), REFUSED.values(), ids=REFUSED)
def test_what_could_never_run_is_refused_at_the_door(data: dict[str, Any], field: str, code: str) -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 3}}})
    task_id = world.submit(**data)
    assert world.dispatcher.task(task_id) is None
    [kept] = world.dispatcher.quarantined()
    assert (kept["field"], kept["code"]) == (field, code)
    [fact] = world.facts(FactName.TASK_REJECTED)
    assert (fact.data.field, fact.data.code) == (field, code)


def test_all_slots_at_once_and_more_than_a_burst_are_taken() -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 3}, "rpm": rate(5, unit="requests")}})
    task_id = world.submit(resources={"licence": 3, "rpm": 50})
    assert world.dispatcher.status(task_id) == "DISPATCHED"


def test_a_redelivery_of_an_accepted_task_is_not_refused_by_a_new_policy() -> None:
    world = Limited({"resources": {"licence": {"kind": "slots", "slots": 3}}})
    data: dict[str, Any] = {"idempotency_key": "k", "resources": {"licence": 3}}
    task_id = world.submit(**data)
    world.set({})
    assert world.submit(**data) == task_id
    assert world.dispatcher.quarantined() == []


def test_default_amounts_follow_the_policy_of_the_type() -> None:
    policy = Policy(resources={"tpm": Rate(per_minute=10)})
    task = a_task(resources={"tpm": 4})
    assert entry_of(task, policy).resources == (("tpm", 4),)
