"""1,000 nodes of mixed shape end in the order of their edges, each once; with crashes: `tests/long`."""

from pathlib import Path

import msgspec

from tests.simulation.large_workflow import NODES, Report, run

REPORTS = Path(__file__).resolve().parents[2] / "build" / "reliability"


def check(report: Report) -> None:
    assert (report.nodes, report.status) == (NODES, "SUCCEEDED")
    assert (report.out_of_order, report.twice) == (0, 0)


def test_a_large_workflow_ends_in_order_and_its_unblock_latency_is_known() -> None:
    report = run(seed=7, fault_probability=0.0)
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / "workflow.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    check(report)
    # A fan-out of 300 goes in batches of ten, at 4 ms a call: its last child waits for all those before it.
    assert report.unblock_ms["p50"] <= 100
    assert report.unblock_ms["p99"] <= 1_000
