"""`pushlane migrate`: JSON of every verb, and what is refused. The tables are looked at by the guide's own test."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.migrate.records import Ended, Picked, Polled, Record, line_of
from pushlane.testing import InMemoryDispatcher

AT = 1_700_000_000_000


class Installed:
    """What `connect` gives, as far as these verbs look."""

    def __init__(self) -> None:
        self.world = InMemoryDispatcher()
        self.world.register(None, agent_id="pushed", slots=3, capabilities=("work",))
        self.store = self.world.store
        self.listing = InMemoryTaskListing(self.world.store)
        self.woken = 0

    def wake_after_policy(self) -> None:
        self.woken += 1


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr(target, "now_ms", made.world.clock.now_ms)
    return made


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    path = tmp_path / "fleet.jsonl"
    records: list[Record] = [
        Polled(at_ms=AT, poller="p", found=0),
        Picked(task_id="a", tenant_id="atlas", at_ms=AT + 800, poller="p", enqueued_at_ms=AT),
        Ended(task_id="a", tenant_id="atlas", at_ms=AT + 900),
    ]
    path.write_bytes(b"".join([line_of(one) for one in records]))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ("migrate", *arguments))


def answer(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_measured_and_planned_without_an_installation(fleet: str) -> None:
    measured = answer("measure", fleet)
    assert (measured["polls"]["empty"], measured["tenants"][0]["pickup"]["p50_ms"]) == (1, 800)
    [both] = answer("shadow", fleet, "--slots", "1")
    assert (both["polled"]["p50_ms"], both["planned"]["p50_ms"], both["sooner"]) == (800, 0, 1)


def test_kept_figures_stand_beside_what_is_pushed(installed: Installed, fleet: str) -> None:
    assert answer("send", fleet, "--source", "celery") == {"source": "celery", "tenants": 1}
    said = answer("set", "atlas", "push")
    assert (said["mode"], said["push_percent"], installed.woken) == ("push", None, 1)
    installed.world.submit(task_type="work", payload={})
    installed.world.run_until_idle()
    installed.world.clock.advance(30)
    installed.world.take("pushed").succeed({})
    installed.world.run_until_idle()
    installed.world.submit(task_type="work", payload={})
    [atlas] = answer("status")["tenants"]
    ways = {one["way"]: (one["tasks"], one["pickup"]["p50_ms"], one.get("source")) for one in atlas["ways"]}
    assert ways == {"polled before": (1, 800, "celery"), "pushed": (1, 30, None)}
    assert (atlas["mode"], answer("status")["agent_slots"], answer("status")["poller_slots"]) == ("push", 3, 0)


def test_an_unknown_source_name_is_refused(installed: Installed, fleet: str) -> None:
    result = run("send", fleet, "--source", "my fleet")
    assert result.exit_code == 1
    assert isinstance(result.exception, Exception)
    assert "$.source" in (explained(result.exception) or "")


@pytest.mark.parametrize("said", [("percent",), ("push", "20")])
def test_a_share_belongs_to_percent_and_percent_to_a_share(installed: Installed, said: tuple[str, ...]) -> None:
    result = run("set", "atlas", *said)
    assert (result.exit_code, installed.woken) == (2, 0)
    assert "percent takes a number" in result.stderr


def test_a_mode_for_nobody_says_what_to_do(installed: Installed) -> None:
    result = run("set", "atlas", "poll")
    assert result.exit_code == 1
    assert isinstance(result.exception, Exception)
    assert "register the pollers first" in (explained(result.exception) or "")
    assert run("set", "atlas", "poll", "--force").stdout == "tenant atlas: mode poll (policy revision 1)\n"
    assert answer("status")["tenants"][0]["ways"] == []


def test_a_broken_file_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "fleet.jsonl"
    path.write_text('{"kind": "nothing"}\n{"kind": "polled", "at_ms": 1, "poller": "p", "found": 0}\n')
    result = run("measure", str(path))
    assert result.exit_code == 1
    assert isinstance(result.exception, Exception)
    assert f"{path}, line 1" in (explained(result.exception) or "")
