"""`pushlane schedules`: make, list, show, pause, resume, remove, over the API."""

import json
from pathlib import Path
from typing import Any

import pytest

from pushlane.cli import over_http
from pushlane.client.api import Client
from pushlane.model.principal import Role
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.api_transport import ApiTransport
from tests.unit.cli.test_cli import run

WHERE = ("--url", "https://api.example", "--api-key")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> InMemoryApi:
    made = InMemoryApi(InMemoryDispatcher())

    def client(url: str, api_key: str, tenant: str | None) -> Client:
        return Client(url, api_key, tenant=tenant, transport=ApiTransport(made))

    monkeypatch.setattr(over_http, "_connected", client)
    return made


@pytest.fixture
def where(api: InMemoryApi) -> tuple[str, ...]:
    return (*WHERE, api.new_key(Role.PRODUCER, tenant_id="atlas"))


def written(tmp_path: Path, **changed: Any) -> str:
    said = {"name": "nightly", "expression": "cron(0 3 * * ? *)", "task": {"task_type": "report"}, **changed}
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(said))
    return str(path)


def test_make_pause_resume_remove(where: tuple[str, ...], tmp_path: Path) -> None:
    made = json.loads(run("schedules", "make", written(tmp_path), *where, "--json").stdout)
    assert made["next_at_ms"] is not None
    schedule_id = made["schedule_id"]
    listed = run("schedules", "list", *where)
    assert "nightly" in listed.stdout
    paused = json.loads(run("schedules", "pause", schedule_id, *where, "--json").stdout)
    assert (paused["enabled"], paused["next_at_ms"], paused["revision"]) == (False, None, 2)
    assert "paused" in run("schedules", "show", schedule_id, *where).stdout
    assert json.loads(run("schedules", "resume", schedule_id, *where, "--json").stdout)["enabled"] is True
    assert "removed" in run("schedules", "remove", schedule_id, *where).stdout
    assert json.loads(run("schedules", "list", *where, "--json").stdout) == []


def test_what_is_wrong_is_named(where: tuple[str, ...], tmp_path: Path) -> None:
    answer = run("schedules", "make", written(tmp_path, expression="cron(0 3 * * * *)"), *where)
    assert answer.exit_code == 1
    assert "$.expression" in str(answer.exception)
    assert "day-of-week" in str(answer.exception)
