"""The simulator: the real plan under a virtual clock."""

import json

import pytest

from pushlane.model.task import Tier
from pushlane.simulator import InvalidTrace, TraceTask, read_trace, report_of, simulate
from pushlane.simulator.__main__ import main

HEADER = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on"


def a_task(
    number: int, arrival_s: float, runtime_s: float, deadline_s: float = 100, tier: Tier = Tier.NORMAL
) -> TraceTask:
    return TraceTask(
        arrival_s=arrival_s,
        tenant="atlas",
        tier=tier,
        tokens_in=1,
        tokens_out=1,
        runtime_s=runtime_s,
        deadline_s=deadline_s,
        task_type="task",
        task_id=f"t{number}",
    )


def test_one_slot_serves_in_order_of_arrival_without_a_gap() -> None:
    run = simulate([a_task(0, 0, 5), a_task(1, 1, 2), a_task(2, 2, 1)], slots=1)
    assert [(one.task.task_id, one.started_s, one.finished_s) for one in run.ran] == [
        ("t0", 0.0, 5.0),
        ("t1", 5.0, 7.0),
        ("t2", 7.0, 8.0),
    ]


def test_slots_are_never_exceeded_and_never_idle_beside_a_waiting_task() -> None:
    trace = [a_task(n, n * 0.3, 1 + (n * 7 % 5)) for n in range(200)]
    run = simulate(trace, slots=4)
    assert len(run.ran) == 200
    for one in run.ran:
        at = one.started_s
        running = [other for other in run.ran if other.started_s <= at < other.finished_s]
        assert len(running) <= 4
        if one.wait_s > 0.001:  # the trace is read to the millisecond
            before = at - 0.0005
            assert sum(other.started_s <= before < other.finished_s for other in run.ran) == 4


def test_the_report_counts_misses_and_waits() -> None:
    run = simulate([a_task(0, 0, 5, 5), a_task(1, 0, 5, 5, Tier.HIGH)], slots=1)
    report = report_of(run, 1)
    assert report.miss_pct == 50.0
    assert {tier: one.miss_pct for tier, one in report.by_tier.items()} == {"normal": 0.0, "high": 100.0}
    assert (report.wait_s.p50, report.wait_s.longest) == (0.0, 5.0)
    assert report.simulated


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0,atlas,urgent,1,1,1,2,,,", "line 2"),
        ("0,atlas,high,x,1,1,2,,,", "tokens_in"),
        ("0,atlas,high,1,1,-1,2,,,", "negative"),
        ("0,atlas,high,1,1,1,2,,b,a", "depends_on"),
    ],
)
def test_a_bad_line_is_named(row: str, said: str) -> None:
    with pytest.raises(InvalidTrace, match=said):
        read_trace([HEADER, row])


def test_a_bad_header_is_named() -> None:
    with pytest.raises(InvalidTrace, match="runtime_s"):
        read_trace([HEADER.replace("runtime_s,", ""), ""])


def test_the_command_prints_json(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]  # pytest's own fixtures
    file = tmp_path / "trace.csv"
    file.write_text(HEADER + "\n0.5,atlas,high,1,1,2.0,9.0,,,\n0.6,birch,low,1,1,2.0,9.0,,,\n")
    assert main(["--trace", str(file), "--slots", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == 2
    assert main(["--trace", str(tmp_path / "none.csv"), "--slots", "1"]) == 2
