"""The verbs around dead letters and the commands to tasks: tasks in memory, queues at moto."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pushlane.aws.backoff import Backoff
from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.client import Client
from pushlane.ports import Message
from pushlane.testing.deliveries import INTAKE
from tests.unit.client.dead_queues import Queues, queues
from tests.unit.client.doubles import RecordingClient, accepting, aws_of
from tests.unit.router.dead import Broken

pytestmark = pytest.mark.xdist_group("moto")


class Installed:
    """What `connect` gives: a dispatcher in memory for the tasks, moto for the queues."""

    def __init__(self, world: Broken, at_moto: Queues) -> None:
        self.world = world
        self.queues = at_moto
        self.store = world.dispatcher.store
        self.installation = at_moto.installation
        self.sent: list[dict[str, Any]] = []
        self.aws = aws_at(at_moto)
        doors = aws_of(RecordingClient(self._answer))
        self.client = Client(
            self.installation,
            doors,
            store=self.store,
            blobs=world.dispatcher.blobs,
            now_ms=world.dispatcher.clock.now_ms,
            backoff=Backoff(sleep=lambda _seconds: None),
        )

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        """The door hands every command to the router at once."""
        for entry in arguments["Entries"]:
            envelope = json.loads(entry["MessageBody" if name == "send_message_batch" else "Detail"])
            self.sent.append(envelope)
            kept = {"id": f"m-{len(self.sent)}", "envelope": envelope}
            self.world.dispatcher.sender.send(INTAKE, [Message(msgspec.json.encode(kept).decode())])
        self.world.dispatcher.advance(1)
        return accepting(name, arguments)


def aws_at(at_moto: Queues) -> Any:
    """Clients for the queues; the others are not asked."""
    from pushlane.client import AwsClients

    nothing: Any = None
    return AwsClients(
        dynamodb=nothing, events=nothing, kinesis=at_moto.kinesis, s3=nothing, sns=nothing, sqs=at_moto.sqs
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    with queues() as at_moto:
        made = Installed(Broken(), at_moto)
        monkeypatch.setattr(target, "connect", lambda *_options: made)
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def done(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def test_what_is_dead_is_listed_messages_and_tasks(installed: Installed) -> None:
    installed.queues.put("dead-results", "a", "b")
    installed.world.dead()
    said = done("dlq", "list")
    assert [(one["name"], one["waiting"]) for one in said["queues"]] == [("results", 2)]
    assert [(one["tenant_id"], one["tasks"]) for one in said["tasks"]] == [("atlas", 1)]
    shown = run("dlq", "list", "--all").stdout
    assert "results" in shown
    assert "sweep" in shown
    assert "atlas" in shown


def test_nothing_dead_is_said_to_be_nothing(installed: Installed) -> None:
    shown = run("dlq", "list").stdout
    assert "Dead messages: none" in shown
    assert "Dead tasks: none" in shown


def test_messages_are_shown_and_stay(installed: Installed) -> None:
    installed.queues.put("dead-results", "hello")
    (one,) = done("dlq", "show", "results")
    assert one["body"] == "hello"
    assert "hello" in run("dlq", "show", "results").stdout
    assert installed.queues.bodies("dead-results") == ["hello"]


def test_tasks_are_shown_by_filter(installed: Installed) -> None:
    task_id = installed.world.dead(tenant_id="birch")
    installed.world.dead(tenant_id="atlas")
    (one,) = done("dlq", "show", "tasks", "--tenant", "birch")
    assert (one["task_id"], one["error_type"]) == (task_id, "ValueError")
    assert done("dlq", "show", "tasks", "--error", "Timeout") == []
    assert len(done("dlq", "show", "tasks", "--limit", "1")) == 1
    assert "ValueError" in run("dlq", "show", "tasks").stdout


def test_one_task_is_shown_with_the_history_of_its_attempts(installed: Installed) -> None:
    task_id = installed.world.dead(labels={"chain": "digest"})
    shown = run("dlq", "show", task_id).stdout
    for word in (task_id, "DEAD_LETTERED", "attempt 1", "the provider is down", "chain=digest"):
        assert word in shown
    assert done("dlq", "show", task_id)["history"][0]["epoch"] == 1


def test_messages_are_sent_back(installed: Installed) -> None:
    installed.queues.put("dead-results", "a", "b")
    result = run("dlq", "redrive", "results", "--per-second", "1000")
    assert result.exit_code == 0, result.output
    assert "results: 2 sent back, 0 left" in result.stdout
    assert installed.queues.bodies("results") == ["a", "b"]


def test_what_cannot_go_back_is_named_and_the_status_says_so(installed: Installed) -> None:
    installed.queues.put("dead-sweep", "{}")
    result = run("dlq", "redrive", "sweep")
    assert result.exit_code == 1
    assert "stays: failed calls" in result.stdout


def test_tasks_are_redriven_and_waited_for(installed: Installed) -> None:
    installed.world.dead(tenant_id="birch")
    task_id = installed.world.dead(tenant_id="atlas")
    installed.world.broken = False
    (one,) = done("dlq", "redrive", "tasks", "--tenant", "atlas", "--wait", "--per-second", "1000")
    assert (one["task_id"], one["status"], one["over"]) == (task_id, "SUCCEEDED", True)
    (sent,) = installed.sent
    assert sent["metadata"]["name"] == "RedriveTask"
    assert sent["data"] == {"tenant_id": "atlas", "task_id": task_id, "epoch": 1}


def test_a_task_that_dies_again_ends_with_status_1(installed: Installed) -> None:
    task_id = installed.world.dead()
    result = run("dlq", "redrive", task_id, "--wait")
    assert result.exit_code == 1
    assert f"{task_id}  DEAD_LETTERED  ValueError" in result.stdout


def test_without_waiting_it_is_said_what_was_sent(installed: Installed) -> None:
    installed.world.dead()
    result = run("dlq", "redrive", "tasks")
    assert result.exit_code == 0
    assert "1 tasks: commands sent" in result.stdout


@pytest.mark.parametrize("what", ["results", "tasks"])
def test_nothing_is_discarded_without_a_yes(installed: Installed, what: str) -> None:
    installed.queues.put("dead-results", "a")
    task_id = installed.world.dead()
    result = run("dlq", "discard", what)
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert installed.queues.bodies("dead-results") == ["a"]
    assert installed.world.dispatcher.status(task_id) == "DEAD_LETTERED"


def test_what_is_discarded_is_gone(installed: Installed) -> None:
    installed.queues.put("dead-sweep", "{}")
    task_id = installed.world.dead()
    assert "sweep: 1 deleted, 0 left" in run("dlq", "discard", "sweep", "--yes").stdout
    (one,) = done("dlq", "discard", task_id, "--yes", "--reason", "old", "--wait")
    assert one["status"] == "FAILED"
    assert one["error"].startswith("Discarded: old")


@pytest.mark.parametrize("verb", ["show", "redrive"])
def test_an_unknown_queue_is_answered_with_the_names(installed: Installed, verb: str) -> None:
    result = run("dlq", verb, "outtake")
    assert isinstance(result.exception, Exception)
    assert "intake, quarantine, results" in (explained(result.exception) or "")


def test_only_tasks_have_filters(installed: Installed) -> None:
    result = run("dlq", "redrive", "results", "--tenant", "atlas")
    assert result.exit_code == 2
    assert "only tasks" in result.output


def test_a_rate_that_is_none_is_refused(installed: Installed) -> None:
    result = run("dlq", "redrive", "results", "--per-second", "0")
    assert isinstance(result.exception, Exception)
    assert "above 0" in (explained(result.exception) or "")


def test_a_task_is_cancelled_in_the_name_of_its_tenant(installed: Installed) -> None:
    task_id = installed.world.dead(tenant_id="birch")
    sent = done("cancel", task_id, "--reason", "old")
    assert (sent["command"], sent["tenant_id"], sent["subject_id"]) == ("CancelTask", "birch", task_id)
    assert installed.sent[0]["data"]["reason"] == "old"
    assert installed.world.dispatcher.status(task_id) == "CANCELLED"
    assert "CancelTask sent" in run("cancel", task_id, "--tenant", "birch").stdout


def test_a_signal_says_what_it_was_given(installed: Installed) -> None:
    task_id = installed.world.dead()
    sent = done("signal", task_id, "approval", "--data", '{"approved": true}', "--id", "s-1")
    assert sent["signal_id"] == "s-1"
    data = installed.sent[0]["data"]
    assert (data["name"], data["data"], data["signal_id"]) == ("approval", {"approved": True}, "s-1")


@pytest.mark.parametrize("data", ["[]", "{", "approved"])
def test_a_signals_data_has_to_be_an_object(installed: Installed, data: str) -> None:
    result = run("signal", "t-1", "approval", "--data", data)
    assert result.exit_code == 2
    assert "not a JSON object" in result.output


def test_an_unknown_task_is_not_cancelled(installed: Installed) -> None:
    result = run("cancel", "t-none")
    assert "not found" in (explained(result.exception) or "" if isinstance(result.exception, Exception) else "")
    assert installed.sent == []
