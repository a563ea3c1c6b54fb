"""Any plan on any pool: one operation an item, what fits in a transaction, and counters that stay true."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushlane.model.agent import AgentStatus
from pushlane.model.attempt import OutcomeKind
from pushlane.model.task import Task, Tier
from pushlane.ports import Table, Update
from pushlane.scheduling.decisions import (
    Complete,
    Dispatch,
    Fail,
    Park,
    Plan,
    Repush,
    Retry,
)
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import (
    Arrival,
    Input,
    PoolSnapshot,
)
from pushlane.state import keys
from pushlane.state.changes import own_operations
from pushlane.state.commit import OPERATIONS_MAX, Commit, compile_plan, ended_task_id
from pushlane.state.loading import load_lane_depths, load_pool
from tests.unit.state.worlds import Live, build, check_counters, inputs_of
from tests.unit.values import NOW, POOL, a_task, an_agent, an_attempt, an_outcome

KINDS = ("cpu", "gpu", "both")
CAPABILITIES = {"cpu": ("cpu",), "gpu": ("gpu",), "both": ("cpu", "gpu")}
TASKS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(list(Tier)), st.sampled_from("abc")), max_size=14)
ENDS = st.lists(st.sampled_from(["succeeded", "failed", "last", "silent", "unstarted"]), max_size=10)


def tasks_of(first: int, wanted: list[tuple[str, Tier, str]]) -> list[Task]:
    return [
        a_task(first + n, capabilities=CAPABILITIES[kind], tier=tier, tenant_id=tenant)
        for n, (kind, tier, tenant) in enumerate(wanted)
    ]


def live_of(ends: list[str], agents: list[str]) -> list[Live]:
    lives = []
    for n, end in enumerate(ends):
        task = a_task(3_000 + n)
        epoch = task.retry.max_attempts if end == "last" else 1
        attempt = an_attempt(3_000 + n, agent_id=agents[n % len(agents)], epoch=epoch)
        attempt = msgspec.structs.replace(attempt, runner=None if end == "unstarted" else f"call-{n}")
        kind = OutcomeKind.SUCCEEDED if end == "succeeded" else OutcomeKind.FAILED
        lives.append(Live(task, attempt, an_outcome(kind) if end in ("succeeded", "failed", "last") else None))
    return lives


def check_form(snapshot: PoolSnapshot, planned: Plan, commit: Commit, now_ms: int) -> None:
    """What DynamoDB asks of a transaction, and what resolving a cancelled one leans on."""
    assert len({operation.key for operation in commit.operations}) == len(commit.operations) <= OPERATIONS_MAX
    assert len(commit.owners) == len(commit.operations)
    for decision in commit.decisions:
        owned = [one for one, owner in zip(commit.operations, commit.owners, strict=True) if owner is decision]
        assert owned == own_operations(decision, snapshot.pool, now_ms)
        assert owned[0].key.table in (Table.TASKS, Table.ATTEMPTS)
    shared = [one for one, owner in zip(commit.operations, commit.owners, strict=True) if owner is None]
    assert all(isinstance(one, Update) and one.key.table is Table.SCHEDULER for one in shared)
    assert commit.complete == (len(commit.decisions) == len(planned.decisions))
    check_handoffs(planned, commit)


def check_handoffs(planned: Plan, commit: Commit) -> None:
    ended = {ended_task_id(decision) for decision in commit.decisions}
    handed = {d.handed_from for d in commit.decisions if isinstance(d, Dispatch) and d.handed_from is not None}
    assert handed <= ended
    if commit.complete:
        assert handed == {d.handed_from for d in planned.decisions if isinstance(d, Dispatch) and d.handed_from}


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    slots=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=4),
    parked=TASKS,
    arriving=TASKS,
    delayed=TASKS,
    ends=ENDS,
    dispatch=st.booleans(),
    wake=st.booleans(),
)
def test_any_plan_is_committed_whole_and_leaves_every_counter_true(
    slots: list[tuple[int, str, bool]],
    parked: list[tuple[str, Tier, str]],
    arriving: list[tuple[str, Tier, str]],
    delayed: list[tuple[str, Tier, str]],
    ends: list[str],
    dispatch: bool,
    wake: bool,
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
    live = live_of(ends, [agent.agent_id for agent in agents])
    waiting, late = tasks_of(1_000, parked), tasks_of(2_000, delayed)
    store, _ = build(agents, waiting, late, live)
    pending: list[Input] = [*inputs_of(late, live), *(Arrival(task) for task in tasks_of(4_000, arriving))]
    for round_number in range(40):
        freeing = {agent.agent_id: len(live) for agent in agents}
        snapshot = load_pool(store, POOL, freeing)
        planned = plan(snapshot, pending, NOW, dispatch=dispatch)
        if not planned.decisions:
            break
        parks = sorted({keys.lane_of(d.entry) for d in planned.decisions if isinstance(d, Park)})
        depths = load_lane_depths(store, POOL, parks)
        commit = compile_plan(snapshot, planned, depths, NOW, NOW + 1 if wake else None)
        check_form(snapshot, planned, commit, NOW)
        assert commit.decisions
        store.transact(commit.operations, f"round-{round_number}")
        check_counters(store)
        pending = [one for one in pending if not settled(one, commit)]
    assert not pending
    assert {item.attributes["status"] for item in store.items(Table.TASKS)} <= {
        "PARKED",
        "DISPATCHED",
        "RETRYING",
        "SUCCEEDED",
        "FAILED",
    }


def settled(one: Input, commit: Commit) -> bool:
    for decision in commit.decisions:
        match decision:
            case Dispatch(origin=origin) | Park(origin=origin) if origin == one:
                return True
            case Complete(finished=told) if told == one:
                return True
            case Retry(ended=told) | Fail(ended=told) if told == one:
                return True
            case Repush(expired=told) if told == one:
                return True
            case _:
                continue
    return False
