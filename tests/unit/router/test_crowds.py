"""Many of everything at once: tenants at their cap, kinds of work, attempts of one task, times far away. A limit of the
store that one of them meets would stop a whole pool.
"""

from collections.abc import Mapping
from typing import Any

from pushlane.agent import TaskContext, agent
from pushlane.model.attempt import ErrorDetail
from pushlane.model.times import TIME_MS_MAX, sortable
from pushlane.ports import Table
from pushlane.state import keys
from pushlane.state.transitions import HISTORY_MAX, HISTORY_MESSAGE_MAX, failed_with
from pushlane.testing import InMemoryDispatcher

TENANTS = tuple(f"tenant-{number:03d}" for number in range(140))


@agent(task_types=("work",))
def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if seconds := payload.get("sleep"):
        ctx.sleep(seconds)
    if ctx.attempt <= payload.get("failures", 0):
        raise RuntimeError("as ordered")
    return {}


def statuses(dispatcher: InMemoryDispatcher, ids: list[str]) -> set[str | None]:
    return {dispatcher.status(one) for one in ids}


def test_more_tenants_at_their_cap_than_a_transaction_has_room_for() -> None:
    dispatcher = InMemoryDispatcher(tenants=TENANTS)
    dispatcher.register(None, agent_id="one", slots=150, capabilities=("work",))
    dispatcher.set_policy(default_tenant={"in_flight_max": 1})
    ids = [dispatcher.submit(tenant_id=one, task_type="work") for one in (*TENANTS, *TENANTS)]
    dispatcher.run_until_idle()
    assert [dispatcher.status(one) for one in ids].count("DISPATCHED") == len(TENANTS)
    for _ in ids:
        dispatcher.take("one").succeed()
        dispatcher.run_until_idle()
    assert statuses(dispatcher, ids) == {"SUCCEEDED"}
    assert dispatcher.used("one") == 0


def test_more_kinds_of_work_than_a_pool_is_read_of_at_once() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(work, agent_id="one", slots=2)
    odd = [dispatcher.submit(task_type="odd", capabilities=[f"nobody-{number}"]) for number in range(1_050)]
    dispatcher.run_until_idle()
    assert statuses(dispatcher, odd) == {"PARKED"}
    retry = {"max_attempts": 3, "backoff_seconds": 1}
    ids = [dispatcher.submit(task_type="work", payload={"failures": 1}, retry=retry) for _ in range(5)]
    dispatcher.advance(60)
    assert statuses(dispatcher, ids) == {"SUCCEEDED"}
    for one in odd:
        dispatcher.command("CancelTask", tenant_id="atlas", task_id=one)
    dispatcher.run_until_idle()
    assert statuses(dispatcher, odd) == {"CANCELLED"}
    dispatcher.advance_with_sweeps(8)
    assert not [one for one in dispatcher.store.items(Table.SCHEDULER) if one.key.sk.startswith(keys.SHAPE_PREFIX)]
    again = dispatcher.submit(task_type="odd", capabilities=["nobody-1"])
    dispatcher.run_until_idle()
    assert dispatcher.status(again) == "PARKED"


def test_times_far_away_sort_behind_all_others_and_hide_nothing_that_is_due() -> None:
    assert sortable(-1) < sortable(1_800_000_000_000) < sortable(2**52) == sortable(TIME_MS_MAX)
    dispatcher = InMemoryDispatcher()
    dispatcher.register(work, agent_id="one", slots=4)
    far = [dispatcher.submit(task_type="work", payload={"sleep": 10.0**12}) for _ in range(15)]
    dispatcher.run_until_idle()
    assert statuses(dispatcher, far) == {"SUSPENDED"}
    soon = dispatcher.submit(task_type="work", payload={"failures": 1}, retry={"backoff_seconds": 1})
    dispatcher.advance(30)
    assert dispatcher.status(soon) == "SUCCEEDED"


def test_the_errors_of_a_thousand_attempts_take_no_more_room_than_those_of_twenty() -> None:
    error = ErrorDetail(error_type="Throttled", message="x" * 2_000)
    kept: dict[str, Any] = {}
    for epoch in range(1, 1_001):
        kept |= failed_with(error, epoch, "one", 0)
    assert len(kept) == HISTORY_MAX + 1
    assert sum(len(str(value)) for value in kept.values()) < HISTORY_MAX * (HISTORY_MESSAGE_MAX + 200) + 3_000
