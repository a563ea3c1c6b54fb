"""Any policy in any world: nothing exceeded (the world stops a run that does), nothing lost, no slot idle."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pushlane.model.task import Tier
from pushlane.simulator import POLICIES, RateSetting, Run, Setting, TraceTask, one_pool, simulate, tasks_of
from tests.unit.simulator.traces import a_task

RATE = RateSetting(name="gpt", tokens_per_minute=6_000, burst_tokens=400, task_types=("llm",))


@st.composite
def traces(draw: st.DrawFn) -> list[TraceTask]:
    tasks: list[TraceTask] = []
    at = 0.0
    for number in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from((0.0, 0.001, 0.4, 3.0)))
        runtime = draw(st.sampled_from((0.0, 0.1, 1.0, 6.0)))
        parents = draw(st.lists(st.integers(0, number - 1), max_size=2)) if number else []
        tasks.append(
            a_task(
                number,
                at,
                runtime,
                at + runtime + draw(st.sampled_from((0.0, 2.0, 50.0))),
                draw(st.sampled_from(tuple(Tier))),
                tenant=draw(st.sampled_from(("atlas", "birch", "cedar"))),
                tokens=draw(st.sampled_from((0, 50, 500))),
                task_type=draw(st.sampled_from(("llm", "tool"))),
                depends_on=tuple(f"t{parent}" for parent in parents),
            )
        )
    return tasks


def run(trace: list[TraceTask], setting: Setting, policy: str, sigma: float) -> Run:
    return simulate(tasks_of(trace, setting, sigma, 7), setting, POLICIES[policy])


@settings(max_examples=150, deadline=None)
@given(
    trace=traces(), policy=st.sampled_from(tuple(POLICIES)), slots=st.integers(1, 4), sigma=st.sampled_from((0.0, 1.0))
)
def test_every_task_runs_once_within_slots_and_rates(
    trace: list[TraceTask], policy: str, slots: int, sigma: float
) -> None:
    done = run(trace, one_pool(slots, rates=(RATE,)), policy, sigma)
    assert sorted(one.task.task_id for one in done.ran) == sorted(task.task_id for task in trace)
    assert done.dropped == ()
    ended = {one.task.task_id: one.finished_ms for one in done.ran}
    for one in done.ran:
        assert one.started_ms >= max((ended[parent] for parent in one.task.depends_on), default=0)
        assert one.started_ms >= one.task.ready_ms >= one.task.arrival_ms


@settings(max_examples=100, deadline=None)
@given(trace=traces(), policy=st.sampled_from(tuple(POLICIES)), slots=st.integers(1, 4))
def test_no_slot_is_idle_while_a_task_waits(trace: list[TraceTask], policy: str, slots: int) -> None:
    done = run(trace, one_pool(slots), policy, 0.0)
    ends = {one.finished_ms for one in done.ran}
    for waiting in done.ran:
        for at in (end for end in ends if waiting.task.ready_ms <= end < waiting.started_ms):
            assert sum(one.started_ms <= at < one.finished_ms for one in done.ran) == slots
