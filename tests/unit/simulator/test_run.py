"""The virtual world: dependencies, rates, pools, and schedulers that break its rules."""

from collections.abc import Callable, Sequence

import pytest

from pushlane.simulator import (
    Decided,
    Exceeded,
    Policy,
    PoolSetting,
    RateSetting,
    Run,
    Scheduler,
    Setting,
    SimTask,
    Stuck,
    TraceTask,
    checked,
    one_pool,
    policy_named,
    simulate,
)
from pushlane.simulator.setting import InvalidSetting, parse_pool, parse_rate
from tests.unit.simulator.traces import a_task, sim_tasks


def fifo(trace: list[TraceTask], setting: Setting) -> Run:
    return simulate(sim_tasks(trace, setting), setting, policy_named("fifo"))


class Doing:
    """A scheduler that does the same with every batch of arrivals."""

    def __init__(self, do: Callable[[Sequence[SimTask]], Decided], wake_ms: int | None = None) -> None:
        self.do, self.wake_ms = do, wake_ms

    def decide(self, arrivals: Sequence[SimTask], finished: Sequence[SimTask], now_ms: int) -> Decided:
        return self.do(arrivals)

    def next_wake_ms(self) -> int | None:
        return self.wake_ms


def doing(do: Callable[[Sequence[SimTask]], Decided], wake_ms: int | None = None) -> Policy:
    def build(setting: Setting, tasks: Sequence[SimTask]) -> Scheduler:
        return Doing(do, wake_ms)

    return build


def test_a_child_is_ready_when_its_last_parent_finished() -> None:
    trace = [
        a_task(0, 0, 3, 50),
        a_task(1, 0, 5, 50),
        a_task(2, 0, 1, 50, depends_on=("t0", "t1")),
        a_task(3, 9, 1, 50, depends_on=("t0",)),
    ]
    ran = {one.task.task_id: one for one in fifo(trace, one_pool(4)).ran}
    assert (ran["t2"].started_ms, ran["t2"].task.ready_ms, ran["t2"].wait_s) == (5_000, 5_000, 0.0)
    assert (ran["t3"].started_ms, ran["t3"].task.ready_ms) == (9_000, 9_000)  # its parent had finished before it came


def test_what_a_task_holds_up_is_known_beforehand() -> None:
    trace = [a_task(0, 0, 3), a_task(1, 0, 5, depends_on=("t0",)), a_task(2, 0, 1, depends_on=("t1",))]
    tasks = sim_tasks(trace)
    assert [(task.downstream_ms, task.unblocks) for task in tasks] == [(6_000, 1), (1_000, 1), (0, 0)]


def test_a_head_that_does_not_fit_the_rate_holds_back_the_queue_until_it_does() -> None:
    rate = RateSetting(name="gpt", tokens_per_minute=60_000, burst_tokens=1_000, task_types=("llm",))
    trace = [
        a_task(0, 0, 1, tokens=1_000, task_type="llm"),
        a_task(1, 0, 1, tokens=500, task_type="llm"),
        a_task(2, 0, 1, tokens=500, task_type="tool"),
    ]
    run = fifo(trace, one_pool(9, rates=(rate,)))
    assert [(one.task.task_id, one.started_ms) for one in run.ran] == [("t0", 0), ("t1", 500), ("t2", 500)]


def test_pools_take_their_task_types_and_share_the_rates() -> None:
    pools = (PoolSetting(name="web", slots=1, task_types=("crawl",)), PoolSetting(slots=1))
    setting = checked(Setting(pools=pools, rates=(RateSetting(name="gpt", tokens_per_minute=60_000, burst_tokens=10),)))
    trace = [a_task(0, 0, 2, task_type="crawl"), a_task(1, 0, 2, task_type="crawl"), a_task(2, 0, 2, tokens=10)]
    trace.append(a_task(3, 2, 2, tokens=10))
    run = fifo(trace, setting)
    assert {one.task.task_id: (one.task.pool, one.started_ms) for one in run.ran} == {
        "t0": ("web", 0),
        "t1": ("web", 2_000),
        "t2": ("default", 0),
        "t3": ("default", 2_000),
    }


@pytest.mark.parametrize(
    ("trace", "setting", "said"),
    [
        ([a_task(0, 0, 1), a_task(1, 0, 1)], one_pool(1), "no free slot"),
        ([a_task(0, 0, 1), a_task(1, 0, 1)], Setting(pools=(PoolSetting(slots=2),), caps={"atlas": 1}), "cap"),
        (
            [a_task(0, 0, 1, tokens=10), a_task(1, 0, 1, tokens=1)],
            one_pool(2, rates=(RateSetting(name="gpt", tokens_per_minute=1, burst_tokens=10),)),
            "1 tokens did not fit rate gpt",
        ),
    ],
)
def test_a_scheduler_that_exceeds_a_limit_is_stopped(trace: list[TraceTask], setting: Setting, said: str) -> None:
    with pytest.raises(Exceeded, match=said):
        simulate(sim_tasks(trace, setting), setting, doing(Decided))


def test_a_task_cannot_be_started_twice() -> None:
    with pytest.raises(Exceeded, match="t0 was started twice"):
        simulate(sim_tasks([a_task(0, 0, 1)]), one_pool(2), doing(lambda arrivals: Decided([*arrivals, *arrivals])))


def test_a_scheduler_that_forgets_a_task_is_found_out() -> None:
    with pytest.raises(Stuck, match="1 tasks wait for ever on 1 free slots"):
        simulate(sim_tasks([a_task(0, 0, 1)]), one_pool(1), doing(lambda arrivals: Decided()))


def test_a_scheduler_that_wakes_without_end_is_stopped() -> None:
    with pytest.raises(Stuck, match="wakes without end"):
        simulate(sim_tasks([a_task(0, 0, 1)]), one_pool(1), doing(lambda arrivals: Decided(), wake_ms=0))


def test_dropping_a_task_drops_all_that_waits_for_it_once() -> None:
    trace = [
        a_task(0, 0, 1),
        a_task(1, 0, 1, depends_on=("t0",)),
        a_task(2, 0, 1, depends_on=("t0",)),
        a_task(3, 5, 1, depends_on=("t1", "t2")),
    ]
    run = simulate(sim_tasks(trace), one_pool(1), doing(lambda arrivals: Decided(drop=arrivals)))
    assert sorted(task.task_id for task in run.dropped) == ["t0", "t1", "t2", "t3"]
    assert run.ran == ()


def test_the_baselines_refuse_a_world_with_caps() -> None:
    setting = Setting(pools=(PoolSetting(slots=1),), caps={"atlas": 1})
    with pytest.raises(InvalidSetting, match="pushlane alone"):
        simulate(sim_tasks([a_task(0, 0, 1)], setting), setting, policy_named("edf"))


def test_pools_and_rates_are_read_from_text() -> None:
    pool = PoolSetting(name="web", slots=8, agents=2, task_types=("crawl", "shop"))
    assert parse_pool("web=8/2:crawl,shop") == pool
    assert parse_pool("rest=20") == PoolSetting(name="rest", slots=20)
    rate = RateSetting(name="gpt-5", tokens_per_minute=300_000, burst_tokens=300_000)
    assert parse_rate("gpt-5=300000") == rate
    assert parse_rate("gpt-5=300000/50:llm").burst_tokens == 50


@pytest.mark.parametrize("text", ["web", "web=", "web=x", "=3", "web=3:"])
def test_what_cannot_be_read_is_shown_how(text: str) -> None:
    with pytest.raises(InvalidSetting, match="such as"):
        parse_pool(text)
    with pytest.raises(InvalidSetting, match="such as"):
        parse_rate(text)


@pytest.mark.parametrize(
    "setting",
    [
        Setting(pools=()),
        Setting(pools=(PoolSetting(slots=1), PoolSetting(slots=1))),
        Setting(pools=(PoolSetting(slots=0),)),
        Setting(pools=(PoolSetting(slots=1, agents=2),)),
        Setting(pools=(PoolSetting(slots=1),), rates=(RateSetting(name="r", tokens_per_minute=0, burst_tokens=1),)),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: Setting) -> None:
    with pytest.raises(InvalidSetting):
        checked(setting)


def test_a_task_type_that_no_pool_takes_is_named() -> None:
    setting = Setting(pools=(PoolSetting(slots=1, task_types=("crawl",)),))
    with pytest.raises(InvalidSetting, match="'task'"):
        sim_tasks([a_task(0, 0, 1)], setting)
