"""Any plan on any pool: one operation an item, what fits in a transaction, and counters that stay true."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushlane.model.agent import AgentStatus
from pushlane.model.attempt import Hold, OutcomeKind
from pushlane.model.policy import Policy, Rate, SlotsOf, TaskTypePolicy, TenantPolicy
from pushlane.model.task import DeadlineKind, Task, Tier
from pushlane.ports import Put, Table, Update
from pushlane.router.resolution import origin_of
from pushlane.scheduling.decisions import Dispatch, Plan, ended_of
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Input, PoolSnapshot, ended_task_id
from pushlane.state.changes import own_operations
from pushlane.state.commit import OPERATIONS_MAX, Commit, compile_plan
from tests.unit.state.worlds import Live, build, check_counters, inputs_of, look
from tests.unit.values import NOW, a_reservation, a_task, an_agent, an_attempt, an_outcome

KINDS = ("cpu", "gpu", "both")
CAPABILITIES = {"cpu": ("cpu",), "gpu": ("gpu",), "both": ("cpu", "gpu")}
DEADLINES: dict[str, dict[str, Any]] = {
    "none": {},
    "feasible": {"deadline_ms": NOW + 90_000},
    "late": {"deadline_ms": NOW + 1_000},
    "hard": {"deadline_ms": NOW + 90_000, "deadline_kind": DeadlineKind.HARD},
    "impossible": {"deadline_ms": NOW + 1_000, "deadline_kind": DeadlineKind.HARD},
}
TASKS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.sampled_from(list(Tier)), st.sampled_from("abc"), st.sampled_from(sorted(DEADLINES))
    ),
    max_size=14,
)
ENDS = st.lists(
    st.sampled_from(["succeeded", "failed", "last", "yielded", "silent", "unstarted"]),
    max_size=10,
)
# One tenant with a cap and a rate, and what every task of a type needs of what pools share.
POLICY = Policy(
    tenants={"b": TenantPolicy(in_flight_max=3, tasks_per_minute=4)},
    resources={"llm": Rate(per_minute=120, burst=5, shards=2), "browsers": SlotsOf(slots=4)},
    task_types={"work": TaskTypePolicy(resources=("browsers", "llm"))},
)
FREE = Policy()
Wanted = list[tuple[str, Tier, str, str]]


def tasks_of(first: int, wanted: Wanted) -> list[Task]:
    return [
        a_task(first + n, capabilities=CAPABILITIES[kind], tier=tier, tenant_id=tenant, **DEADLINES[deadline])
        for n, (kind, tier, tenant, deadline) in enumerate(wanted)
    ]


def live_of(ends: list[str], agents: list[str], limited: bool) -> list[Live]:
    lives = []
    for n, end in enumerate(ends):
        task = a_task(3_000 + n, tenant_id="abc"[n % 3])
        epoch = task.retry.max_attempts if end == "last" else 1
        agent_id = agents[n % len(agents)]
        held = a_reservation(agent_id=agent_id, tenant_id=task.tenant_id, charged=n % 2 == 0)
        if limited:
            held = msgspec.structs.replace(held, counted=True, holds=(Hold("browsers", 1, slots=True), Hold("llm", 1)))
        attempt = an_attempt(3_000 + n, agent_id=agent_id, epoch=epoch, tenant_id=task.tenant_id, reservation=held)
        attempt = msgspec.structs.replace(attempt, runner=None if end == "unstarted" else f"call-{n}")
        lives.append(Live(task, attempt, outcome_of(end)))
    return lives


def outcome_of(end: str) -> Any:
    kinds = {
        "succeeded": OutcomeKind.SUCCEEDED,
        "failed": OutcomeKind.FAILED,
        "last": OutcomeKind.FAILED,
        "yielded": OutcomeKind.YIELDED,
    }
    return an_outcome(kinds[end]) if end in kinds else None


def check_form(snapshot: PoolSnapshot, planned: Plan, commit: Commit, now_ms: int) -> None:
    """What DynamoDB asks of a transaction, and what resolving a cancelled one leans on."""
    assert len({operation.key for operation in commit.operations}) == len(commit.operations) <= OPERATIONS_MAX
    assert len(commit.owners) == len(commit.operations)
    for decision in commit.decisions:
        owned = [one for one, owner in zip(commit.operations, commit.owners, strict=True) if owner is decision]
        assert owned == own_operations(decision, snapshot.pool, now_ms)
        assert owned == [] or owned[0].key.table in (Table.TASKS, Table.ATTEMPTS)
    shared = [one for one, owner in zip(commit.operations, commit.owners, strict=True) if owner is None]
    assert all(is_fact(one) or (isinstance(one, Update) and one.key.table is Table.SCHEDULER) for one in shared)
    assert commit.complete == (len(commit.decisions) == len(planned.decisions))
    check_handoffs(planned, commit)


def is_fact(operation: object) -> bool:
    return isinstance(operation, Put) and "fact" in operation.attributes


def check_handoffs(planned: Plan, commit: Commit) -> None:
    ended = {ended_task_id(over) for decision in commit.decisions if (over := ended_of(decision)) is not None}
    handed = {d.handed_from for d in commit.decisions if isinstance(d, Dispatch) and d.handed_from is not None}
    assert handed <= ended
    if commit.complete:
        assert handed == {d.handed_from for d in planned.decisions if isinstance(d, Dispatch) and d.handed_from}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    slots=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=4),
    parked=TASKS,
    arriving=TASKS,
    delayed=TASKS,
    ends=ENDS,
    dispatch=st.booleans(),
    wake=st.booleans(),
    limited=st.booleans(),
)
def test_any_plan_is_committed_whole_and_leaves_every_counter_true(
    slots: list[tuple[int, str, bool]],
    parked: Wanted,
    arriving: Wanted,
    delayed: Wanted,
    ends: list[str],
    dispatch: bool,
    wake: bool,
    limited: bool,
) -> None:
    agents = [
        an_agent(
            f"agent-{n}",
            slots=count,
            capabilities=frozenset(CAPABILITIES[kind]),
            status=AgentStatus.DRAINING if draining else AgentStatus.ACTIVE,
        )
        for n, (count, kind, draining) in enumerate(slots)
    ]
    policy = POLICY if limited else FREE
    live = live_of(ends, [agent.agent_id for agent in agents], limited)
    waiting, late = tasks_of(1_000, parked), tasks_of(2_000, delayed)
    store, _ = build(agents, waiting, late, live, policy)
    pending: list[Input] = inputs_of(late, live, policy)
    pending += [Arrival(task, entry_of(task, policy)) for task in tasks_of(4_000, arriving)]
    for round_number in range(60):
        snapshot = look(store, pending, policy)
        planned = plan(snapshot, pending, NOW, dispatch=dispatch)
        if not planned.decisions:
            break
        commit = compile_plan(snapshot, planned, NOW, NOW + 1 if wake else None)
        check_form(snapshot, planned, commit, NOW)
        assert commit.decisions
        store.transact(commit.operations, f"round-{round_number}")
        check_counters(store, "b" if limited else "", ("browsers",) if limited else ())
        settled = [origin_of(decision) for decision in commit.decisions]
        pending = [one for one in pending if one not in settled]
    assert not pending
    statuses = {item.attributes["status"] for item in store.items(Table.TASKS) if item.key.sk == "TASK"}
    assert statuses <= {"PARKED", "DISPATCHED", "RETRYING", "SUCCEEDED", "FAILED", "DEAD_LETTERED", "EXPIRED"}
