"""The waterfall and the report, as they are made of values."""

from collections.abc import Mapping

from rich.console import Console

from pushlane.cli.report_pages import markdown, pages
from pushlane.cli.reporting import fairness, report_of
from pushlane.cli.waterfall import bar, in_order, waterfall
from pushlane.model.span import Span, SpanStatus
from pushlane.telemetry.report import Percentiles, PoolSample, Summary


def span(name: str, start_ms: int, end_ms: int | None, parent: str | None = "root") -> Span:
    return Span(trace_id="t", span_id=name, parent_id=parent, name=name, start_ms=start_ms, end_ms=end_ms)


def test_spans_stand_under_their_parents_in_the_order_of_time() -> None:
    spans = [span("root", 0, 100, None), span("run", 50, 90), span("step", 60, 70, "run"), span("door", 0, 10)]
    assert [(depth, one.name) for depth, one in in_order(spans)] == [(0, "root"), (1, "door"), (1, "run"), (2, "step")]


def test_a_span_whose_parent_is_elsewhere_is_a_root() -> None:
    assert in_order([span("task", 0, 1, "of-somebody-else")])[0][0] == 0


def test_every_bar_lies_within_the_drawing() -> None:
    for start in range(0, 101, 7):
        for end in range(start, 101, 11):
            first, cells = bar(start, end, 0, 100, 30)
            assert 0 <= first < 30
            assert 1 <= cells <= 30 - first


def test_the_drawing_fits_the_terminal_and_tells_errors() -> None:
    run = Span(
        trace_id="t", span_id="run", parent_id="root", name="run", start_ms=500, end_ms=None, status=SpanStatus.ERROR,
        attributes={"agent_id": "extract", "error.type": "Timeout"},
    )  # fmt: skip
    console = Console(width=100, force_terminal=False, record=True)
    with console.capture() as captured:
        console.print(waterfall([span("root", 0, None, None), span("parked rate:tpm", 0, 500), run], 1_000, 100))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 100
    assert "Timeout" in lines[2]
    assert lines[1].count("-") >= 8
    assert "..." in lines[2]


def summary(
    tenant_id: str, cost: float, *, weight: float | None = 1.0, counts: Mapping[str, int] | None = None
) -> Summary:
    pickup = Percentiles(count=3, mean_ms=10, p50_ms=9, p95_ms=20, p99_ms=30, max_ms=31)
    return Summary(
        tenant_id=tenant_id, tier=None, from_ms=0, to_ms=60_000, cost=cost, weight=weight, slot_seconds=cost,
        counts=counts or {}, latencies={"pickup": pickup, "parked.capacity": pickup},
    )  # fmt: skip


def test_fairness_is_of_cost_by_weight() -> None:
    assert fairness([summary("a", 10), summary("b", 10)]) == 1.0
    assert fairness([summary("a", 20, weight=2.0), summary("b", 10)]) == 1.0
    assert fairness([summary("a", 10), summary("b", 0.0001)]) == 0.5
    assert fairness([summary("a", 10)]) is None


def test_a_report_adds_up_and_says_shares() -> None:
    counts = {"succeeded": 8, "deadline_met": 6, "deadline_missed": 2}
    made = report_of([summary("a", 30, counts=counts), summary("b", 10, weight=3.0)], {}, 0, 60_000)
    first, second = made.tenants
    assert (made.missed_share, first.missed_share, second.missed_share) == (0.25, 0.25, None)
    assert (first.cost_share, first.weight_share, second.cost_share, second.weight_share) == (0.75, 0.25, 0.25, 0.75)
    assert made.counts == counts


def test_pools_are_summed_up_from_their_samples() -> None:
    samples = [
        PoolSample(pool="p", at_ms=0, slots=10, used=5, waiting=0),
        PoolSample(
            pool="p", at_ms=60_000, slots=10, used=10, waiting=4, longest_wait_ms=900, waiting_with_idle_capacity=1
        ),
    ]
    (pool,) = report_of([], {"p": samples, "never": []}, 0, 60_000).pools
    assert (pool.used_share, pool.waiting_mean, pool.waiting_max, pool.longest_wait_ms) == (0.75, 2.0, 4, 900)
    assert (pool.samples, pool.idle_samples) == (2, 1)


def test_markdown_has_every_table_that_has_anything_to_say() -> None:
    made = report_of([summary("a", 30, counts={"deadline_missed": 1})], {}, 0, 60_000)
    text = markdown(made)
    titles = [page.title for page in pages(made)]
    assert titles == ["Work", "Deadlines", "Pickup: from acceptance to the first start", "What pickup is made of",
                      "Cost and fairness"]  # fmt: skip
    assert all(f"## {title}\n" in text for title in titles)
    assert "| a | all | 0 | 1 | 100.0% |" in text
