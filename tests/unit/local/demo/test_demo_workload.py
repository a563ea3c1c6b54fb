"""What the demonstration submits."""

from collections import Counter

import pytest

from pushlane.client.envelope import prepare
from pushlane.local.demo.workload import NOISY_TENANT, QUIET_TENANTS, TASKS_MIN
from pushlane.model.ids import keyed_task_id
from pushlane.model.task import EVENT_DOORS
from tests.unit.local.demo.worlds import planned


@pytest.mark.parametrize("count", [1, 3, 40])
def test_there_are_enough_tasks_and_no_two_are_the_same(count: int) -> None:
    plan = planned(count)
    assert len(plan) >= TASKS_MIN
    assert len({order.task_id for order in plan}) == len(plan)


def test_every_order_is_a_valid_submission() -> None:
    for order in planned():
        assert prepare(order.data, fresh_key="unused").task_id == order.task_id


def test_each_quiet_tenant_submits_every_document() -> None:
    extracted = Counter(o.data.tenant_id for o in planned(5) if o.data.task_type == "extract" and not o.fails_because)
    assert extracted == dict.fromkeys(QUIET_TENANTS, 5)


def test_the_doors_share_the_work() -> None:
    by_door = Counter(order.door for order in planned())
    assert set(by_door) == set(EVENT_DOORS)
    assert max(by_door.values()) - min(by_door.values()) <= 1


def test_a_tenth_goes_in_again_through_another_door() -> None:
    plan = planned()
    again = [order for order in plan if order.again]
    assert len(plan) / 11 <= len(again) <= len(plan) / 9
    assert all(order.again is not order.door for order in again)


def test_some_are_meant_to_fail_and_few_enough() -> None:
    plan = planned()
    failing = [order for order in plan if order.fails_because]
    assert 0 < len(failing) < 0.05 * len(plan)
    assert {order.data.tenant_id for order in failing} == {NOISY_TENANT}
    assert not any(order.chained_ids or order.again for order in failing)


def test_chained_ids_are_those_that_the_follow_up_rules_make() -> None:
    order = next(order for order in planned() if order.chained_ids)
    tenant_id = order.data.tenant_id
    summary = keyed_task_id(tenant_id, f"{order.task_id}/summarize")
    assert order.chained_ids == (summary, keyed_task_id(tenant_id, f"{summary}/digest"))
    assert order.data.labels == {"chain": "digest"}


def test_quiet_tenants_meet_the_burst() -> None:
    tenants = [order.data.tenant_id for order in planned(10)]
    thirds = [tenants[: len(tenants) // 3], tenants[-len(tenants) // 3 :]]
    assert all(set(QUIET_TENANTS) <= set(third) and NOISY_TENANT in third for third in thirds)
