"""The verbs that look: pools, lanes, top, trace, report. A dispatcher in memory stands for the installation."""

import json
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.frames import top_frames
from pushlane.cli.main import app
from pushlane.cli.top import on_the_screen
from pushlane.model.task import Tier
from tests.unit.cli.test_cli import Installed

SLOTS = 4


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr(target, "now_ms", made.dispatcher.clock.now_ms)
    return made


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "160", "LINES": "80"}).invoke(app, arguments)


def shown(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def submitted(installed: Installed, count: int, **data: object) -> list[str]:
    """Accepted, and taken up to the agent's queue; nothing is run yet."""
    said = {"task_type": "extract", "payload": {"document": {"name": "a"}}, **data}
    ids = [installed.dispatcher.submit(**said) for _ in range(count)]
    while any(installed.dispatcher.task(one) is None for one in ids):
        installed.dispatcher._deliver_intake()
    return ids


def test_pools_show_what_is_taken_and_what_waits(installed: Installed) -> None:
    submitted(installed, 6)
    installed.dispatcher.clock.advance(30_000)
    (one,) = json.loads(shown("pools", "--json"))
    assert (one["pool"], one["agents"], one["slots"], one["used"], one["waiting"]) == ("default", 1, SLOTS, SLOTS, 2)
    assert (one["by_tier"], one["longest_wait_ms"]) == ({"normal": 2}, 30_000)
    assert "30.0 s" in shown("pools")


def test_a_pool_that_only_the_policy_names_is_listed(installed: Installed) -> None:
    installed.dispatcher.set_policy(pools={"gpu": {}})
    assert [one["pool"] for one in json.loads(shown("pools", "--json"))] == ["default", "gpu"]
    assert [one["pool"] for one in json.loads(shown("pools", "--pool", "gpu", "--json"))] == ["gpu"]


def test_lanes_are_told_by_tier_with_their_oldest_task(installed: Installed) -> None:
    submitted(installed, SLOTS)
    submitted(installed, 2)
    installed.dispatcher.clock.advance(10_000)
    deadline_ms = installed.dispatcher.clock.now_ms() + 60_000
    submitted(installed, 1, deadline_ms=deadline_ms)
    submitted(installed, 1, tier="critical")
    first, second = json.loads(shown("lanes", "--json"))
    assert (first["tier"], first["waiting"], first["oldest_wait_ms"]) == ("critical", 1, 0)
    assert (second["tier"], second["waiting"], second["oldest_wait_ms"]) == ("normal", 3, 10_000)
    assert shown("lanes", "--tenant", "birch") == "Lanes: none\n"


def test_top_once_shows_every_part(installed: Installed) -> None:
    ids = submitted(installed, 6)
    installed.dispatcher.clock.advance(5_000)
    screen = shown("top", "--once")
    for words in ("waiting 2 (+0)", f"slots {SLOTS}/{SLOTS}", "[##########]", "Agents", "Slowest waits", "normal:2"):
        assert words in screen
    assert sum(one in screen for one in ids) == 2
    assert "Tenants, last 15 min" in screen


def test_the_whole_screen_is_drawn_look_by_look(installed: Installed) -> None:
    submitted(installed, 6)
    terminal = StringIO()
    looks = top_frames(installed.store, installed.dispatcher.clock.now_ms, frames=2)
    on_the_screen(looks, Console(file=terminal, force_terminal=True, width=120, height=40))
    assert terminal.getvalue().count("waiting 2 (+0)") >= 2


def test_frames_follow_a_run_from_waiting_to_done(installed: Installed) -> None:
    """What `top` draws live: each look sees the state of its moment, and says what changed."""
    dispatcher = installed.dispatcher
    submitted(installed, 40)
    done: list[int] = []

    def bring_on() -> None:
        done.append(1)
        dispatcher.advance(1)

    seen = list(top_frames(installed.store, dispatcher.clock.now_ms, frames=3, pause=bring_on))
    assert [one.number for one in seen] == [1, 2, 3]
    assert (seen[0].live.waiting, seen[0].live.used) == (36, SLOTS)
    assert (seen[-1].live.waiting, seen[-1].live.used) == (0, 0)
    assert sum(one.waiting_change for one in seen) == -36
    assert sum(one.used_change for one in seen) == -SLOTS
    assert len(done) == 2


def test_frames_as_json_are_a_line_each(installed: Installed) -> None:
    submitted(installed, 6)
    lines = shown("top", "--frames", "2", "--every", "0.1", "--json").splitlines()
    assert [json.loads(line)["live"]["pools"][0]["waiting"] for line in lines] == [2, 2]


def test_the_slowest_wait_stands_first(installed: Installed) -> None:
    submitted(installed, SLOTS)
    (oldest,) = submitted(installed, 1, tier=Tier.BACKGROUND)
    installed.dispatcher.clock.advance(1_000)
    submitted(installed, 3)
    (frame,) = top_frames(installed.store, installed.dispatcher.clock.now_ms, frames=1)
    assert (frame.live.slowest[0].task_id, frame.live.slowest[0].waited_ms) == (oldest, 1_000)


def test_a_trace_is_drawn_from_submission_to_end(installed: Installed) -> None:
    submitted(installed, SLOTS)
    (task_id,) = submitted(installed, 1)
    installed.dispatcher.clock.advance(2_000)
    installed.dispatcher.run_until_idle()
    spans = json.loads(shown("trace", task_id, "--json"))
    root = spans[0]
    assert (root["name"], root["end_ms"] - root["start_ms"]) == ("task extract", 2_000)
    drawing = shown("trace", task_id)
    for words in (f"{task_id}  SUCCEEDED  2.0 s  trace {root['trace_id']}", "parked capacity", "run", "---", "extract"):
        assert words in drawing


def test_a_trace_of_what_still_runs_says_so(installed: Installed) -> None:
    (task_id,) = submitted(installed, 1)
    installed.dispatcher.clock.advance(7_000)
    drawing = shown("trace", task_id)
    assert "7.0 s so far" in drawing
    assert "7.0 s ..." in drawing


def test_an_unknown_task_has_no_trace(installed: Installed) -> None:
    assert "t-none: not found" in (explained(cast(Exception, run("trace", "t-none").exception)) or "")


def test_a_report_of_a_period_without_tasks_says_so(installed: Installed) -> None:
    assert "no tasks" in shown("report", "--last", "1h")
    assert json.loads(shown("report", "--last", "1h", "--json"))["tenants"] == []


def test_a_report_sums_up_what_was_measured(installed: Installed, tmp_path: Path) -> None:
    submitted(installed, 6, deadline_ms=installed.dispatcher.clock.now_ms() + 1_000)
    installed.dispatcher.clock.advance(2_000)
    installed.dispatcher.run_until_idle()
    installed.dispatcher.sweep()
    installed.dispatcher.clock.advance(60_000)
    said = json.loads(shown("report", "--last", "1h", "--json"))
    (atlas,) = said["tenants"]
    assert (atlas["tenant_id"], atlas["counts"]["succeeded"], atlas["pickup"]["count"]) == ("atlas", 6, 6)
    assert (said["deadline_missed"], said["missed_share"]) == (6, 1.0)
    assert [one["pool"] for one in said["pools"]] == ["default"]
    file = tmp_path / "report.md"
    shown("report", "--last", "1h", "--by", "tier", "--out", str(file))
    assert "| atlas | normal | 0 | 6 | 100.0% |" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--last", "soon"), "90s, 30m, 24h"),
        (("--last", "0h"), "90s, 30m, 24h"),
        (("--from", "yesterday"), "2026-03-01"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "ends before it begins"),
        (("--out", "report.pdf"), ".json nor .md"),
    ],
)
def test_a_period_that_is_none_is_refused(installed: Installed, arguments: tuple[str, ...], words: str) -> None:
    result = run("report", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())
