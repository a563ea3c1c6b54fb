"""An upgrade under load: the previous release is deployed and has work in every state, then this tree is deployed over
it while an old producer goes on. Nothing is lost, every task ends, what was stored and signed is still read.

`docs/upgrade.md` says what is promised.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from pushlane.client import Installation, StillRunning, TaskRecord
from pushlane.client.dead_messages import DeadMessages
from pushlane.client.dead_tasks import DeadTasks, Wanted
from pushlane.client.event_log import EventLog
from pushlane.client.overview import Overview
from pushlane.client.pace import Pace
from pushlane.client.tenants import add_tenant
from pushlane.local.deploy import CdkApp, deploy_assembly, read_outputs, synthesise
from pushlane.local.endpoint import LocalAws
from pushlane.local.launcher import embedded_aws
from pushlane.local.sessions import session_for
from pushlane.model import token
from pushlane.model.keyring import ring_of
from pushlane.model.task import Status
from pushlane.state.items import optional_number, text
from pushlane.state.keys import task_key
from pushlane.state.policies import current_policy
from tests.e2e.conftest import ROOT, Deployed, eventually, ready
from tests.long import previous_release
from tests.long.previous_producer import CONTEXT, LARGE, LATE_TENANT, STEPS
from tests.long.previous_release import NoHistory, PreviousRelease, unpacked

pytestmark = pytest.mark.long

END_SECONDS: Final = 90.0
_HISTORY: Final = re.compile(r"error_\d+$")
# Each of these ends in the attempt in which it would have without an upgrade.
EPOCHS: Final = {"asleep": 2, "asks": 2, "retrying": 2, "parked": 1, "workflow": 1, "pushed": 1}
# These the deployment finds at work: the local AWS ends a worker with its code, and again with its settings. Each
# further attempt has to be told by the loss of the one before it, or counted as one that cost nothing.
AT_WORK: Final = ("running", "behind")
LOST: Final = {"LeaseExpired", "NeverStarted", "AgentUnavailable"}


@dataclass(frozen=True)
class Upgraded:
    """The new release over the old one. `before`: what the old producer prepared; `meanwhile`: what it went on with;
    `at_once`: the prepared tasks as they stood right after the deployment, which began at `began_at_ms`.
    """

    deployed: Deployed
    before: dict[str, Any]
    meanwhile: list[str]
    at_once: dict[str, TaskRecord]
    began_at_ms: int

    def live(self) -> list[str]:
        return [task_id for ids in self.before["live"].values() for task_id in ids]


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    if os.environ.get("AWS_ENDPOINT_URL"):
        pytest.fail("deploys a release of its own: run it without AWS_ENDPOINT_URL")
    folder = tmp_path_factory.mktemp("upgrade")
    try:
        previous = unpacked(folder / "previous")
    except NoHistory as missing:
        # A shallow clone never had it, which is nobody's mistake here; anything else is one.
        pytest.skip(str(missing)) if previous_release.is_shallow() else pytest.fail(str(missing))
    with embedded_aws(log_path=folder / "ministack.log") as aws:
        yield _upgrade(previous, aws, folder)


def _upgrade(previous: PreviousRelease, aws: LocalAws, folder: Path) -> Upgraded:
    began = time.monotonic()
    app, outputs = CdkApp(ROOT, CONTEXT), str(folder / "outputs" / "outputs.json")
    with ThreadPoolExecutor(max_workers=1) as beside:
        synthesised = beside.submit(synthesise, app, aws, folder / "synth")
        previous.ask("deploy", str(folder / "outputs"), aws=aws)
        assembly = synthesised.result()
    _say("the previous release is deployed", began)
    before = previous.ask("prepare", outputs, aws=aws)
    _say("it has work in every state", began)
    with previous.running("keep-on", outputs, aws=aws) as producer:
        began_at_ms = time.time_ns() // 1_000_000
        deploy_assembly(app, aws, folder / "new", assembly)
        _say("this tree is deployed", began)
        installation = Installation.from_stacks("local", read_outputs(folder / "new"))
        deployed = ready(aws.endpoint_url, session_for(aws.endpoint_url, aws.region), installation)
        at_once = deployed.client.tasks([task_id for ids in before["live"].values() for task_id in ids])
        time.sleep(2)  # an old producer meets the new release
        meanwhile = producer.told_to_end()
    return Upgraded(deployed, before, meanwhile, at_once, began_at_ms)


def _say(what: str, began: float) -> None:
    print(f"{time.monotonic() - began:5.1f} s: {what}")


def test_without_the_history_it_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(previous_release, "previous_commit", lambda: "0" * 40)
    with pytest.raises(NoHistory, match="git fetch --unshallow --tags"):
        unpacked(tmp_path)


def test_the_upgrade_met_work_under_way(upgraded: Upgraded) -> None:
    """The old producer has seen each state before it went on; some must still stand as they did."""
    assert {one["status"] for one in upgraded.before["ended"].values()} == {
        *("SUCCEEDED", "FAILED", "CANCELLED", "DEAD_LETTERED")
    }
    live = upgraded.before["live"]
    stand = {kind: {upgraded.at_once[task_id].status.value for task_id in ids} for kind, ids in live.items()}
    assert stand["asks"] == {"SUSPENDED"}
    assert stand["pushed"] == {"DISPATCHED"}
    assert stand["parked"] == {"PARKED"}
    assert stand["workflow"] == {"PARKED", "BLOCKED"}
    assert len(upgraded.meanwhile) >= 8


def test_what_the_old_release_stored_is_read(upgraded: Upgraded) -> None:
    """Before anything else changes it: tasks with results, the event log, dead tasks, the policy, waiting tasks."""
    client, store = upgraded.deployed.client, upgraded.deployed.store
    ended = upgraded.before["ended"]
    records = client.tasks([one["task_id"] for one in ended.values()])
    for one in ended.values():
        assert (records[one["task_id"]].status.value, records[one["task_id"]].epoch) == (one["status"], one["epoch"])
    assert client.result(records[ended["kept"]["task_id"]])["value"] == "kept"
    assert client.result(records[ended["large"]["task_id"]])["value"] == LARGE
    assert records[ended["failed"]["task_id"]].error is not None
    told = [one.kind for one in EventLog(store).read(ended["kept"]["task_id"]).events]
    assert {"TaskAccepted", "TaskSucceeded"} <= set(told), told
    [dead] = DeadTasks(store).find(Wanted(tenant_id="atlas"))
    assert (dead.task_id, len(dead.history)) == (ended["dead"]["task_id"], 1)
    assert current_policy(store).tenants["atlas"].weight == 3
    [asleep] = upgraded.before["live"]["asks"]
    assert client.why(asleep).status is Status.SUSPENDED


def test_a_token_that_the_old_release_signed_is_still_proof(upgraded: Upgraded) -> None:
    arn = upgraded.deployed.installation.signing_secret_arn
    secrets = upgraded.deployed.session.client("secretsmanager")
    ring = ring_of(secrets.get_secret_value(SecretId=arn)["SecretString"].encode())
    claims = token.verify(upgraded.before["dispatch"]["token"], ring, time.time_ns() // 1_000_000)
    assert [claims.task_id] == upgraded.before["live"]["pushed"]


def test_every_task_comes_to_its_end_and_none_twice(upgraded: Upgraded) -> None:
    _let_agents_take(upgraded.deployed, "pushlane-local-agent-extract")
    client, live = upgraded.deployed.client, upgraded.before["live"]
    [asks] = live["asks"]
    client.signal("atlas", asks, "answer", {"approved": True})
    ids = [*upgraded.live(), *upgraded.meanwhile]
    records = _ended(upgraded.deployed, ids)
    assert {record.status for record in records.values()} == {Status.SUCCEEDED}
    assert len(records) == len(set(ids))
    for kind, epoch in EPOCHS.items():
        assert {records[task_id].epoch for task_id in live[kind]} == {epoch}, kind
    for task_id in (task_id for kind in AT_WORK for task_id in live[kind]):
        errors, uncounted = _errors(upgraded.deployed, task_id)
        told = (task_id, records[task_id].epoch, errors, uncounted)
        assert set(errors) <= set(range(1, records[task_id].epoch)), told
        assert records[task_id].epoch - 1 - len(errors) <= uncounted, told
        assert set(errors.values()) <= LOST, told
    assert client.result(records[asks])["value"] == {"approved": True}
    for task_id in live["running"]:
        assert client.result(records[task_id])["steps"] == STEPS
        # It ran when the deployment began, and that cost no step.
        assert (records[task_id].finished_at_ms or 0) > upgraded.began_at_ms
    assert client.wait_workflow(upgraded.before["workflow_id"], timeout_seconds=30).status == "SUCCEEDED"


def test_what_lay_aside_in_the_old_release_goes_on_in_the_new_one(upgraded: Upgraded) -> None:
    client, ended = upgraded.deployed.client, upgraded.before["ended"]
    dead = ended["dead"]["task_id"]
    client.redrive("atlas", dead)
    add_tenant(upgraded.deployed.store, LATE_TENANT, time.time_ns() // 1_000_000)
    time.sleep(1.5)  # routers look at the tenants once a second
    messages = DeadMessages(upgraded.deployed.installation, upgraded.deployed.aws)
    assert messages.redrive("quarantine", None, Pace(50), lambda _count: None).moved == 1
    eventually(lambda: client.task(dead).status is Status.SUCCEEDED, "the redriven task succeeds", END_SECONDS)
    [record] = client.wait([upgraded.before["quarantined"]], timeout_seconds=END_SECONDS).values()
    assert record.status is Status.SUCCEEDED


def test_a_key_that_the_old_release_has_seen_is_the_same_task(upgraded: Upgraded) -> None:
    kept = upgraded.before["ended"]["kept"]["task_id"]
    before = upgraded.deployed.client.task(kept)
    order = {"tenant_id": "atlas", "task_type": "chaos", "payload": {"do": "echo", "value": "kept"}}
    again = upgraded.deployed.client.submit({**order, "idempotency_key": "kept"})
    assert again.task_id == kept
    time.sleep(1.0)
    assert upgraded.deployed.client.task(kept) == before


def test_nothing_is_held_and_nothing_is_dead(upgraded: Upgraded) -> None:
    eventually(upgraded.deployed.nothing_is_held, "no live reservation and no used slot", END_SECONDS)
    overview = Overview(upgraded.deployed.installation, upgraded.deployed.store, upgraded.deployed.aws.sqs)
    assert [queue for queue in overview.dead_letters() if queue.total] == []


def _ended(deployed: Deployed, task_ids: list[str]) -> dict[str, TaskRecord]:
    try:
        return deployed.client.wait(task_ids, timeout_seconds=END_SECONDS, poll_seconds=1.0)
    except StillRunning as late:
        left = [deployed.client.why(task_id) for task_id in sorted(late.task_ids)[:5]]
        statuses = Counter(one.status.value for one in deployed.client.tasks(late.task_ids).values())
        raise AssertionError(f"of {len(task_ids)} tasks {dict(statuses)} never came to rest, as {left}") from late


def _errors(deployed: Deployed, task_id: str) -> tuple[dict[int, str], int]:
    """As it is stored with the task: what ended attempts that failed, by epoch, and how many cost it no try."""
    [item] = deployed.store.get([task_key(task_id)]).values()
    stored = [json.loads(text(item.attributes, name)) for name in item.attributes if _HISTORY.match(name)]
    return {one["epoch"]: one["type"] for one in stored}, optional_number(item.attributes, "uncounted") or 0


def _let_agents_take(deployed: Deployed, queue_name: str) -> None:
    """Enable the mapping that the old producer disabled."""
    functions = deployed.session.client("lambda")
    url = deployed.aws.sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    for mapping in functions.list_event_source_mappings(EventSourceArn=deployed.arn(url))["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
