"""The verbs around tasks over the HTTP API: the same words, a key in place of AWS credentials."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from typer.testing import Result

from pushlane.agent import Permanent, TaskContext, agent
from pushlane.cli import over_http
from pushlane.cli.failures import explained
from pushlane.client.api import Client
from pushlane.client.tenants import ACTIVE, set_status
from pushlane.model.principal import Role
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.api_transport import ApiTransport
from tests.unit.cli.test_cli import run

WHERE = ("--api", "https://api.example")


@agent(task_types=("extract",))
def extract(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if "document" not in payload:
        raise Permanent("document: missing")
    ctx.emit("page", {"read": 1})
    return {"title": payload["document"]}


@agent(task_types=("asks",))
def asks(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"said": ctx.wait_for_signal("approval").data}


@pytest.fixture
def dispatcher() -> InMemoryDispatcher:
    made = InMemoryDispatcher(tenants=("atlas", "birch"))
    made.register(extract, agent_id="extract", slots=4)
    made.register(asks, agent_id="asks", slots=1)
    return made


@pytest.fixture(autouse=True)
def api(monkeypatch: pytest.MonkeyPatch, dispatcher: InMemoryDispatcher) -> InMemoryApi:
    """Every call goes to the API in this process, and what was started is brought on after it."""
    made = InMemoryApi(dispatcher)

    def settled(_request: httpx.Request, _response: httpx.Response) -> None:
        dispatcher.run_until_idle()

    def connected(url: str, key: str, tenant: str | None) -> Client:
        return Client(url, key, tenant=tenant, transport=ApiTransport(made, after=settled))

    monkeypatch.setattr(over_http, "_connected", connected)
    monkeypatch.setenv("PUSHLANE_API_KEY", made.new_key(Role.PRODUCER, tenant_id="atlas"))
    return made


def submitted(task_type: str = "extract", payload: str = '{"document": "a"}') -> str:
    result = run("submit", "-", "--type", task_type, *WHERE, stdin=payload)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout.strip()


def told(result: Result) -> str:
    """What a person is told of the error that the verb ended with."""
    assert isinstance(result.exception, Exception), result.output
    return explained(result.exception) or ""


def test_the_key_says_whose_the_task_is(dispatcher: InMemoryDispatcher) -> None:
    stored = dispatcher.task(submitted())
    assert stored is not None
    assert stored["tenant_id"] == "atlas"


def test_submit_waits_and_prints_the_result() -> None:
    result = run("submit", "-", "--type", "extract", "--wait", "--json", *WHERE, stdin='{"document": "a"}')
    (answer,) = json.loads(result.stdout)
    assert (answer["status"], answer["result"]) == ("SUCCEEDED", {"title": "a"})


def test_submit_says_why_a_task_is_refused() -> None:
    result = run("submit", "-", "--type", "a b", *WHERE, stdin="{}")
    assert result.exit_code == 1
    assert "$.task_type" in result.stderr


def test_watch_tells_the_events_and_the_result() -> None:
    task_id = submitted()
    result = run("watch", task_id, *WHERE)
    assert result.exit_code == 0, (result.output, result.exception)
    for words in ("TaskStarted  attempt 1", 'page  attempt 1  {"read": 1}', "TaskSucceeded", '"title": "a"'):
        assert words in result.stdout


def test_watch_and_wait_of_a_failed_task_end_with_1() -> None:
    task_id = submitted(payload="{}")
    assert run("watch", task_id, *WHERE).exit_code == 1
    result = run("wait", task_id, *WHERE)
    assert result.exit_code == 1
    assert "document: missing" in result.stdout


def test_watch_of_a_dead_lettered_task_ends_where_it_rests(dispatcher: InMemoryDispatcher) -> None:
    @agent(task_types=("flaky",))
    def flaky(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ConnectionError("down")

    dispatcher.register(flaky, agent_id="flaky")
    task_id = submitted("flaky", "{}")
    dispatcher.advance(600)
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "DEAD_LETTERED"
    result = run("watch", task_id, *WHERE)
    assert result.exit_code == 1
    assert "TaskDeadLettered" in result.stdout


def test_wait_gives_results_in_the_order_asked_for() -> None:
    first, second = submitted(payload='{"document": "a"}'), submitted(payload='{"document": "b"}')
    found = json.loads(run("wait", second, first, "--json", *WHERE).stdout)
    assert [one["result"]["title"] for one in found] == ["b", "a"]


def test_status_shows_one_task_or_the_latest() -> None:
    task_id = submitted()
    assert json.loads(run("status", task_id, "--json", *WHERE).stdout)["status"] == "SUCCEEDED"
    assert f"{task_id}  SUCCEEDED" in run("status", *WHERE).stdout


def test_why_is_told(dispatcher: InMemoryDispatcher) -> None:
    said = json.loads(run("why", submitted(), "--json", *WHERE).stdout)
    assert said["status"] == "SUCCEEDED"
    assert "it has ended" in run("why", submitted(), *WHERE).stdout


def test_a_signal_resumes_and_a_cancel_ends() -> None:
    task_id = submitted("asks", "{}")
    assert "signal id s-1" in run("signal", task_id, "approval", "--data", '{"yes": 1}', "--id", "s-1", *WHERE).stdout
    assert json.loads(run("wait", task_id, "--json", *WHERE).stdout)[0]["result"] == {"said": {"yes": 1}}
    other = submitted("asks", "{}")
    assert json.loads(run("cancel", other, "--json", *WHERE).stdout)["subject_id"] == other
    assert run("wait", other, *WHERE).exit_code == 1


def test_an_operator_names_the_tenant(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    task_id = submitted()
    monkeypatch.setenv("PUSHLANE_API_KEY", api.new_key(Role.OPERATOR))
    assert run("status", task_id, "--tenant", "atlas", *WHERE).exit_code == 0
    assert "no tenant" in told(run("status", *WHERE))


def test_an_administrator_shuts_a_tenant_out_for_good(
    api: InMemoryApi, dispatcher: InMemoryDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHLANE_API_KEY", api.new_key(Role.ADMIN))
    assert "shut out for good" in run("tenants", "erase", "birch", "--yes", *WHERE).stdout
    said = json.loads(run("tenants", "erase", "birch", "--yes", "--json", *WHERE).stdout)
    assert (said["tenant_id"], said["status"]) == ("birch", "erasing")
    assert set_status(dispatcher.store, "birch", ACTIVE) is None
    assert "404" in told(run("tenants", "erase", "cedar", "--yes", *WHERE))


def test_without_a_key_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHLANE_API_KEY")
    assert "pushlane keys create" in told(run("status", *WHERE))


def test_a_door_and_the_api_exclude_each_other() -> None:
    result = run("submit", "-", "--type", "extract", "--door", "sqs", *WHERE, stdin="{}")
    assert result.exit_code == 2
    assert "--door" in result.output
