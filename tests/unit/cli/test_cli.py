"""The command line against a dispatcher in memory: what verbs print, and with which status they end."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.aws.backoff import Backoff
from pushlane.cli import place, target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.cli.options import DoorName, StageName
from pushlane.client import Client, NotInstalled
from pushlane.client.overview import Overview
from pushlane.model.task import EVENT_DOORS
from pushlane.ports import Message, Update
from pushlane.settings.stage import Stage
from pushlane.state.keys import tenant_key
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import INTAKE
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of


@agent(task_types=("extract",))
def extract(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if "document" not in payload:
        raise Permanent("document: missing")
    ctx.emit("page\x1b[2J", {"read": "é"})
    return {"title": payload["document"]["name"]}


class Installed:
    """What `connect` gives: everything in memory."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher()
        self.dispatcher.register(extract, agent_id="extract", slots=4)
        self.store = self.dispatcher.store
        self.installation = INSTALLATION
        self.aws = aws_of(RecordingClient(self._answer))
        self.overview = Overview(INSTALLATION, self.store, self.aws.sqs)
        self.client = Client(
            INSTALLATION,
            self.aws,
            store=self.store,
            blobs=self.dispatcher.blobs,
            backoff=Backoff(sleep=lambda _seconds: self.dispatcher.run_until_idle()),
        )
        self.doors: list[str] = []

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "get_queue_attributes":
            return {"Attributes": {"ApproximateNumberOfMessages": "2"}}
        self.doors.append(name)
        bodies = {"send_message_batch": "MessageBody", "put_events": "Detail"}
        for n, entry in enumerate(arguments["Entries"]):
            kept = {"id": f"m-{len(self.doors)}-{n}", "envelope": json.loads(entry[bodies[name]])}
            self.dispatcher.sender.send(INTAKE, [Message(json.dumps(kept))])
        return accepting(name, arguments)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    return made


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


@pytest.fixture
def document(tmp_path: Path) -> str:
    path = tmp_path / "notes.md"
    path.write_text("# Notes\n\nSome text.\n")
    return str(path)


def test_submit_prints_the_task_id(installed: Installed, document: str) -> None:
    result = run("submit", document, "--tenant", "atlas", "--type", "extract", "--key", "k", "--label", "chain=digest")
    assert result.exit_code == 0, result.output
    installed.dispatcher.run_until_idle()
    record = installed.client.task(result.stdout.strip())
    assert record.task is not None
    assert record.task.labels == {"chain": "digest"}
    assert record.task.payload["document"]["media_type"] == "text/markdown"


def test_submit_waits_and_gives_results_as_json(installed: Installed, document: str) -> None:
    result = run(
        "submit", document, "--tenant", "atlas", "--type", "extract", "--wait", "--json", "--door", "eventbridge"
    )
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(result.stdout)
    assert (answer["status"], answer["result"]) == ("SUCCEEDED", {"title": document})
    assert installed.doors == ["put_events"]


def test_submit_takes_a_payload_from_standard_input(installed: Installed) -> None:
    arguments = ("submit", "-", "--tenant", "atlas", "--type", "extract", "--wait")
    result = run(*arguments, stdin='{"document": {"name": "a"}}')
    assert result.exit_code == 0, result.output
    assert "SUCCEEDED" in result.stdout


def test_submit_ends_with_1_when_a_task_failed_and_says_why(installed: Installed) -> None:
    result = run("submit", "-", "--tenant", "atlas", "--type", "extract", "--wait", stdin="{}")
    assert result.exit_code == 1
    assert "document: missing" in result.stdout


def test_several_files_get_keys_of_their_own(installed: Installed, document: str) -> None:
    result = run("submit", document, document, "--tenant", "atlas", "--type", "extract", "--key", "k")
    assert len(set(result.stdout.split())) == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("submit", "-", "--tenant", "a b", "--type", "extract"), "{}", "$.data.tenant_id"),
        (("submit", "-", "--tenant", "atlas", "--type", "extract"), "[1]", "not a JSON object"),
        (("submit", "none.md", "--tenant", "atlas", "--type", "extract"), None, "cannot be read"),
    ],
)
def test_a_wrong_submission_names_what_is_wrong(
    installed: Installed, arguments: tuple[str, ...], stdin: str | None, words: str
) -> None:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code != 0
    assert isinstance(result.exception, Exception)
    assert words in (explained(result.exception) or "")
    assert installed.doors == []


def test_a_label_must_be_a_pair(installed: Installed, document: str) -> None:
    result = run("submit", document, "--tenant", "atlas", "--type", "extract", "--label", "chain")
    assert result.exit_code == 2
    assert "key=value" in result.output


def test_watch_prints_the_end_and_the_result(installed: Installed) -> None:
    task_id = installed.dispatcher.submit(task_type="extract", payload={"document": {"name": "a"}})
    installed.dispatcher.run_until_idle()
    result = run("watch", task_id)
    assert result.exit_code == 0, result.output
    assert "SUCCEEDED" in result.stdout
    assert '"title": "a"' in result.stdout
    (emitted,) = [line for line in result.stdout.splitlines() if "page" in line]
    assert emitted == f'{task_id}  page\\u001b[2J  attempt 1  {{"read": "\\u00e9"}}'


def test_watch_of_a_failed_task_ends_with_1(installed: Installed) -> None:
    task_id = installed.dispatcher.submit(task_type="extract", payload={})
    installed.dispatcher.run_until_idle()
    result = run("watch", task_id, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["message"] == "document: missing"


def test_wait_gives_each_task_once_and_says_by_its_status_whether_all_succeeded(installed: Installed) -> None:
    good = installed.dispatcher.submit(task_type="extract", payload={"document": {"name": "a"}})
    bad = installed.dispatcher.submit(task_type="extract", payload={})
    installed.dispatcher.run_until_idle()
    result = run("wait", good, good, "--json")
    assert (result.exit_code, [one["result"] for one in json.loads(result.stdout)]) == (0, [{"title": "a"}])
    both = run("wait", good, bad)
    assert (both.exit_code, len(both.stdout.splitlines())) == (1, 2)


def test_status_of_one_task_is_a_line(installed: Installed) -> None:
    task_id = installed.dispatcher.submit(task_type="extract", payload={})
    installed.dispatcher.run_until_idle()
    assert run("status", task_id).stdout.startswith(f"{task_id}  FAILED  attempt 1")
    assert json.loads(run("status", task_id, "--json").stdout)["error"]["message"] == "document: missing"


def test_a_task_is_submitted_with_tier_pool_and_deadline(installed: Installed, document: str) -> None:
    said = ("--tier", "high", "--deadline", "60", "--hard")
    result = run("submit", document, "--tenant", "atlas", "--type", "extract", *said)
    installed.dispatcher.run_until_idle()
    task = installed.client.task(result.stdout.strip()).task
    assert task is not None
    assert (task.tier, task.deadline_kind, task.deadline_ms is not None) == ("high", "hard", True)
    assert run("submit", document, "--tenant", "atlas", "--type", "extract", "--hard").exit_code == 2


def test_a_submission_through_a_door_needs_a_tenant(installed: Installed, document: str) -> None:
    result = run("submit", document, "--type", "extract")
    assert "--tenant NAME" in (explained(cast(Exception, result.exception)) or "")


def test_watch_of_an_unknown_task_says_so(installed: Installed) -> None:
    result = run("watch", "t-none", "--timeout", "0")
    assert "not found" in (explained(cast(Exception, result.exception)) or "")


def test_agents_are_listed_with_their_slots(installed: Installed) -> None:
    (one,) = json.loads(run("agents", "--json").stdout)
    assert (one["agent_id"], one["used"], one["slots"], one["status"]) == ("extract", 0, 4, "ACTIVE")
    assert "0/4" in run("agents").stdout


def test_status_shows_queues_lanes_and_reservations(installed: Installed) -> None:
    seen = json.loads(run("status", "--json").stdout)
    assert [one["waiting"] for one in seen["dead_letters"]] == [2, 2]
    assert (seen["lanes"], seen["live_reservations"], seen["tasks"]) == ([], 0, None)
    shown = run("status").stdout
    assert "live reservations: 0" in shown
    assert "dead letters: 4 in 2 queues" in shown


def test_tenants_are_added_and_listed(installed: Installed) -> None:
    assert "birch: registered" in run("tenants", "add", "birch", "atlas").stdout
    assert "birch: was there already" in run("tenants", "add", "birch").stdout
    listed = json.loads(run("tenants", "list", "--json").stdout)
    assert [one["tenant_id"] for one in listed] == ["atlas", "birch"]


@pytest.mark.parametrize(("status", "words"), [("erasing", "is being erased"), ("suspended", "is suspended")])
def test_adding_a_tenant_that_may_not_submit_says_so(installed: Installed, status: str, words: str) -> None:
    run("tenants", "add", "birch")
    installed.store.write(Update(tenant_key("birch"), set={"status": status}))
    result = run("tenants", "add", "birch")
    assert result.exit_code == 1
    assert words in result.stdout
    assert json.loads(run("tenants", "add", "birch", "--json").stdout)[0]["status"] == status


def test_a_tenant_is_suspended_and_let_in_again(installed: Installed) -> None:
    run("tenants", "add", "birch")
    assert "birch: suspended" in run("tenants", "suspend", "birch").stdout
    assert json.loads(run("tenants", "resume", "birch", "--json").stdout)["status"] == "active"
    assert run("tenants", "suspend", "cedar").exit_code == 2


def test_option_values_are_those_of_the_model() -> None:
    assert {one.value for one in DoorName} == {one.value for one in EVENT_DOORS}
    assert {one.value for one in StageName} == {one.value for one in Stage}


def test_without_a_running_installation_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / "cdk.json").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotInstalled, match="pushlane up"):
        target.connect(StageName.LOCAL, None, None)


def test_outside_a_project_a_stage_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotInstalled, match="--stage dev"):
        target.connect(StageName.LOCAL, None, None)


def test_the_project_is_found_from_below(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / "cdk.json").touch()
    below = tmp_path / "docs" / "deep"
    below.mkdir(parents=True)
    assert place.project_root(below) == tmp_path


def test_faults_of_the_program_are_not_explained_away() -> None:
    assert explained(ZeroDivisionError()) is None


def test_an_error_of_aws_comes_with_a_hint() -> None:
    from botocore.exceptions import ClientError, NoCredentialsError

    assert "--profile" in (explained(NoCredentialsError()) or "")
    expired = ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "GetItem")
    assert "sign in again" in (explained(expired) or "")


def test_help_imports_neither_boto3_nor_the_local_aws() -> None:
    heavy = ("boto3", "ministack", "aws_cdk", "rich.live")
    code = f"import sys, pushlane.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
