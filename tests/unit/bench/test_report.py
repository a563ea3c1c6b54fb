"""The report: its keys, its ratios, its targets, and that a section that fails does not take the others along."""

import msgspec
import pytest

from bench import __main__ as bench
from bench.loads import Load
from bench.report import POLL, PUSHLANE, Report, page, pickup_ratios, targets
from bench.scale import FULL, QUICK
from bench.sections import LATEST_SECONDS, Run
from pushlane.local.percentiles import Percentiles

KEYS = [
    "ratios",
    "pickup_ms",
    "calls_per_task",
    "write_units_per_task",
    "usd_per_million",
    "import_ms",
    "decision_us",
    "more",
    "targets",
    "failed",
]


def percentiles(p50: float, p99: float) -> Percentiles:
    return Percentiles(samples=400, p50=p50, p95=p99, p99=p99)


def a_report() -> Report:
    low = {"pushlane": percentiles(50, 90), "floor": percentiles(30, 60), "poll_1s": percentiles(200, 720)}
    return Report(
        ratios={**pickup_ratios(low), "burst_over_control": {PUSHLANE: 1.3, POLL: 1.0}},
        write_units_per_task={PUSHLANE: 27.0, "pushlane_event_log": 39.0},
        usd_per_million={PUSHLANE: 29.5},
    )


def test_the_report_has_its_keys_ratios_first() -> None:
    assert list(msgspec.to_builtins(Report())) == KEYS


def test_ratios_are_of_the_same_percentile_and_of_what_was_measured() -> None:
    assert a_report().ratios["poll_1s_over_pushlane"] == {"p50": 4.0, "p99": 8.0}
    assert a_report().ratios["pushlane_over_floor"] == {"p50": 1.67, "p99": 1.5}
    assert pickup_ratios({"floor": percentiles(1, 2)}) == {}


def test_targets_are_met_not_met_or_not_measured() -> None:
    found = {one.name: one.met for one in targets(a_report())}
    assert found["p50 of 1 s polling over Pushlane"] is True
    assert found["p99 of 1 s polling over Pushlane"] is True
    assert found["quiet tenants' p99, burst over control"] is False
    assert found["write units a task"] is True
    assert {one.met for one in targets(Report())} == {None}


def test_the_page_says_what_failed_and_what_is_not_met() -> None:
    report = a_report()
    report.targets = targets(report)
    report.failed["burst"] = "NotPickedUp: 3 of 100 orders did not run"
    told = page(report)
    assert told.index("NOT MEASURED") < told.index("## Targets") < told.index("## Ratios")
    assert "- burst: NotPickedUp" in told
    assert "| quiet tenants' p99, burst over control | <= 1.2 | 1.3 | NOT MET |" in told


def test_a_section_that_fails_is_reported_and_the_rest_goes_on() -> None:
    said: list[str] = []
    run = Run(QUICK, said.append)
    with run.section("first"):
        int("no such queue")
    with run.section("second"):
        run.report.note("pollers", 4)
    assert list(run.report.failed) == ["first"]
    assert run.report.failed["first"].startswith("ValueError: invalid literal")
    assert run.report.more["pollers"] == 4
    assert any("FAILED" in line for line in said)
    assert set(run.seconds) == {"first", "second"}


def test_a_section_that_would_end_too_late_is_not_begun() -> None:
    times = iter([0.0, LATEST_SECONDS + 1, LATEST_SECONDS + 1])
    run = Run(FULL, lambda _line: None, now=lambda: next(times))
    run.do("burst", lambda: pytest.fail("was begun"))
    assert run.report.failed["burst"].startswith("not begun")


@pytest.mark.parametrize(
    ("failed", "check", "code"), [({}, [], 0), ({}, ["--check"], 2), ({"API": "broken"}, ["--check"], 1)]
)
def test_failures_and_on_request_unmet_targets_are_in_the_exit_code(
    failed: dict[str, str], check: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(_run: Run) -> Report:
        report = a_report()
        report.failed = failed
        report.targets = targets(report)
        return report

    monkeypatch.setattr(bench, "measure", measured)
    monkeypatch.setattr(bench, "write", lambda _report: "{}")
    assert bench.main(["--quick", "--json", *check]) == code


def test_orders_come_as_the_load_says() -> None:
    assert FULL.low.per_second == 4
    assert FULL.low.count >= 400
    assert Load(name="x", count=10, rounds=3, per_second=4.0).gaps(0) == [0.25] * 4
    by_chance = FULL.steady.gaps(1)
    assert by_chance == FULL.steady.gaps(1) != FULL.steady.gaps(2)
    assert set(FULL.burst.gaps(0)) == {0.0}
