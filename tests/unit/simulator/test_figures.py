"""What a run comes to: misses, waits, the gap in service, and the targets they are held against."""

import pytest

from pushlane.model.task import Tier
from pushlane.simulator import Figures, Ran, Run, SimTask, TraceTask, figures_of, one_pool, policy_named, simulate
from pushlane.simulator.curves import POINTS, curves_of
from pushlane.simulator.fairness import service_gap
from pushlane.simulator.figures import Misses, Waits, nearest_rank
from pushlane.simulator.report import Document, Line, document_of
from pushlane.simulator.targets import baseline_wins, prices, verdicts
from tests.unit.simulator.traces import a_task, sim_tasks


def fifo(trace: list[TraceTask], slots: int = 1) -> Run:
    setting = one_pool(slots)
    return simulate(sim_tasks(trace, setting), setting, policy_named("fifo"))


def some_figures(miss: float, quiet: float, critical: float = 0.0, dropped: int = 0) -> Figures:
    return Figures(
        tasks=10,
        dropped=dropped,
        miss_pct=Misses(all=miss, quiet=quiet, worst_tenant=miss, by_tier={"critical": critical, "normal": miss}),
        wait_s={"all": Waits(p50=0, p99=0, longest=0)},
        quiet_by_tier={},
        worst_tenant="t00",
        service_gap={},
        utilisation=1,
        tasks_per_second=1,
        plans=1,
        decisions=1,
        microseconds_per_decision=1,
    )


def a_document(own: Figures, world: str = "noisy-0.92", sigma: float = 0.0, **others: Figures) -> Document:
    return document_of(
        Line(world=world, slots=22, seed=7, noisy_tenant="noisy", sigma=sigma, policy=name, figures=figures)
        for name, figures in {"pushlane": own, **{k.replace("_", "-"): v for k, v in others.items()}}.items()
    )


def said(document: Document, met: bool | None) -> str:
    return "\n".join(verdict.text for verdict in verdicts(document) if verdict.met is met)


def test_misses_are_counted_by_tier_and_for_the_quiet() -> None:
    trace = [a_task(n, 0, 1, n + 1, tenant="quiet") for n in range(3)]
    trace += [a_task(3, 0, 1, 3, tenant="noisy"), a_task(4, 0, 1, 90, Tier.LOW, tenant="noisy")]
    figures = figures_of(fifo(trace), "noisy")
    assert figures.miss_pct == Misses(all=20.0, quiet=0.0, worst_tenant=50.0, by_tier={"normal": 25.0, "low": 0.0})
    assert (figures.worst_tenant, figures.utilisation, figures.tasks_per_second) == ("noisy", 1.0, 1.0)
    assert figures.wait_s["normal"] == Waits(p50=1.0, p99=3.0, longest=3.0)


def test_finishing_at_the_deadline_is_no_miss() -> None:
    assert figures_of(fifo([a_task(0, 0, 5, 5)])).miss_pct.all == 0.0
    assert figures_of(fifo([a_task(0, 0, 5, 4.999)])).miss_pct.all == 100.0


def test_what_was_dropped_is_missed() -> None:
    run = fifo([a_task(0, 0, 1)])
    [lost] = sim_tasks([a_task(1, 0, 1, tier=Tier.LOW)])
    dropping = Run(
        setting=run.setting, ran=run.ran, dropped=(lost,), plans=run.plans, decisions=run.decisions, decision_ns=0
    )
    figures = figures_of(dropping)
    assert (figures.dropped, figures.miss_pct.all, figures.miss_pct.by_tier["low"]) == (1, 50.0, 100.0)


@pytest.mark.parametrize(("quantile", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_quantiles_are_by_nearest_rank(quantile: float, value: float) -> None:
    assert nearest_rank([float(n) for n in range(1, 101)], quantile) == value


def test_the_gap_is_what_one_waiting_tenant_got_more_than_another() -> None:
    trace = [a_task(n, 0, 2, 500, tenant="atlas") for n in range(10)]
    trace += [a_task(n, 0, 2, 500, tenant="birch") for n in range(10, 20)]
    gap = service_gap(fifo(trace))["normal"]
    assert (gap.gap_s, gap.bound_s, gap.within) == (20.0, 4.0, False)  # all of atlas before any of birch
    fair = [a_task(n, 0, 2, 500, tenant="birch" if n % 2 else "atlas") for n in range(20)]
    assert service_gap(fifo(fair))["normal"].within


def test_tenants_are_compared_only_while_both_wait() -> None:
    trace = [a_task(n, 0, 2, 500, tenant="atlas") for n in range(10)] + [a_task(10, 19, 2, 500, tenant="birch")]
    assert service_gap(fifo(trace))["normal"].within


def test_what_is_late_is_no_part_of_the_promise() -> None:
    trace = [a_task(n, 0, 2, 500, tenant="atlas") for n in range(10)] + [a_task(10, 0, 2, 1, tenant="birch")]
    assert service_gap(fifo(trace))["normal"].within


def test_credit_widens_the_bound_on_both_sides() -> None:
    trace = [a_task(n, 0, 2, 500, tenant="birch" if n % 2 else "atlas") for n in range(4)]
    assert service_gap(fifo(trace), credit_s=10)["normal"].bound_s == 24.0


def test_one_tenant_alone_has_no_gap() -> None:
    assert service_gap(fifo([a_task(0, 0, 1)])) == {}


def test_curves_hold_every_wait_in_few_points() -> None:
    curves = curves_of(fifo([a_task(n, 0, 1) for n in range(50)]), None)
    assert (len(curves.waits["normal"]), curves.waits["normal"][-1]) == (POINTS + 1, 49.0)
    assert sum(curves.service["atlas"]) == 50.0


def test_targets_are_met_or_missed_by_their_figures() -> None:
    good = a_document(some_figures(22.0, 1.0), late_last=some_figures(13.0, 5.0), fifo=some_figures(70.0, 60.0))
    assert "MISSED" not in said(good, False)
    assert said(good, False) == ""
    assert "quiet misses at most 3 % (1 %)" in said(good, True)
    bad = a_document(
        some_figures(23.5, 3.1, critical=0.2, dropped=1),
        late_last=some_figures(13.0, 5.0),
        fifo=some_figures(20.0, 60.0),
    )
    missed = said(bad, False)
    for part in ("quiet misses", "all misses", "critical and high", "1 dropped", "1.61 times", "the best of them fifo"):
        assert part in missed


def test_what_was_not_run_is_neither_met_nor_missed() -> None:
    document = a_document(some_figures(1.0, 1.0), world="workflows", sigma=1.0)
    assert "conv-1.1: all misses at most 5.5 % (not run)" in said(document, None)


def test_a_win_of_a_baseline_is_said_and_so_is_the_price_of_fairness() -> None:
    document = a_document(some_figures(15.0, 1.0), late_last=some_figures(13.0, 5.0), fifo=some_figures(70.0, 60.0))
    assert "a baseline wins: noisy-0.92, sigma 0, misses all: late-last 13 %; pushlane 15 %" in baseline_wins(document)
    assert not any("fifo" in line or "quiet" in line.split(":")[1] for line in baseline_wins(document))
    [price] = prices(document)
    assert "+2.00 points" in price


def test_waits_start_when_a_task_is_ready() -> None:
    [task] = sim_tasks([a_task(0, 1, 1)])
    assert isinstance(task, SimTask)
    assert Ran(task=task, started_ms=3_500, finished_ms=4_500).wait_s == 2.5
