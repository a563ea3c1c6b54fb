"""Small traces for tests of the simulator."""

from collections.abc import Sequence

from pushlane.model.task import Tier
from pushlane.simulator import Setting, SimTask, TraceTask, one_pool, tasks_of


def a_task(
    number: int,
    arrival_s: float,
    runtime_s: float,
    deadline_s: float = 100,
    tier: Tier = Tier.NORMAL,
    *,
    tenant: str = "atlas",
    tokens: int = 0,
    task_type: str = "task",
    depends_on: tuple[str, ...] = (),
) -> TraceTask:
    return TraceTask(
        arrival_s=arrival_s,
        tenant=tenant,
        tier=tier,
        tokens_in=tokens,
        tokens_out=0,
        runtime_s=runtime_s,
        deadline_s=deadline_s,
        task_type=task_type,
        task_id=f"t{number}",
        depends_on=depends_on,
    )


def sim_tasks(trace: Sequence[TraceTask], setting: Setting | None = None, sigma: float = 0.0) -> list[SimTask]:
    return tasks_of(trace, setting or one_pool(1), sigma, 7)
