"""`pushlane workflow`: submit, status, list, cancel."""

import json
from pathlib import Path

import pytest

from pushlane.cli import target
from tests.unit.cli.test_cli import Installed, run

TWO = {
    "name": "two",
    "tasks": [
        {"name": "a", "task_type": "extract", "payload": {"document": {"name": "x"}}},
        {"name": "b", "task_type": "extract", "payload": {"document": {"name": "y"}}, "depends_on": ["a"]},
    ],
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(TWO))
    return str(path)


def test_submit_and_wait(installed: Installed, file: str) -> None:
    answer = run("workflow", "submit", file, "--tenant", "atlas", "--wait", "--json")
    said = json.loads(answer.stdout)
    assert (said["status"], said["counts"]) == ("SUCCEEDED", {"nodes": 2, "succeeded": 2})
    assert [(one["name"], one["status"]) for one in said["tasks"]] == [("a", "SUCCEEDED"), ("b", "SUCCEEDED")]


def test_status_and_list_for_a_person(installed: Installed, file: str) -> None:
    workflow_id = run("workflow", "submit", file, "--tenant", "atlas").stdout.strip()
    installed.dispatcher.run_until_idle()
    status = run("workflow", "status", workflow_id)
    assert status.exit_code == 0
    assert "2 of 2" in status.stdout
    listed = run("workflow", "list", "--tenant", "atlas", "--json")
    assert [one["workflow_id"] for one in json.loads(listed.stdout)] == [workflow_id]


def test_cancel_ends_with_status_one_afterwards(installed: Installed, tmp_path: Path) -> None:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps({"tasks": [{"name": "a", "task_type": "nobody"}]}))
    workflow_id = run("workflow", "submit", str(path), "--tenant", "atlas").stdout.strip()
    installed.dispatcher.run_until_idle()
    assert "CancelWorkflow sent" in run("workflow", "cancel", workflow_id, "--reason", "wrong input").stdout
    installed.dispatcher.run_until_idle()
    status = run("workflow", "status", workflow_id)
    assert status.exit_code == 1
    assert "wrong input" in status.stdout


def test_a_file_that_is_no_object_is_a_usage_error(installed: Installed, tmp_path: Path) -> None:
    path = tmp_path / "workflow.json"
    path.write_text("[]")
    assert run("workflow", "submit", str(path)).exit_code == 2
