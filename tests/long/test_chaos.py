"""Five hundred tasks while worker processes are killed at random: every one comes to rest, and nothing stays held.

Emulated. Workers of agents are killed every few seconds, those of every other function now and then: what a killed
router had in hand comes again only when its visibility timeout of three minutes is over. What dies of its retries is
redriven.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pushlane.client import StillRunning, TaskRecord, Workflow
from pushlane.client.overview import Overview, QueueDepth
from pushlane.model.task import Status
from tests.e2e.conftest import ROOT, Deployed, eventually, set_policy
from tests.e2e.test_recovery import workers

pytestmark = pytest.mark.long

SEED = 20
TASKS = 500
WORKFLOWS = 10
NODES = 10
KILL_SECONDS = 2.5
# A worker younger than this may still be starting: an agent none of whose workers ever starts is another test.
AGE_SECONDS = 3.0
# What a killed worker had in hand is noticed after that long; at 30 s the dead would hold every slot.
LEASE_SECONDS = 5
# Of a function that is no agent.
OTHERS_SECONDS = 40.0
KILLS_MAX = 120
DRAIN_SECONDS = 900.0
REPORT = Path(ROOT) / "build" / "chaos" / "report.json"


class Killer(threading.Thread):
    """Kills a worker process at random, again and again; counts by what the worker ran."""

    def __init__(self, emulator_pid: int, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._emulator_pid = emulator_pid
        self._chance = chance
        self._over = threading.Event()
        self._others_at = time.monotonic() + OTHERS_SECONDS / 2
        self._seen: dict[int, float] = {}
        self.killed: Counter[str] = Counter()

    def run(self) -> None:
        while not self._over.wait(self._chance.uniform(0.5, 1.5) * KILL_SECONDS):
            if self.killed.total() < KILLS_MAX:
                self._kill()

    def _kill(self) -> None:
        now = time.monotonic()
        self._seen = {pid: self._seen.get(pid, now) for pid in workers(self._emulator_pid)}
        grown = [pid for pid, since in self._seen.items() if now - since >= AGE_SECONDS]
        running = [(pid, name) for pid in grown if (name := _function(pid)) is not None]
        others = now >= self._others_at
        victims = [(pid, name) for pid, name in running if name.startswith("agent ") is not others]
        if not victims:
            return
        pid, name = self._chance.choice(victims)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.killed[name] += 1
        if others:
            self._others_at = now + OTHERS_SECONDS

    def stop(self) -> None:
        self._over.set()
        self.join()


def test_five_hundred_tasks_survive_workers_that_are_killed_at_random(deployed: Deployed) -> None:
    if deployed.emulator_pid is None:
        pytest.fail("needs the embedded AWS: the test kills its worker processes")
    began, chance = time.monotonic(), random.Random(SEED)
    set_policy(deployed, {"task_types": {"chaos": {"lease_seconds": LEASE_SECONDS}}})
    killer = Killer(deployed.emulator_pid, chance)
    killer.start()
    try:
        flows = [deployed.client.submit_workflow(_workflow(number)).workflow_id for number in range(WORKFLOWS)]
        ids = _submit(deployed, chance)
        records = _wait(deployed, ids)
        _all_ended(deployed, flows)
    finally:
        killer.stop()
        set_policy(deployed, {})
    records |= _redrive(deployed, records)
    statuses = Counter(record.status.value for record in records.values())
    eventually(deployed.nothing_is_held, "no live reservation and no used slot", 60)
    left = {queue.name: queue.total for queue in _dead_letters(deployed) if queue.total}
    report = {
        "tasks": len(ids) + WORKFLOWS * NODES,
        "killed": dict(killer.killed),
        "statuses": dict(statuses),
        "attempts": Counter(str(record.epoch) for record in records.values()),
        "dead_letter_queues": left,
        "live_reservations": len(deployed.live_attempts()),
        "seconds": round(time.monotonic() - began, 1),
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report))
    assert sum(killer.killed.values()) >= 20
    assert statuses == {Status.SUCCEEDED.value: len(ids)}
    assert not left


def _submit(deployed: Deployed, chance: random.Random) -> list[str]:
    """Most are short; some save their progress, doze, fail at first, or are urgent."""
    orders = [_order(number, chance) for number in range(TASKS - WORKFLOWS * NODES)]
    ids: list[str] = []
    for start in range(0, len(orders), 25):
        ids += [one.task_id for one in deployed.client.submit_many(orders[start : start + 25]).accepted]
        time.sleep(1.0)
    assert len(ids) == len(orders)
    return ids


def _order(number: int, chance: random.Random) -> dict[str, Any]:
    payload = chance.choices(
        [
            {"do": "echo", "value": number},
            {"do": "steps", "steps": 6, "seconds": 0.3},
            {"do": "doze", "seconds": 2},
            {"do": "raise", "times": 1},
            {"do": "raise-steps", "steps": 4},
        ],
        weights=[70, 12, 6, 6, 6],
    )[0]
    tier = "background" if payload["do"] == "steps" else "critical" if number % 20 == 0 else "normal"
    retry = {"max_attempts": 3, "backoff_seconds": 0.5, "backoff_max_seconds": 5}
    return {"tenant_id": "atlas", "task_type": "chaos", "payload": payload, "tier": tier, "retry": retry}


def _workflow(number: int) -> Workflow:
    """A top, a row, and a bottom that waits for all of it."""
    retry = {"max_attempts": 10, "backoff_seconds": 0.5, "backoff_max_seconds": 5}
    flow = Workflow(f"chaos-{number}", "birch").task("top", task_type="chaos", payload={"do": "echo"}, retry=retry)
    row = [f"row-{column}" for column in range(NODES - 2)]
    for name in row:
        flow = flow.task(name, task_type="chaos", payload={"do": "echo"}, after=["top"], retry=retry)
    return flow.task("bottom", task_type="chaos", payload={"do": "echo"}, after=row, retry=retry)


def _wait(deployed: Deployed, ids: list[str]) -> dict[str, TaskRecord]:
    try:
        return deployed.client.wait(ids, timeout_seconds=DRAIN_SECONDS, poll_seconds=2.0)
    except StillRunning as late:
        left = [deployed.client.why(task_id) for task_id in sorted(late.task_ids)[:5]]
        raise AssertionError(f"{len(late.task_ids)} tasks never came to rest, as {left}") from late


def _all_ended(deployed: Deployed, workflow_ids: list[str]) -> None:
    for workflow_id in workflow_ids:
        ended = deployed.client.wait_workflow(workflow_id, timeout_seconds=DRAIN_SECONDS)
        assert ended.status == "SUCCEEDED"


def _redrive(deployed: Deployed, records: dict[str, TaskRecord]) -> dict[str, TaskRecord]:
    """Dead letters go back until each has succeeded: every attempt of the stepwise failing ones gets a step further."""
    redriven: dict[str, TaskRecord] = {}
    for _ in range(5):
        seen = records | redriven
        dead = [task_id for task_id, record in seen.items() if record.status is Status.DEAD_LETTERED]
        if not dead:
            break
        for task_id in dead:
            deployed.client.redrive(seen[task_id].tenant_id, task_id, epoch=seen[task_id].epoch)
        epochs = {task_id: seen[task_id].epoch for task_id in dead}
        eventually(partial(_moved_on, deployed, epochs), "the redriven tasks come to rest", 120)
        redriven |= deployed.client.tasks(dead)
    return redriven


def _moved_on(deployed: Deployed, epochs: dict[str, int]) -> bool:
    found = deployed.client.tasks(epochs)
    return all(record.at_rest and record.epoch > epochs[task_id] for task_id, record in found.items())


def _dead_letters(deployed: Deployed) -> tuple[QueueDepth, ...]:
    return Overview(deployed.installation, deployed.store, deployed.aws.sqs).dead_letters()


def _function(pid: int) -> str | None:
    """What a worker runs, by its environment; None for any other process."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    known = dict(entry.split(b"=", 1) for entry in environ if b"=" in entry)
    if b"PUSHLANE_AGENT_ID" in known:
        return f"agent {known[b'PUSHLANE_AGENT_ID'].decode()}"
    name = known.get(b"AWS_LAMBDA_FUNCTION_NAME")
    return None if name is None else name.decode().rpartition("/")[2]
