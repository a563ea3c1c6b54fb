"""Many runs: jobs, failures that can be repeated, the isolation figures, and the files that are written."""

import json
from pathlib import Path

import pytest

from pushlane.model.task import Tier
from pushlane.simulator import Run, Setting, isolation, one_pool, policy_named, simulate, tasks_of, worlds
from pushlane.simulator.experiment import Job, RunFailed, jobs_of, run_job, spread
from pushlane.simulator.figures import Waits
from pushlane.simulator.isolation import BURST, CAPPED, CONTROL, Felt, TierFelt, bound_s, felt
from pushlane.simulator.policies import UnknownPolicy
from pushlane.simulator.suite import Order, Outcome, run_suite, statement, write
from pushlane.simulator.tasks import SimTask
from tests.unit.simulator.traces import a_task, sim_tasks


def doubled(number: int) -> int:
    if number > 8:
        raise ValueError(f"{number} is too large")
    return 2 * number


def test_results_are_in_the_order_of_the_jobs() -> None:
    seen: list[int] = []
    assert spread([3, 1, 2], doubled, seen.append, workers=2) == [6, 2, 4]
    assert sorted(seen) == [2, 4, 6]


def test_the_first_error_is_raised() -> None:
    with pytest.raises(ValueError, match="9 is too large"):
        spread([1, 9], doubled, lambda one: None, workers=1)


def test_every_combination_is_a_job() -> None:
    jobs = jobs_of(("noisy-0.92", "conv-1.1"), (0.0, 1.0), ("fifo", "edf"), 7, Path("requests.csv"))
    assert len(jobs) == 8
    assert {job.requests for job in jobs if job.world == "noisy-0.92"} == {None}
    with pytest.raises(UnknownPolicy):
        jobs_of(("noisy-0.92",), (0.0,), ("luck",), 7, None)


def test_a_failing_run_says_its_seed_and_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tasks: object, setting: Setting, policy: object) -> Run:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pushlane.simulator.experiment.simulate", fails)
    job = Job(world="workflows", sigma=0.5, policy="fifo", seed=11)
    with pytest.raises(RunFailed) as raised:
        run_job(job)
    message = str(raised.value)
    assert "ZeroDivisionError" in message
    assert "pushlane simulate worlds --world workflows --sigma 0.5 --policy fifo --seed 11" in message


def a_small_suite() -> Outcome:
    order = Order(worlds=("workflows", "conv-1.1"), sigmas=(0.0,), policies=("fifo", "edf"), isolation=True)
    return run_suite(order, lambda runs: None, lambda one: None)


def test_the_suite_writes_the_report(tmp_path: Path) -> None:
    outcome = a_small_suite()
    files = write(outcome, tmp_path / "sim")
    assert [file.name for file in files] == ["report.json", "isolation.json", "statement.txt"]
    report = json.loads(files[0].read_text())
    fifo = report["worlds"]["workflows"]["sigma"]["0"]["policies"]["fifo"]
    assert set(fifo["miss_pct"]) == {"all", "quiet", "worst_tenant", "by_tier"}
    assert set(fifo["miss_pct"]["by_tier"]) == {"critical", "high", "normal", "low", "background"}
    assert fifo["wait_s"]["critical"]["p99"] > 1
    assert outcome.missed == 0
    assert any("conv-1.1 was not run" in line and "AzurePublicDataset" in line for line in statement(outcome))


def short_hour(burst: int) -> list[SimTask]:
    trace = worlds.tasks_from(isolation.hour(7, burst))
    return [task for task in tasks_of(trace, one_pool(isolation.SLOTS), 0.0, 7) if task.arrival_ms < 950_000]


def test_the_burst_comes_within_a_second_and_changes_nothing_else() -> None:
    calm, stormy = short_hour(0), short_hour(500)
    burst = [task for task in stormy if task.tenant == worlds.NOISY_TENANT]
    assert len(burst) == 500
    assert max(task.arrival_ms for task in burst) - min(task.arrival_ms for task in burst) <= 1_000
    assert [task.arrival_ms for task in stormy if task.tenant != worlds.NOISY_TENANT] == [x.arrival_ms for x in calm]


def test_waits_of_the_quiet_are_held_against_the_bound() -> None:
    setting = one_pool(isolation.SLOTS)
    fair, unfair = (simulate(short_hour(8_000), setting, policy_named(name)) for name in ("round-robin", "fifo"))
    assert felt(BURST, fair).by_tier["high"].beyond_bound == 0
    assert felt(BURST, unfair).by_tier["critical"].beyond_bound > 0


def test_the_bound_is_what_the_shares_leave() -> None:
    setting = one_pool(1)
    [one] = simulate(sim_tasks([a_task(0, 0, 10, tier=Tier.HIGH)]), setting, policy_named("fifo")).ran
    # (2 tenants * (30 ahead + 120 credit) + 10 + 20 largest) / (10 % of 4 slots) + 20
    assert bound_s(Tier.HIGH, one, 30.0, {"atlas": 10.0, "birch": 20.0}, 4) == pytest.approx(845.0)


def a_felt(case: str, p99: float, beyond: int = 0) -> Felt:
    waits = Waits(p50=0.0, p99=p99, longest=p99)
    tier = TierFelt(tasks=1, wait_s=waits, bound_s=9.0, closest_pct=1.0, beyond_bound=beyond)
    return Felt(case=case, mean_runtime_s=3.0, by_tier={"critical": tier, "high": tier})


@pytest.mark.parametrize(("beyond", "capped_p99", "met"), [(0, 3.9, [True] * 3), (1, 4.1, [False] * 3)])
def test_isolation_is_judged_by_bound_and_by_control(beyond: int, capped_p99: float, met: list[bool]) -> None:
    runs = [a_felt(CONTROL, 1.0), a_felt(BURST, 5.0, beyond), a_felt(CAPPED, capped_p99)]
    assert [verdict.met for verdict in isolation.verdicts(runs)] == met
