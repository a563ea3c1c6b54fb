"""The baselines: which task leaves the queue next."""

import pytest

from pushlane.model.task import Tier
from pushlane.simulator import TraceTask, one_pool, policy_named, simulate
from pushlane.simulator.orders import NoisyNeighbour
from tests.unit.simulator.traces import a_task, sim_tasks

BLOCK = a_task(99, 0, 10, 10)


def order_of(policy: str, waiting: list[TraceTask]) -> list[str]:
    """The tasks in the order in which one slot takes them after a task that holds it."""
    setting = one_pool(1)
    run = simulate(sim_tasks([BLOCK, *waiting], setting), setting, policy_named(policy))
    return [one.task.task_id for one in run.ran][1:]


WAITING = [
    a_task(0, 1, 1, 90, Tier.LOW),
    a_task(1, 2, 1, 80, Tier.NORMAL),
    a_task(2, 3, 8, 70, Tier.NORMAL),
    a_task(3, 4, 1, 75, Tier.HIGH),
]


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("fifo", ["t0", "t1", "t2", "t3"]),
        ("priority", ["t3", "t1", "t2", "t0"]),
        ("edf", ["t2", "t3", "t1", "t0"]),
        ("tier-edf", ["t3", "t2", "t1", "t0"]),
        ("late-last", ["t3", "t2", "t1", "t0"]),
    ],
)
def test_each_baseline_has_its_order(policy: str, order: list[str]) -> None:
    assert order_of(policy, WAITING) == order


def test_least_laxity_looks_at_runtimes_and_deadline_order_does_not() -> None:
    waiting = [a_task(0, 1, 1, 70), a_task(1, 1, 30, 80)]
    assert order_of("late-last", waiting) == ["t0", "t1"]
    assert order_of("late-last-laxity", waiting) == ["t1", "t0"]


def test_late_goes_behind_everything_that_can_make_it_whatever_the_tier() -> None:
    late = a_task(0, 1, 5, 12, Tier.CRITICAL)  # the slot is free at 10, so it ends at 15
    assert order_of("late-last", [late, a_task(1, 1, 1, 90, Tier.LOW)]) == ["t1", "t0"]
    assert order_of("tier-edf", [late, a_task(1, 1, 1, 90, Tier.LOW)]) == ["t0", "t1"]


def test_round_robin_takes_tenants_in_turn_by_count() -> None:
    waiting = [a_task(n, 1, 1, tenant="noisy") for n in range(3)] + [a_task(n, 2, 9, tenant="quiet") for n in (3, 4)]
    assert order_of("round-robin", waiting) == ["t0", "t3", "t1", "t4", "t2"]


def test_the_noisy_neighbour_goes_last_in_its_tier_once_it_used_a_tenth() -> None:
    waiting = [a_task(n, 1, 1, tenant="atlas") for n in range(2)] + [a_task(2, 2, 1, tenant="quiet")]
    assert order_of("fifo", waiting) == ["t0", "t1", "t2"]
    assert order_of("sqs-fair", waiting) == ["t2", "t0", "t1"]  # atlas ran the ten seconds before


def test_a_crowd_in_flight_is_noisy_from_thirty_messages_on() -> None:
    order = NoisyNeighbour()
    crowd = sim_tasks([a_task(n, 0, 1, tenant="crowd") for n in range(31)] + [a_task(31, 1, 1, tenant="quiet")])
    for task in crowd:
        order.push(task)
    for _ in range(30):
        head = order.head(0)
        assert head is not None
        assert head.tenant == "crowd"
        order.pop()
    assert order.head(0) is crowd[31]
