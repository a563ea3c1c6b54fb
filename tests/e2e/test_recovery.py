"""Failing, crashing and killed agents: nothing is lost, and nothing stays reserved."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushlane.model.task import Status
from tests.e2e.conftest import Deployed, eventually, set_policy

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def short_leases(deployed: Deployed) -> Iterator[None]:
    """So that what a dead worker had in hand is noticed after seconds."""
    set_policy(deployed, {"task_types": {"chaos": {"lease_seconds": 5}}})
    yield
    set_policy(deployed, {})


def test_a_throwing_agent_is_retried_and_then_dead_lettered_with_its_error(deployed: Deployed) -> None:
    mended = deployed.client.submit({**_plain("raise"), "payload": {"do": "raise", "times": 1}})
    broken = deployed.client.submit({**_plain("raise"), "retry": {"max_attempts": 2, "backoff_seconds": 0.2}})
    hopeless = deployed.client.submit(_plain("permanent"))
    ended = deployed.client.wait([mended.task_id, broken.task_id, hopeless.task_id], timeout_seconds=60)
    assert (ended[mended.task_id].status, ended[mended.task_id].epoch) == (Status.SUCCEEDED, 2)
    assert (ended[broken.task_id].status, ended[broken.task_id].epoch) == (Status.DEAD_LETTERED, 2)
    assert (ended[hopeless.task_id].status, ended[hopeless.task_id].epoch) == (Status.FAILED, 1)
    error = ended[broken.task_id].error
    assert error is not None
    assert error.message


def test_an_agent_whose_process_exits_is_reclaimed_and_the_task_runs_again(deployed: Deployed) -> None:
    submitted = deployed.client.submit({**_plain("exit"), "payload": {"do": "exit", "times": 1}})
    [record] = deployed.client.wait([submitted.task_id], timeout_seconds=120).values()
    assert (record.status, record.epoch) == (Status.SUCCEEDED, 2)


def test_a_worker_killed_in_the_middle_of_a_task_loses_nothing(deployed: Deployed) -> None:
    if deployed.emulator_pid is None:
        pytest.fail("needs the embedded AWS: the test kills one of its worker processes")
    before = workers(deployed.emulator_pid)
    submitted = deployed.client.submit({**_plain("sleep"), "payload": {"do": "sleep", "seconds": 10, "times": 1}})
    eventually(lambda: _started(deployed, submitted.task_id), "the task has started")
    time.sleep(0.5)
    victims = [pid for pid in workers(deployed.emulator_pid) if _runs_chaos(pid)]
    assert victims, f"no worker of the chaos agent among {before}"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    [record] = deployed.client.wait([submitted.task_id], timeout_seconds=120).values()
    assert (record.status, record.epoch) == (Status.SUCCEEDED, 2)
    eventually(deployed.nothing_is_held, "every slot is free again", 30)


def _plain(do: str) -> dict[str, Any]:
    return {
        "tenant_id": "atlas",
        "task_type": "chaos",
        "payload": {"do": do},
        "retry": {"max_attempts": 3, "backoff_seconds": 0.2},
    }


def _started(deployed: Deployed, task_id: str) -> bool:
    return any(item.key.sk == task_id and "runner" in item.attributes for item in deployed.live_attempts())


def workers(emulator_pid: int) -> list[int]:
    """The emulator's child processes: its Lambda workers."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(emulator_pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def _runs_chaos(pid: int) -> bool:
    try:
        return b"PUSHLANE_AGENT_ID=chaos" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
