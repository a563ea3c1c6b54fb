"""No wake-up is lost between pools: write the mark, then look; and dying in between loses nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import FactName
from pushlane.model.ids import keyed_task_id
from pushlane.ports import Table, Update, Write
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import WAKEUPS
from tests.unit.router.faults import Beside, FailAt
from tests.unit.router.two_pools import HOME, OTHER, TENANTS, a_dispatcher, marked, put, taken, used


def leaves_a_mark(operations: Sequence[Write]) -> bool:
    return any(one.key.sk.startswith(keys.WAITS_PREFIX) for one in operations)


def frees_a_slot(operations: Sequence[Write]) -> bool:
    return any(isinstance(one, Update) and one.add.get("used", 0) < 0 for one in operations)


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_slot_that_frees_while_the_mark_is_left_is_seen(moment: str) -> None:
    beside = Beside()
    dispatcher = a_dispatcher(faults=beside)
    put(dispatcher, "own", OTHER)
    put(dispatcher, "home")
    busy = taken(dispatcher, OTHER)

    def frees() -> None:
        busy.succeed()
        dispatcher._deliver("queue/results")

    beside.when = leaves_a_mark
    setattr(beside, moment, frees)
    guest = put(dispatcher, "guest")
    assert beside.over
    assert dispatcher.status(guest) == "DISPATCHED"


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_mark_that_is_left_while_the_slot_frees_is_seen(moment: str) -> None:
    beside = Beside()
    dispatcher = a_dispatcher(faults=beside)
    put(dispatcher, "own", OTHER)
    put(dispatcher, "home")
    busy = taken(dispatcher, OTHER)

    def parks() -> None:
        dispatcher.submit(idempotency_key="guest", tenant_id="atlas", pool=HOME)
        dispatcher._deliver_intake()

    beside.when = frees_a_slot
    setattr(beside, moment, parks)
    busy.succeed()
    dispatcher.run_until_idle()
    assert beside.over
    assert dispatcher.status(keyed_task_id("atlas", "guest")) == "DISPATCHED"


def test_a_wake_up_that_is_lost_between_freeing_and_telling_is_made_good_by_the_sweep() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "own", OTHER)
    put(dispatcher, "home")
    guest = put(dispatcher, "guest")
    assert marked(dispatcher) == ["WAITS#home"]
    taken(dispatcher, OTHER).succeed()
    dispatcher._deliver("queue/results")
    assert dispatcher.sender.drain(WAKEUPS) != []
    assert dispatcher.status(guest) == "PARKED"
    dispatcher.sweep()
    assert dispatcher.status(guest) == "DISPATCHED"


def test_a_mark_is_written_once_and_not_on_every_look() -> None:
    dispatcher = a_dispatcher()
    put(dispatcher, "own", OTHER)
    put(dispatcher, "home")
    put(dispatcher, "guest")
    before = dispatcher.store.items(Table.SCHEDULER)
    written: list[Sequence[Write]] = []

    class Watch:
        def before(self, name: str, operations: Sequence[Write]) -> None:
            if operations:
                written.append(operations)

        def after(self, name: str, operations: Sequence[Write]) -> None:
            """Nothing happens."""

    dispatcher.store._faults = Watch()
    for _ in range(3):
        dispatcher.sweep()
    put(dispatcher, "guest-2")
    assert dispatcher.store.items(Table.SCHEDULER) != before
    assert [one for operations in written for one in operations if leaves_a_mark([one])] == []


def test_shared_slots_that_free_in_one_pool_wake_the_other_that_waits_for_them() -> None:
    dispatcher = a_dispatcher(home=4, other=4)
    dispatcher.set_policy(resources={"gpu": {"kind": "slots", "slots": 1}})
    put(dispatcher, "a", OTHER, resources={"gpu": 1})
    waits = put(dispatcher, "b", HOME, resources={"gpu": 1})
    assert dispatcher.status(waits) == "PARKED"
    taken(dispatcher, OTHER).succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(waits) == "DISPATCHED"


# Dying in between


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return payload


def two_pools(faults: FailAt) -> tuple[InMemoryDispatcher, list[str]]:
    """Lending, handing on, a full lane that overflows, and the lender's own work, all at once."""
    dispatcher = InMemoryDispatcher(tenants=TENANTS, faults=faults)
    dispatcher.register(echo, agent_id="one", pool=HOME)
    dispatcher.register(echo, agent_id="one", pool=OTHER)
    dispatcher.set_policy(pools={HOME: {"lane_max": 2, "overflow_pool": OTHER}})
    faults.armed = True
    tasks = [dispatcher.submit(idempotency_key=f"k{n}", tenant_id="atlas", pool=HOME) for n in range(6)]
    tasks += [dispatcher.submit(idempotency_key=f"o{n}", tenant_id="borea", pool=OTHER) for n in range(2)]
    dispatcher.run_until_idle()
    faults.armed = False
    return dispatcher, tasks


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_every_task_of_both_pools_ends_once_and_no_slot_stays_taken(moment: str) -> None:
    counted = FailAt(None, "never")
    two_pools(counted)
    assert counted.calls > 60
    for number in range(1, counted.calls + 1):
        dispatcher, tasks = two_pools(FailAt(number, moment))
        dispatcher.advance_with_sweeps(4)
        where = f"call {number} of {counted.calls} failing {moment}"
        assert set(dispatcher.statuses(*tasks)) == {"SUCCEEDED"}, where
        assert len(dispatcher.facts_of(FactName.TASK_SUCCEEDED)) == len(tasks), where
        assert (used(dispatcher), dispatcher.waiting(HOME), dispatcher.waiting(OTHER)) == ((0, 0), 0, 0), where


def test_a_slot_that_frees_while_a_pool_that_is_served_marks_itself_anew_is_seen() -> None:
    beside = Beside(leaves_a_mark)
    dispatcher = a_dispatcher(other=2, faults=beside)
    put(dispatcher, "own-1", OTHER)
    put(dispatcher, "own-2", OTHER)
    put(dispatcher, "home")
    first, second = taken(dispatcher, OTHER), taken(dispatcher, OTHER)
    guests = [put(dispatcher, key) for key in ("guest-1", "guest-2")]

    def frees() -> None:
        second.succeed()
        dispatcher._deliver("queue/results")

    beside.early = frees
    first.succeed()
    dispatcher.run_until_idle()
    assert beside.over
    assert dispatcher.statuses(*guests) == ["DISPATCHED", "DISPATCHED"]
