"""`pushlane simulate`: what a person types, and what comes back."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pushlane.cli.main import app
from pushlane.simulator import InvalidTrace, read_trace

pytestmark = pytest.mark.long

TRACE = """\
arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on
0.0,atlas,normal,10,10,2.0,5.0,,a,
0.0,atlas,normal,10,10,2.0,5.0,crawl,b,a
0.1,birch,high,10,10,2.0,3.0,,,
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "day.csv"
    file.write_text(TRACE)
    return file


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["simulate", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_trace_is_compared_under_policies(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = run(
        "--trace", trace, "--slots", "2", "--policy", "fifo,edf", "--json", "--out", out, "--noisy", "birch"
    )
    assert code == 0
    policies = json.loads(said)["worlds"]["day"]["sigma"]["0"]["policies"]
    assert list(policies) == ["fifo", "edf"]
    assert json.loads((out / "report.json").read_text()) == json.loads(said)


def test_plots_are_written(trace: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run("--trace", trace, "--slots", "1", "--policy", "fifo", "--out", tmp_path / "out")
    for name in ("day-waits.png", "day-service.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_tables_are_for_people(trace: Path) -> None:
    code, said = run(
        "--trace", trace, "--pool", "web=1:crawl", "--pool", "rest=1", "--policy", "fifo", "--policy", "edf"
    )
    assert code == 0
    assert "percent missed" in said
    assert "seconds waited" in said
    assert "fairness bound" in said


@pytest.mark.parametrize("words", [(), ("--slots", "1", "--load", "1"), ("--slots", "1", "--pool", "a=1")])
def test_capacity_is_said_once(trace: Path, words: tuple[str, ...]) -> None:
    assert run("--trace", trace, *words)[0] == 2


def test_without_a_trace_or_verb_it_says_what_there_is() -> None:
    assert run()[0] == 2


def test_a_world_is_run_and_judged(tmp_path: Path) -> None:
    words = ("worlds", "--world", "workflows", "--sigma", "1", "--policy", "fifo", "--out", tmp_path, "--check")
    code, said = run(*words)
    assert code == 0
    assert "workflows (22 slots, seed 7)" in said
    assert json.loads((tmp_path / "report.json").read_text())["worlds"]["workflows"]["sigma"].keys() == {"1"}


def test_a_missed_target_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushlane.simulator.suite.Outcome.missed", 2)
    words = ("worlds", "--world", "workflows", "--sigma", "0", "--policy", "fifo")
    assert run(*words)[0] == 0
    assert run(*words, "--check")[0] == 1


def test_the_file_of_a_world_is_generated(tmp_path: Path) -> None:
    file = tmp_path / "workflows.csv"
    assert run("generate", "workflows", file)[1].strip().endswith("tasks")
    with file.open(newline="") as lines:
        assert any(task.depends_on for task in read_trace(lines))


def test_policies_are_listed() -> None:
    assert "late-last" in run("policies")[1]


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("when,who\n1,2\n")
    with pytest.raises(InvalidTrace, match=r"bad\.csv: line 1: the header lacks arrival_s"):
        run("--trace", file, "--slots", "1")
