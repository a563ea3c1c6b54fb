"""A full lane overflows into that of the other pool; what is full there too is refused, and can be replayed."""

from collections import Counter
from typing import Any

import msgspec

from pushlane.model.events import FactName, HeldRecord
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import Door, Tier
from pushlane.ports import Message
from pushlane.state import keys
from pushlane.state.items import account_of, to_json
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import HELD
from tests.unit.router.two_pools import HOME, OTHER, a_dispatcher, put, taken, used


def full_lanes(**more: Any) -> InMemoryDispatcher:
    dispatcher = a_dispatcher(**more)
    rules = {HOME: {"lane_max": 2, "overflow_pool": OTHER}, OTHER: {"lane_max": 2}}
    dispatcher.set_policy(pools=rules)
    return dispatcher


def virtual_ms(dispatcher: InMemoryDispatcher, pool: str) -> int:
    key = keys.account_key(pool, Tier.NORMAL, "atlas")
    return account_of(dispatcher.store.get([key])[key].attributes).virtual_ms


def put_all(dispatcher: InMemoryDispatcher, *task_keys: str) -> list[str]:
    """In one batch, so that nothing of it is held back."""
    tasks = [dispatcher.submit(idempotency_key=key, tenant_id="atlas", pool=HOME) for key in task_keys]
    dispatcher.run_until_idle()
    return tasks


def test_a_full_lane_overflows_to_the_other_pools_and_then_refuses_into_quarantine() -> None:
    dispatcher = full_lanes()
    tasks = put_all(dispatcher, *"abcdefg")
    assert Counter(dispatcher.statuses(*tasks)) == {"DISPATCHED": 2, "PARKED": 4, None: 1}
    assert (dispatcher.waiting(HOME), dispatcher.waiting(OTHER)) == (2, 2)
    [kept] = dispatcher.quarantined()
    assert (kept["code"], kept["tenant_id"]) == ("lane_full", "atlas")
    assert kept["retry_after_seconds"] >= 1
    [fact] = dispatcher.facts_of(FactName.TASK_REJECTED)
    assert fact.data.tenant_id == "atlas"
    assert "try again after" in str(fact.data.reason)
    other_tenant = put(dispatcher, "quiet", tenant_id="borea")
    assert dispatcher.status(other_tenant) == "PARKED"


def test_a_tenant_is_held_back_once_the_other_pools_lane_fills_too_and_not_before() -> None:
    dispatcher = full_lanes()
    put_all(dispatcher, *"abcd")
    assert dispatcher.waiting(HOME) == 2
    assert dispatcher.held.over(HOME, "atlas", dispatcher.clock.now_ms(), Tier.NORMAL) is None
    put_all(dispatcher, *"ef")
    assert dispatcher.waiting(OTHER) == 2
    assert dispatcher.held.over(HOME, "atlas", dispatcher.clock.now_ms(), Tier.NORMAL) == 15


def test_what_overflowed_runs_in_the_other_pool_and_says_where_it_came_from() -> None:
    dispatcher = full_lanes()
    moved = [put(dispatcher, f"k{number}") for number in range(6)][-1]
    for _ in range(12):
        for pool in (HOME, OTHER):
            try:
                taken(dispatcher, pool).succeed()
            except LookupError:
                continue
        dispatcher.run_until_idle()
    assert dispatcher.status(moved) == "SUCCEEDED"
    stored = dispatcher.task(moved)
    assert stored is not None
    body = msgspec.json.decode(str(stored["body"]))
    assert (body["pool"], body["home_pool"], stored["pool"]) == (OTHER, HOME, OTHER)
    assert used(dispatcher) == (0, 0)


def test_what_overflowed_is_charged_in_its_home_pool_as_well_and_trued_up_there() -> None:
    dispatcher = full_lanes()
    put_all(dispatcher, *"abcdef")
    before = virtual_ms(dispatcher, HOME)
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert virtual_ms(dispatcher, HOME) == before + 30_000
    dispatcher.clock.advance(1_000)
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert before < virtual_ms(dispatcher, HOME) <= before + 30_000 + 2_000


def test_what_was_refused_is_the_same_task_when_it_is_replayed() -> None:
    dispatcher = full_lanes()
    [refused] = [one for one in put_all(dispatcher, *"abcdefg") if dispatcher.status(one) is None]
    [kept] = dispatcher.quarantined()
    dispatcher.advance(20)  # its tenant is no longer held back
    for _ in range(12):
        for pool in (HOME, OTHER):
            try:
                taken(dispatcher, pool).succeed()
            except LookupError:
                continue
        dispatcher.run_until_idle()
    again = HeldRecord(door=Door(kept["door"]), source_id=kept["source_id"], body=msgspec.Raw(kept["body"].encode()))
    for _ in range(2):  # a replay that is delivered twice is still the one task
        dispatcher.sender.send(HELD, [Message(to_json(again))])
        dispatcher.run_until_idle()
    assert dispatcher.status(refused) == "DISPATCHED"
    assert dispatcher.quarantined() == []
    assert len(dispatcher.facts_of(FactName.TASK_ACCEPTED, refused)) == 1


def test_a_redelivered_record_of_an_overflowed_task_is_recognised_and_pushed_again() -> None:
    dispatcher = full_lanes(home=1, other=1)
    for number in range(5):
        put(dispatcher, f"k{number}")
    moved = keyed_task_id("atlas", "k4")
    assert dispatcher.waiting(OTHER) == 1
    before = len(dispatcher.facts_of(FactName.TASK_ACCEPTED))
    put(dispatcher, "k4")
    assert len(dispatcher.facts_of(FactName.TASK_ACCEPTED)) == before
    assert dispatcher.quarantined() == []
    assert dispatcher.status(moved) == "PARKED"
