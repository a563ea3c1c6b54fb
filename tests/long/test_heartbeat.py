"""Half a minute in one C call that holds the interpreter, with a lease of five seconds."""

from collections.abc import Iterator

import pytest

from pushlane.local.launcher import embedded_aws
from tests.conformance.backends import ministack_backend
from tests.heartbeat.worlds import RealTime, real_time

pytestmark = pytest.mark.long

LEASE_SECONDS = 5
BUSY_SECONDS = 30
STALL_SECONDS = 12
SLACK_SECONDS = 5


@pytest.fixture
def world() -> Iterator[RealTime]:
    watched = {"lease_seconds": LEASE_SECONDS}
    policy = {"task_types": {"busy": watched, "silent": {**watched, "stall_seconds": STALL_SECONDS}}}
    with embedded_aws() as started, ministack_backend(started) as aws, real_time(aws, policy) as made:
        yield made


def test_the_busy_one_lives_the_killed_one_is_replaced_and_the_stalled_one_given_up(world: RealTime) -> None:
    retry = {"backoff_seconds": 0.1, "max_attempts": 2}
    busy = world.submit("busy", task_type="busy", payload={"seconds": BUSY_SECONDS}, retry=retry)
    silent = world.submit("silent", task_type="silent", payload={"seconds": 60}, retry=retry)
    killed = world.submit("killed", task_type="busy", payload={"seconds": 60}, retry=retry)
    world.until(lambda: world.is_extended(killed), 2 * LEASE_SECONDS)

    killed.kill()
    assert world.until(lambda: world.is_pushed("killed"), 60) < LEASE_SECONDS + SLACK_SECONDS
    world.until(lambda: world.is_pushed("silent"), STALL_SECONDS + SLACK_SECONDS)
    assert silent.process.poll() is None

    world.until(lambda: world.dispatcher.status(busy.dispatch.task_id) == "SUCCEEDED", BUSY_SECONDS + SLACK_SECONDS)
    assert world.dispatcher.result(busy.dispatch.task_id) == {"attempt": 1}
    assert not world.is_pushed("busy")
    failures = {one.dispatch.agent_id: world.history(one.dispatch.task_id) for one in (busy, silent, killed)}
    assert {agent_id: [one["type"] for one in history] for agent_id, history in failures.items()} == {
        "busy": [],
        "silent": ["Stalled"],
        "killed": ["LeaseExpired"],
    }
