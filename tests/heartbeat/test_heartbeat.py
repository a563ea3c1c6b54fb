"""A busy agent lives, a dead one is found out, a stalled one is given up: processes, DynamoDB and time are real."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.backends import Backend
from tests.heartbeat.worlds import RealTime, real_time

pytestmark = pytest.mark.xdist_group("heartbeat")  # one embedded AWS

LEASE_SECONDS = 2
STALL_SECONDS = 3
SLACK_SECONDS = 5
POLICY: dict[str, Any] = {
    "task_types": {
        "busy": {"lease_seconds": LEASE_SECONDS},
        "silent": {"lease_seconds": LEASE_SECONDS, "stall_seconds": STALL_SECONDS},
    }
}
RETRY = {"backoff_seconds": 0.1, "max_attempts": 2}


@pytest.fixture
def world(aws: Backend) -> Iterator[RealTime]:
    with real_time(aws, POLICY) as made:
        yield made


def test_one_call_that_holds_the_interpreter_for_leases_on_end_kills_nobody(world: RealTime) -> None:
    task = world.submit("one", task_type="busy", payload={"seconds": 3 * LEASE_SECONDS}, retry=RETRY)
    world.until(lambda: world.dispatcher.status(task.dispatch.task_id) == "SUCCEEDED", 3 * LEASE_SECONDS + 5)
    assert world.dispatcher.result(task.dispatch.task_id) == {"attempt": 1}
    assert not world.is_pushed("one")


def lives(pid: int) -> bool:
    """A process that has ended and that nobody has fetched yet (state Z) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_agent_is_found_out_and_its_heartbeat_dies_with_it(world: RealTime) -> None:
    task = world.submit("one", task_type="busy", payload={"seconds": 60}, retry=RETRY)
    world.until(lambda: world.is_extended(task), 2 * LEASE_SECONDS)
    [heart] = task.children()
    task.kill()
    assert world.until(lambda: not lives(heart), 2) < 2
    took = world.until(lambda: world.is_pushed("one"), 30)
    assert took < LEASE_SECONDS + SLACK_SECONDS
    assert [history["type"] for history in world.history(task.dispatch.task_id)] == ["LeaseExpired"]


def test_a_stalled_agent_is_given_up_although_its_process_lives(world: RealTime) -> None:
    begun = time.monotonic()
    task = world.submit("one", task_type="silent", payload={"seconds": 60}, retry=RETRY)
    world.until(lambda: world.is_pushed("one"), 30)
    assert STALL_SECONDS <= time.monotonic() - begun < STALL_SECONDS + SLACK_SECONDS
    assert task.process.poll() is None
    assert [history["type"] for history in world.history(task.dispatch.task_id)] == ["Stalled"]
