"""The policy changes while tasks hold what it speaks of: nothing leaks, and all is given back as it was taken."""

from typing import Any

import pytest

from pushlane.model.events import FactName
from pushlane.model.task import Tier
from tests.unit.router.limited import Limited


def limited(**rules: Any) -> dict[str, Any]:
    return {"tenants": {"atlas": rules}}


def estimated(tokens: int) -> dict[str, Any]:
    return {"estimate": {"tokens": tokens}}


FULL: dict[str, Any] = {
    "tenants": {"atlas": {"in_flight_max": 4, "tokens_per_day": {"hard": 10_000}}},
    "resources": {
        "tpm": {"kind": "rate", "per_minute": 100_000, "shards": 4},
        "licence": {"kind": "slots", "slots": 4},
    },
    "task_types": {"echo": {"resources": ["tpm", "licence"]}},
}
CHANGES: dict[str, dict[str, Any]] = {
    "everything removed": {},
    "cap below use": {**FULL, "tenants": {"atlas": {"in_flight_max": 1, "tokens_per_day": {"hard": 10}}}},
    "slots below use": {**FULL, "resources": {**FULL["resources"], "licence": {"kind": "slots", "slots": 1}}},
    "fewer shards": {**FULL, "resources": {**FULL["resources"], "tpm": {"kind": "rate", "per_minute": 1_000}}},
    "kinds exchanged": {
        **FULL,
        "resources": {"licence": {"kind": "rate", "per_minute": 60}, "tpm": {"kind": "slots", "slots": 500}},
    },
    "a resource more": {
        "resources": {**FULL["resources"], "page": {"kind": "slots", "slots": 1}},
        "task_types": {"echo": {"resources": ["tpm", "licence", "page"]}},
    },
    "other weights": {**FULL, "default_tenant": {"weight": 7}, "token_cost_ms": 3},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("back", [False, True], ids=["stays", "and back"])
@pytest.mark.parametrize("first", [FULL, {}], ids=["limited", "unlimited"])
def test_a_policy_changed_while_tasks_hold_something_leaks_nothing(
    first: dict[str, Any], back: bool, changed: dict[str, Any]
) -> None:
    world = Limited(first)
    world.work = world.using(tokens=300)
    early = world.submit_many(6, **estimated(200))
    world.set(changed)
    late = [one for one in world.submit_many(3, **estimated(9)) if world.dispatcher.task(one) is not None]
    assert len(late) == (0 if changed is CHANGES["cap below use"] and first is FULL else 3)
    if back:
        world.run_one()
        world.set(first)
    world.dispatcher.advance(120)
    world.dispatcher.sweep()
    world.dispatcher.run_until_idle()
    world.dispatcher.advance(2 * 24 * 3_600)  # past a budget that was lowered below use, with room for what waits
    world.set({**changed, "tenants": {}} if not back else first)
    world.dispatcher.sweep()
    world.dispatcher.run_until_idle()
    assert {world.dispatcher.status(task_id) for task_id in (*early, *late)} == {"SUCCEEDED"}
    assert world.facts(FactName.CAPACITY_REPAIRED) == []
    assert [said for event, said in world.dispatcher.logged if event == "turn-failed"] == []
    world.assert_all_given_back()


def test_a_lowered_cap_admits_nothing_until_there_is_room_under_it() -> None:
    world = Limited(limited(in_flight_max=3))
    world.submit_many(3)
    world.set(limited(in_flight_max=1))
    waiting = world.submit()
    for _ in range(2):
        world.run_one()
        assert world.reason(waiting) == "tenant-quota"
    world.run_one()
    assert world.dispatcher.status(waiting) == "DISPATCHED"


def test_a_changed_weight_holds_for_what_is_charged_from_then_on() -> None:
    world = Limited(limited(weight=1), slots=1)
    world.submit()
    second = world.submit()
    world.clock.advance(1)
    third = world.submit()
    start_ms = world.account()["virtual_ms"]
    world.work = world.using(tokens=0, runtime_ms=1_000)
    world.run_one()
    assert world.dispatcher.status(second) == "DISPATCHED"
    world.set(limited(weight=10))
    world.run_one()
    world.run_one()
    assert world.dispatcher.status(third) == "SUCCEEDED"
    assert world.account(tier=Tier.NORMAL)["virtual_ms"] == start_ms + 1_000 + 100
