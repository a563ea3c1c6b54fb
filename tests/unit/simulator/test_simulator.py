"""The simulator with the product's own plan, and its command."""

import json
from pathlib import Path

import pytest

from pushlane.model.task import Tier
from pushlane.simulator import TraceTask, one_pool, policy_named, report_of, simulate, tasks_of
from pushlane.simulator.__main__ import main
from pushlane.simulator.run import Run
from tests.unit.simulator.traces import a_task

HEADER = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on"
ROWS = "\n0.5,atlas,high,1,1,2.0,9.0,,,\n0.6,birch,low,1,1,2.0,9.0,,,\n"


def run(trace: list[TraceTask], slots: int, policy: str = "pushlane") -> Run:
    setting = one_pool(slots)
    return simulate(tasks_of(trace, setting, 0.0, 7), setting, policy_named(policy))


def test_one_slot_serves_one_lane_without_a_gap() -> None:
    ran = run([a_task(0, 0, 5), a_task(1, 1, 2), a_task(2, 2, 2)], slots=1).ran
    assert [(one.task.task_id, one.started_ms, one.finished_ms) for one in ran] == [
        ("t0", 0, 5_000),
        ("t1", 5_000, 7_000),
        ("t2", 7_000, 9_000),
    ]


def test_slots_never_idle_beside_a_waiting_task() -> None:
    ran = run([a_task(n, n * 0.3, 1 + (n * 7 % 5)) for n in range(200)], slots=4).ran
    assert len(ran) == 200
    for one in ran:
        at = one.started_ms
        assert sum(other.started_ms <= at < other.finished_ms for other in ran) <= 4
        if one.wait_s > 0:
            assert sum(other.started_ms < at <= other.finished_ms for other in ran) == 4


def test_the_report_counts_misses_and_waits() -> None:
    report = report_of(run([a_task(0, 0, 5, 5), a_task(1, 0.001, 5, 5, Tier.HIGH)], slots=1))
    assert report.miss_pct == 50.0
    assert {tier: one.miss_pct for tier, one in report.by_tier.items()} == {"normal": 0.0, "high": 100.0}
    assert (report.wait_s.p50, report.wait_s.longest) == (0.0, 4.999)
    assert report.simulated


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(HEADER + ROWS)
    assert main(["--trace", str(file), "--slots", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == 2
    assert main(["--trace", str(file), "--load", "1.5", "--policy", "edf", "--estimate-error", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["slots"] == 27


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--trace", str(tmp_path / "none.csv"), "--slots", "1"]) == 2
    (tmp_path / "empty.csv").write_text(HEADER + "\n")
    assert main(["--trace", str(tmp_path / "empty.csv"), "--slots", "1"]) == 2
    assert "no tasks" in capsys.readouterr().err
    (tmp_path / "trace.csv").write_text(HEADER + ROWS)
    assert main(["--trace", str(tmp_path / "trace.csv"), "--slots", "1", "--policy", "luck"]) == 2
    assert "choose from pushlane, fifo" in capsys.readouterr().err
