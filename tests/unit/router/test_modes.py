"""A tenant's mode over the in-memory whole: who gets its tasks, and what becomes of those that wait when it changes."""

from typing import Any

import pytest

from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.mode import Route, route_of_share
from pushlane.ports import Message
from pushlane.router.claim import Claimed, claim
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.by_hand import LEASE_MS, AttemptByHand

PULL = Endpoint(kind=EndpointKind.PULL)
POLL = {"mode": "poll"}
PUSH = {"mode": "push"}


def percent(share: int) -> dict[str, Any]:
    return {"mode": "percent", "push_percent": share}


def a_world(slots: int = 20, **modes: dict[str, Any]) -> InMemoryDispatcher:
    """One agent that is pushed to, one that claims."""
    dispatcher = InMemoryDispatcher(tenants=("atlas", "boreal"))
    dispatcher.register(None, agent_id="pushed", slots=slots, capabilities=("work",))
    dispatcher.register(None, agent_id="poller", slots=slots, capabilities=("work",), endpoint=PULL)
    dispatcher.set_policy(tenants=modes)
    return dispatcher


def submit(dispatcher: InMemoryDispatcher, count: int, tenant_id: str = "atlas", **more: Any) -> list[str]:
    made = [dispatcher.submit(task_type="work", tenant_id=tenant_id, payload={"n": n}, **more) for n in range(count)]
    dispatcher.run_until_idle()
    return made


def change(dispatcher: InMemoryDispatcher, **modes: dict[str, Any]) -> None:
    """As `pushlane migrate set` does: the policy, and then a look at every pool."""
    dispatcher.set_policy(tenants=modes)
    dispatcher.sweep()
    dispatcher.run_until_idle()


def claimed(dispatcher: InMemoryDispatcher, claim_id: str, at_most: int = 10) -> tuple[Claimed, ...]:
    return claim(dispatcher.turn, dispatcher.pusher, "default", "poller", claim_id, at_most)


def run_claimed(dispatcher: InMemoryDispatcher, found: tuple[Claimed, ...]) -> list[str]:
    for one in found:
        AttemptByHand(Message(one.document), dispatcher.agent_ports(), LEASE_MS).succeed()
    dispatcher.run_until_idle()
    return sorted(one.task_id for one in found)


@pytest.mark.parametrize("mode", ["poll", "shadow"])
def test_tasks_of_a_polled_tenant_wait_for_a_claim_beside_free_slots_of_others(mode: str) -> None:
    dispatcher = a_world(atlas={"mode": mode})
    made = submit(dispatcher, 3)
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (0, 3)
    assert run_claimed(dispatcher, claimed(dispatcher, "c-1")) == sorted(made)


def test_tasks_of_a_pushed_tenant_are_never_claimed() -> None:
    dispatcher = a_world(slots=2, atlas=PUSH)
    submit(dispatcher, 5)
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (2, 3)
    assert claimed(dispatcher, "c-1") == ()


def test_without_a_mode_whoever_is_free_first_gets_it() -> None:
    dispatcher = a_world(slots=2)
    submit(dispatcher, 3)
    assert (dispatcher.used("pushed"), len(claimed(dispatcher, "c-1"))) == (2, 1)


def test_what_waits_for_pollers_is_pushed_once_its_tenant_is() -> None:
    dispatcher = a_world(atlas=POLL)
    submit(dispatcher, 4)
    change(dispatcher, atlas=PUSH)
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (4, 0)


def test_what_waits_for_a_push_goes_to_pollers_at_once_on_the_way_back() -> None:
    dispatcher = a_world(slots=1, atlas=PUSH)
    submit(dispatcher, 3)
    dispatcher.set_policy(tenants={"atlas": POLL})
    assert len(claimed(dispatcher, "c-1")) == 1
    assert dispatcher.used("pushed") == 1  # what runs there ends there


def test_what_was_pushed_and_never_started_goes_to_pollers_after_its_start_lease_at_no_cost_to_its_retries() -> None:
    dispatcher = a_world(atlas=PUSH)
    [task_id] = submit(dispatcher, 1, retry={"max_attempts": 1})
    dispatcher.set_policy(tenants={"atlas": POLL})
    dispatcher.advance(START_LEASE_MS / 1_000 + 2)
    assert run_claimed(dispatcher, claimed(dispatcher, "c-1")) == [task_id]
    assert dispatcher.status(task_id) == "SUCCEEDED"
    late = dispatcher.sender.drain("queue/agent/pushed")
    assert len(late) == 1  # the push that nobody heard can start nothing any more
    with pytest.raises(LookupError):
        dispatcher.take("pushed")


def test_what_was_claimed_and_never_started_is_pushed_after_its_start_lease() -> None:
    dispatcher = a_world(atlas=POLL)
    [task_id] = submit(dispatcher, 1)
    assert len(claimed(dispatcher, "c-1")) == 1
    change(dispatcher, atlas=PUSH)
    dispatcher.advance(START_LEASE_MS / 1_000 + 2)
    dispatcher.take("pushed").succeed()
    dispatcher.run_until_idle()
    assert (dispatcher.status(task_id), claimed(dispatcher, "c-2")) == ("SUCCEEDED", ())


def test_a_percentage_goes_by_the_tasks_id_and_neither_way_hides_the_other() -> None:
    dispatcher = a_world(atlas=percent(30))
    made = submit(dispatcher, 40)
    pushed = {one for one in made if route_of_share(one, 30) is Route.PUSH}
    assert 4 < len(pushed) < 22
    assert dispatcher.used("pushed") == len(pushed) <= 20
    found: list[str] = []
    while some := claimed(dispatcher, f"c-{len(found)}"):
        found += run_claimed(dispatcher, some)
    assert set(found) == set(made) - pushed


def test_a_higher_percentage_pushes_everything_that_a_lower_one_pushes() -> None:
    ids = [f"t-{n}" for n in range(2_000)]
    shares = {p: {one for one in ids if route_of_share(one, p) is Route.PUSH} for p in (0, 10, 50, 100)}
    assert shares[0] == set()
    assert shares[100] == set(ids)
    assert shares[10] < shares[50]
    assert 150 < len(shares[10]) < 250
    assert 900 < len(shares[50]) < 1_100


def test_a_share_of_what_comes_is_no_share_of_what_waits_already() -> None:
    """A canary that got the whole backlog would be none."""
    dispatcher = a_world(atlas=POLL)
    made = submit(dispatcher, 6)
    change(dispatcher, atlas=percent(10))
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (0, 6)
    assert run_claimed(dispatcher, claimed(dispatcher, "c-1", 6)) == sorted(made)
    change(dispatcher, atlas=POLL)
    submit(dispatcher, 3)
    change(dispatcher, atlas=percent(100))
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (3, 0)


def test_from_a_percentage_to_either_side_what_waits_follows() -> None:
    dispatcher = a_world(slots=4, atlas=percent(50))
    submit(dispatcher, 30)
    waiting = dispatcher.waiting()
    assert dispatcher.used("pushed") == 4
    dispatcher.set_policy(tenants={"atlas": POLL})
    assert len(claimed(dispatcher, "c-1")) == 4
    change(dispatcher, atlas=PUSH)
    for _ in range(4):
        dispatcher.take("pushed").succeed()
    dispatcher.run_until_idle()
    assert (dispatcher.used("pushed"), dispatcher.waiting()) == (4, waiting - 8)


def test_a_backlog_for_pollers_keeps_no_pushed_tenant_waiting_and_the_other_way_round() -> None:
    dispatcher = a_world(slots=3, atlas=POLL, boreal=PUSH)
    polled = submit(dispatcher, 60)
    submit(dispatcher, 5, "boreal")
    assert dispatcher.used("pushed") == 3
    assert set(run_claimed(dispatcher, claimed(dispatcher, "c-1", 3))) <= set(polled)
    for _ in range(3):
        dispatcher.take("pushed").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.used("pushed") == 2


def test_many_polled_tenants_hide_no_pushed_one() -> None:
    names = [f"tenant-{n:02}" for n in range(40)]
    dispatcher = InMemoryDispatcher(tenants=(*names, "atlas"))
    dispatcher.register(None, agent_id="pushed", slots=1, capabilities=("work",))
    dispatcher.register(None, agent_id="poller", slots=1, capabilities=("work",), endpoint=PULL)
    dispatcher.set_policy(default_tenant=POLL, tenants={"atlas": PUSH})
    for name in names:
        submit(dispatcher, 1, name)
    first, second = submit(dispatcher, 2, "atlas")
    dispatcher.take("pushed").succeed()
    dispatcher.run_until_idle()
    assert {dispatcher.status(first), dispatcher.status(second)} == {"SUCCEEDED", "DISPATCHED"}


def test_a_waiting_task_says_that_it_is_for_pollers() -> None:
    dispatcher = a_world(atlas=POLL)
    submit(dispatcher, 2)
    facts = [one.data for one in dispatcher.facts if one.metadata.name.value == "TaskParked"]
    assert [getattr(one, "reason", None) for one in facts] == ["claim", "claim"]


def test_a_backlog_for_pollers_keeps_no_turn_going_beside_free_slots() -> None:
    dispatcher = a_world(atlas=POLL)
    submit(dispatcher, 5)
    dispatcher.sweep()
    dispatcher.run_until_idle()
    before = len(dispatcher.logged)
    dispatcher.advance(600)
    assert [event for event, _ in dispatcher.logged[before:] if event == "turn"] == []
    assert dispatcher.sender.next_visible_of("queue/wakeups") is None
