"""The move on the embedded AWS: three tenants from a fleet that claims over HTTP to an agent that is pushed to, and one
back, while tasks keep coming; every one is run once and ends once.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.http import HttpAgentRuntime, Transport, Worker
from pushlane.aws.listing import DynamoTaskListing
from pushlane.aws.queues import SqsSender
from pushlane.client import StillRunning, TaskRecord
from pushlane.migrate.modes import TenantMode, read_policy, set_mode
from pushlane.migrate.status import CLAIMED, PUSHED, status_of
from pushlane.model.errors import PushlaneError, StoreUnavailable
from pushlane.model.mode import Mode, Route, route_of_share
from pushlane.model.principal import Role
from pushlane.model.task import Status
from pushlane.state.pools import wake_after_policy
from tests.e2e.api_deployment import ApiDeployed, deployed_api, new_key
from tests.e2e.conftest import ROOT, TENANTS, Deployed, eventually

pytestmark = pytest.mark.long

SEED = 6
POLLERS = 4
POLL_SECONDS = 1.0
PER_SECOND = 3.0
# Seconds are enough; a machine that is busy with other things may take longer.
DRAIN_SECONDS = 240.0
# From a change of the mode until every router goes by it; and a message's way to it.
KNOWN_SECONDS = 3.0
BY_POLLER = "poller"
REPORT = Path(ROOT) / "build" / "migration" / "report.json"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiDeployed]:
    """Of this file; pollers need the API."""
    with deployed_api(tmp_path_factory.mktemp("deploy")) as found:
        yield found


class Fleet:
    """Pollers as a team has them: a claim, then a second of sleep when there was nothing."""

    def __init__(self, api: ApiDeployed) -> None:
        self.ran: Counter[str] = Counter()
        self.errors: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(api, n), daemon=True) for n in range(POLLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _loop(self, api: ApiDeployed, number: int) -> None:
        name = f"poller-{number}"
        transport = Transport(api.http_url, new_key(api.deployed, None, Role.AGENT, agent_id=name))
        said = {"capabilities": ["chaos"], "slots": 1, "endpoint": {"kind": "pull"}}
        while not _registered(transport, name, msgspec.json.encode(said)) and not self._over.wait(POLL_SECONDS):
            pass

        @agent(task_types=("chaos",))
        def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
            with self._lock:
                self.ran[ctx.task_id] += 1
            return {"by": BY_POLLER}

        worker = Worker(HttpAgentRuntime(work, transport), transport, name)
        while not self._over.is_set():
            try:
                found = worker.work_once()
            except PushlaneError as error:
                self.errors.append(str(error))
                found = False
            if not found:
                self._over.wait(POLL_SECONDS)
        transport.close()


def _registered(transport: Transport, name: str, registration: bytes) -> bool:
    """A poller comes up whenever the API does."""
    try:
        transport.put(f"/v1/agents/{name}", registration)
    except StoreUnavailable:
        return False
    return True


class Load(threading.Thread):
    """Producers of the three tenants; one task in ten is submitted twice."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__(daemon=True)
        self._deployed = deployed
        self._chance = random.Random(SEED)
        self._over = threading.Event()
        self.submitted: dict[str, tuple[str, float]] = {}

    def run(self) -> None:
        while not self._over.wait(1 / PER_SECOND):
            tenant_id, at = self._chance.choice(TENANTS), time.monotonic()
            order: dict[str, Any] = {
                "tenant_id": tenant_id,
                "task_type": "chaos",
                "payload": {"do": "echo", "value": len(self.submitted)},
                "idempotency_key": uuid4().hex,
            }
            for _ in range(2 if self._chance.random() < 0.1 else 1):
                self.submitted[self._deployed.client.submit(order).task_id] = (tenant_id, at)

    def stop(self) -> None:
        self._over.set()
        self.join()


def change(deployed: Deployed, tenant_id: str, mode: Mode, push_percent: int | None = None) -> float:
    """What `pushlane migrate set` does; says from when on it holds."""
    now_ms = time.time_ns() // 1_000_000
    wanted = TenantMode(tenant_id=tenant_id, mode=mode, push_percent=push_percent)
    set_mode(deployed.store, wanted, changed_by="a test", now_ms=now_ms)
    sender = SqsSender(deployed.aws.sqs, fair_queues=False)
    wake_after_policy(deployed.store, sender, deployed.installation.wakeups_queue_url, now_ms)
    return time.monotonic() + KNOWN_SECONDS


def test_three_tenants_move_to_push_and_one_back_under_load(api: ApiDeployed) -> None:
    deployed, (one, two, three) = api.deployed, TENANTS
    began_ms = time.time_ns() // 1_000_000
    fleet, load = Fleet(api), Load(deployed)
    fleet.start()
    eventually(lambda: len(deployed.agents()) > POLLERS, "the pollers are registered", 120)
    for tenant_id in TENANTS:
        change(deployed, tenant_id, Mode.POLL)
    time.sleep(KNOWN_SECONDS)
    load.start()
    held: dict[str, float] = {}
    try:
        time.sleep(8)
        change(deployed, one, Mode.PERCENT, 40)
        shared_at = time.monotonic() + KNOWN_SECONDS
        change(deployed, two, Mode.PUSH)
        time.sleep(10)
        shared_until_ms = time.time_ns() // 1_000_000
        held[one] = change(deployed, one, Mode.PUSH)
        held[three] = change(deployed, three, Mode.PUSH)
        time.sleep(8)
        held[two] = change(deployed, two, Mode.POLL)
        time.sleep(10)
        load.stop()
        records = _ended(deployed, list(load.submitted), fleet)
    finally:
        load.stop()
        fleet.stop()
    eventually(deployed.nothing_is_held, "no live attempt and no used slot", 60)
    ways = {task_id: _way(record) for task_id, record in records.items()}
    _report(deployed, load, ways, fleet, began_ms)
    # Not one lost, not one run twice.
    assert len(load.submitted) > 40
    assert {record.status for record in records.values()} == {Status.SUCCEEDED}
    assert {record.epoch for record in records.values()} == {1}
    assert fleet.ran == Counter(task_id for task_id, way in ways.items() if way is Route.PULL)
    assert fleet.errors == []
    # Each change holds once it is known.
    for tenant_id, route in ((one, Route.PUSH), (three, Route.PUSH), (two, Route.PULL)):
        after = [task for task, (owner, at) in load.submitted.items() if owner == tenant_id and at > held[tenant_id]]
        assert after
        assert {ways[task_id] for task_id in after} == {route}
    # What the share left to pollers and they had not begun with is pushed from then on, with all the rest.
    begun = {task for task, record in records.items() if (record.started_at_ms or 0) < shared_until_ms}
    of_one = {task: at for task, (owner, at) in load.submitted.items() if owner == one and task in begun}
    shared = [task for task, at in of_one.items() if at > shared_at]
    assert shared
    assert {task: ways[task] for task in shared} == {task: route_of_share(task, 40) for task in shared}


def _ended(deployed: Deployed, task_ids: list[str], fleet: Fleet) -> dict[str, TaskRecord]:
    try:
        return deployed.client.wait(task_ids, timeout_seconds=DRAIN_SECONDS)
    except StillRunning as late:
        left = [deployed.client.why(task_id) for task_id in sorted(late.task_ids)[:3]]
        raise AssertionError(f"{len(late.task_ids)} of {len(task_ids)}: {left}; pollers: {fleet.errors[-3:]}") from late


def _way(record: TaskRecord) -> Route:
    return Route.PULL if (record.result or {}).get("by") == BY_POLLER else Route.PUSH


def _report(deployed: Deployed, load: Load, ways: Mapping[str, Route], fleet: Fleet, began_ms: int) -> None:
    """What `pushlane migrate status` says of it: told, and not measured against anything on an emulator."""
    listing = DynamoTaskListing(deployed.aws.dynamodb, deployed.installation.tasks_table)
    moving = status_of(
        deployed.store,
        listing,
        read_policy(deployed.store),
        tenants=TENANTS,
        from_ms=began_ms,
        to_ms=time.time_ns() // 1_000_000,
    )
    shown = {way.way for tenant in moving.tenants for way in tenant.ways}
    assert shown >= {CLAIMED, PUSHED}
    report = {
        "tasks": len(load.submitted),
        "by": Counter(way.value for way in ways.values()),
        "claimed_and_run": fleet.ran.total(),
        "tenants": msgspec.to_builtins(moving.tenants),
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({name: report[name] for name in ("tasks", "by", "claimed_and_run")}))
