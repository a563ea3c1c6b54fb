"""`pushlane why` and `pushlane resources` against a dispatcher in memory."""

import json
from typing import cast

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.model.policy import Policy, Rate, SlotsOf
from pushlane.state import policies
from pushlane.testing.dispatcher import START_MS
from tests.unit.cli.test_cli import Installed

POLICY = Policy(resources={"llm-tpm": Rate(per_minute=1_000), "browser": SlotsOf(slots=2)})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr(target, "now_ms", made.dispatcher.clock.now_ms)
    change = policies.PolicyChange(document=msgspec.json.encode(POLICY), change_id="c", changed_by="test")
    policies.set_policy(made.store, change, START_MS)
    return made


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, arguments)


def submitted(installed: Installed, resources: dict[str, int]) -> str:
    """Accepted, and pushed to an agent that does not come to it."""
    task_id = installed.dispatcher.submit(task_type="extract", payload={}, resources=resources)
    while installed.dispatcher.task(task_id) is None:
        installed.dispatcher._deliver_intake()
    return task_id


def test_a_waiting_task_is_told_with_reason_place_and_times(installed: Installed) -> None:
    submitted(installed, {"llm-tpm": 1_000})
    waiting = submitted(installed, {"llm-tpm": 500})
    result = run("why", waiting)
    assert result.exit_code == 0, result.output
    for words in (f"{waiting}  PARKED", "rate:llm-tpm", "1 of 1 in its lane", "in 30.0 s", "at the latest", "5% of 4"):
        assert words in result.output
    assert "assumed: tasks cost what they are estimated at" in result.output


def test_as_json_it_is_the_whole_value(installed: Installed) -> None:
    submitted(installed, {"llm-tpm": 1_000})
    said = json.loads(run("why", submitted(installed, {"llm-tpm": 500}), "--json").stdout)
    assert (said["status"], said["reason"], said["until_ms"]) == ("PARKED", "rate:llm-tpm", START_MS + 30_000)
    assert (said["place"]["in_lane"], said["place"]["exact"], said["shares"]["slots"]) == (1, True, 4)
    assert said["wait"]["latest_start_ms"] >= said["wait"]["estimated_start_ms"] == START_MS + 30_000


def test_a_task_that_does_not_wait_is_told_by_what_it_does(installed: Installed) -> None:
    result = run("why", submitted(installed, {}))
    assert "DISPATCHED" in result.output
    assert "pushed to agent extract" in result.output
    assert "place" not in result.output


def test_the_producers_client_answers_too(installed: Installed) -> None:
    assert installed.client.why(submitted(installed, {})).agent_id == "extract"


def test_an_unknown_task_is_an_error_with_a_way_out(installed: Installed) -> None:
    result = run("why", "t-none")
    assert result.exit_code == 1
    assert "t-none: not found" in (explained(cast(Exception, result.exception)) or "")


def test_resources_show_what_is_used(installed: Installed) -> None:
    submitted(installed, {"llm-tpm": 600, "browser": 1})
    browser, tpm = json.loads(run("resources", "--json").stdout)
    assert browser == {"name": "browser", "kind": "slots", "limit": 2, "used": 1}
    assert (tpm["kind"], tpm["limit"], tpm["burst"], tpm["used"]) == ("tokens", 1_000, 1_000, 600)
    assert tpm["full_at_ms"] == START_MS + 36_000
    installed.dispatcher.clock.advance(18_000)
    shown = run("resources").output
    for words in ("2 at a time", "1 of 2", "1000 tokens a minute", "300 of 1000", "in 18.0 s"):
        assert words in shown


def test_a_resource_that_nobody_used_is_all_there(installed: Installed) -> None:
    browser, tpm = json.loads(run("resources", "--json").stdout)
    assert (browser["used"], tpm["used"]) == (0, 0)
    assert "full_at_ms" not in tpm


def test_a_pause_is_shown_while_it_lasts(installed: Installed) -> None:
    from pushlane.ports import Put
    from pushlane.state.keys import resource_key

    installed.store.write(Put(resource_key("llm-tpm", 0), {"paused_until_ms": START_MS + 5_000}))
    _, paused = json.loads(run("resources", "--json").stdout)
    assert paused["paused_until_ms"] == START_MS + 5_000
    installed.dispatcher.clock.advance(5_000)
    _, going = json.loads(run("resources", "--json").stdout)
    assert "paused_until_ms" not in going
