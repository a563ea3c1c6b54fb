"""A tenant is erased: nothing of it is left anywhere, and nothing of anybody else's is touched."""

from collections.abc import Iterator
from typing import Any

import pytest

from pushlane.client.erasure import StillLiving
from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName, Nudge
from pushlane.ports import Item, Message, Put, Table, Update
from pushlane.state.access_keys import all_keys
from pushlane.state.event_log import event_key, head_key
from pushlane.state.items import number, texts, to_json
from pushlane.state.keys import task_key
from pushlane.state.ownership import owner_of, subject_of
from pushlane.state.principals import all_issuers, all_principals, tenant_status
from pushlane.testing.deliveries import RESULTS
from tests.unit.client.erased import GONE, KEPT, BreaksOff, ErasedWorld


def kept_items(world: ErasedWorld) -> dict[str, str]:
    """What of the other tenant does not change by itself while it goes on working: who is let in, what was logged."""
    items = [
        item
        for table in (Table.CONFIG, Table.EVENTS)
        for item in world.store.items(table)
        if KEPT in str(item) and item.key.sk != "HEAD" and not item.key.pk.startswith("SRC#")
    ]
    return {str(item.key): str(dict(item.attributes)) for item in items if "both" not in str(item)}


def connections(world: ErasedWorld) -> set[str]:
    return {str(item.key) for item in world.store.items(Table.CONNECTIONS) if KEPT in str(item)}


def test_nothing_is_left_and_nobody_else_is_touched() -> None:
    world = ErasedWorld()
    assert len(world.left_of(GONE)) > 50, "there is something to erase"
    before, connected = kept_items(world), connections(world)
    claims = [key for key in world.dispatcher.blobs.keys("") if KEPT in key]
    statuses = world.dispatcher.statuses(*world.own[KEPT])

    erased = world.erase()

    assert erased.complete
    assert erased.left == {}
    assert world.left_of(GONE) == []
    assert {"tasks", "workflows", "event logs", "keys", "claims", "lanes", "accounts", "limits"} <= set(erased.removed)
    assert {"schedules", "callbacks", "hooks", "roles", "issuers", "connections", "subscriptions", "facts"} <= set(
        erased.removed
    )
    after = kept_items(world)
    assert [key for key in before if after.get(key) != before[key]] == []
    assert connections(world) == connected
    assert [key for key in world.dispatcher.blobs.keys("") if KEPT in key] == claims
    found = world.dispatcher.statuses(*world.own[KEPT])
    assert [one is None for one in found] == [one is None for one in statuses]
    assert "CANCELLED" not in found


def test_what_was_measured_goes_with_the_tenant() -> None:
    world = ErasedWorld()
    for tenant_id in (GONE, KEPT):
        world.submit(tenant_id, task_type="nobody-does-this")
    world.dispatcher.run_until_idle()
    world.dispatcher.sweep()
    [sample] = [one for one in world.store.items(Table.MEASURES) if one.key.pk.startswith("SAMPLES#")]
    assert {GONE, KEPT} <= {str(lane).split("#")[1] for lane in texts(sample.attributes, "lanes")}
    assert any(GONE in one.key.pk for one in world.store.items(Table.MEASURES))

    removed = world.erase().removed

    assert removed["measures"] >= 2
    assert removed["samples"] >= 1
    left = world.store.items(Table.MEASURES)
    assert [one for one in left if GONE in str(one)] == []
    assert {KEPT in str(one) for one in left} == {True}


def test_a_result_that_comes_when_all_has_ended_leaves_nothing() -> None:
    """A nudge is delivered again: its task is gone, so what is said of it has to say whose it was."""
    world = ErasedWorld()
    attempt = world.dispatcher.take("slow")
    while attempt.dispatch.tenant_id != GONE:
        attempt = world.dispatcher.take("slow")
    attempt.succeed(nudge=False)
    outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=0, finished_at_ms=0)
    nudge = Message(to_json(Nudge(token=attempt.dispatch.token, runner=attempt.runner, outcome=outcome)))
    late: list[str] = []

    def sleep(seconds: float) -> None:
        if world.store.get([task_key(attempt.task_id)]) == {} and not late:
            late.append(attempt.task_id)
            world.dispatcher.sender.send(RESULTS, [nudge])
        world.dispatcher.advance(seconds)

    assert world.erasure(sleep=sleep).run().complete
    assert late
    assert len(world.dispatcher.facts_of(FactName.RESULT_STALE, attempt.task_id)) == 1
    world.own[GONE].append(attempt.task_id)
    assert world.left_of(GONE) == []


def test_what_is_told_while_its_log_goes_does_not_stay() -> None:
    world = ErasedWorld()
    told: list[str] = []

    class Tells:
        """Right behind the look at a log's events, one more comes."""

        def query(self, table: Table, pk: str, **how: Any) -> list[Item]:
            found = world.store.query(table, pk, **how)
            if table is Table.EVENTS and pk in world.own[GONE] and not found and not told:
                told.append(pk)
                head = world.store.get([head_key(pk)])[head_key(pk)]
                last = number(head.attributes, "last") + 1
                world.store.write(Update(head.key, set={"last": last}))
                world.store.write(Put(event_key(pk, last), {"event": "{}"}))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

    store: Any = Tells()
    assert world.erasure(store=store).run().complete
    assert told
    assert world.left_of(GONE) == []


def test_what_counts_stays_right() -> None:
    world = ErasedWorld()
    world.erase()
    for swept in world.dispatcher.advance_with_sweeps(3):
        assert (swept.repaired, swept.failed) == (0, ())
    assert not world.dispatcher.facts_of(FactName.CAPACITY_REPAIRED)
    # The slots that it held are there for the others.
    taken = 0
    while taken < 100:
        try:
            world.dispatcher.take("slow").succeed()
        except LookupError:
            break
        taken += 1
        world.dispatcher.run_until_idle()
    assert taken >= 3
    assert world.dispatcher.used("slow") == 0
    assert world.left_of(GONE) == []


def test_doors_refuse_it_from_the_first_moment() -> None:
    world = ErasedWorld()
    statuses: list[str | None] = []

    def sleep(seconds: float) -> None:
        statuses.append(tenant_status(world.store, GONE))
        world.dispatcher.advance(seconds)
        world.dispatcher.submit(tenant_id=GONE, task_type="work", payload={"late": True})
        world.dispatcher.command("RedriveTask", tenant_id=GONE, task_id=world.own[GONE][1])
        world.dispatcher.run_until_idle()

    world.erasure(sleep=sleep).run()
    assert set(statuses) == {"erasing"}
    late = [one for one in world.dispatcher.quarantined() if "late" in str(one)]
    assert {one["code"] for one in late} == {"unknown_tenant"}
    assert late


def test_again_changes_nothing() -> None:
    world = ErasedWorld()
    world.erase()
    before = [(item.key, dict(item.attributes)) for item in world.everything()]
    again = world.erase()
    assert again.complete
    assert (again.cancelled, again.removed) == (0, {})
    assert [(item.key, dict(item.attributes)) for item in world.everything()] == before


def test_an_attempt_that_goes_on_has_its_grace_and_nothing_is_removed_before() -> None:
    world = ErasedWorld()
    attempt = world.dispatcher.take("slow", heartbeat=True)
    while attempt.dispatch.tenant_id != GONE:
        attempt = world.dispatcher.take("slow", heartbeat=True)
    ids = set(world.own[GONE])
    with pytest.raises(StillLiving, match="run it again"):
        world.erasure().run(timeout_seconds=5)
    assert world.dispatcher.status(attempt.task_id) == "DISPATCHED"
    assert ids <= {item.key.pk for item in world.store.items(Table.TASKS)}
    assert not [key for key in all_keys(world.store) if key.tenant_id == GONE], "but nobody speaks for it any more"
    assert world.erase().complete
    assert world.left_of(GONE) == []


@pytest.mark.parametrize("at", [1, 2, 5, 20, 60, 120])
def test_it_may_break_off_anywhere(at: int) -> None:
    world = ErasedWorld()
    broken: Any = BreaksOff(world.store, at)
    with pytest.raises(StoreUnavailable):
        world.erasure(store=broken).run()
    for again in (at, 2 * at):
        try:
            world.erasure(store=BreaksOff(world.store, again)).run()
        except StoreUnavailable:
            continue
    assert world.erase().complete
    assert world.left_of(GONE) == []
    assert world.dispatcher.sweep().repaired == 0


def test_access_goes_and_that_of_others_stays() -> None:
    world = ErasedWorld()
    world.erase()
    assert {key.tenant_id for key in all_keys(world.store)} == {KEPT}
    assert {(one.name, one.tenants) for one in all_issuers(world.store)} == {("both", (KEPT,)), (KEPT, (KEPT,))}
    assert [one.tenant_id for one in all_principals(world.store)] == [KEPT]
    assert len(world.forgotten) == 1
    assert tenant_status(world.store, GONE) is None
    assert tenant_status(world.store, KEPT) == "active"


def test_a_tenant_that_names_another_in_its_data_is_not_taken_for_it() -> None:
    world = ErasedWorld()
    spoof = {"tenant_id": GONE, "principal": {"tenant_id": GONE}}
    mine = world.submit(KEPT, task_type="work", payload=spoof)
    world.dispatcher.run_until_idle()
    world.erase()
    assert world.dispatcher.status(mine) == "SUCCEEDED"
    stored = world.dispatcher.task(mine)
    assert stored is not None
    for name in ("result", "checkpoint", "payload", "document", "event", "progress"):
        item = Item(key=next(iter(world.store.items(Table.TASKS))).key, attributes={name: f'{{"tenant_id":"{GONE}"}}'})
        assert owner_of(item) is None, name


def test_every_item_of_a_tenant_is_known_as_its_own() -> None:
    """What is in no table of rules here would be left behind by an erasure: this names it."""
    world = ErasedWorld()
    beside = {item.key.pk for item in world.store.items(Table.TASKS) if item.key.sk in ("TASK", "WORKFLOW")}
    logs = {item.key.pk for item in world.store.items(Table.EVENTS) if item.key.sk == "HEAD"}

    def unknown() -> Iterator[str]:
        for item in world.everything():
            named = [one for one in (GONE, *world.own[GONE]) if one in f"{item.key}{dict(item.attributes)}"]
            pk = item.key.pk.removeprefix("SRC#")
            known = owner_of(item) or subject_of(item) or (pk if pk in beside | logs else None)
            if named and known is None and item.key.pk != "ISSUERS":  # one may speak for several
                yield f"{item.key}: {dict(item.attributes)}"

    assert list(unknown()) == []
