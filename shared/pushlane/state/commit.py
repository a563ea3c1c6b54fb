"""Decisions -> one transaction: every decision's own items, and the shared ones (agents, lanes, shapes, wake-up) folded
into one operation each, because a transaction may not touch an item twice.

Conditions lean on limits, never on versions of shared items, so that many turns commit side by side.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import AgentStatus
from pushlane.ports import (
    AtLeast,
    AtMost,
    Conditions,
    Delete,
    Equals,
    Missing,
    Put,
    Scalar,
    Update,
    Write,
)
from pushlane.scheduling.decisions import Complete, Decision, Dispatch, Fail, Plan, Retry
from pushlane.scheduling.snapshot import (
    LaneRef,
    LeaseExpired,
    PoolSnapshot,
    agents_by_id,
)
from pushlane.state import keys
from pushlane.state.changes import own_operations
from pushlane.state.lanes import LaneLedger

# DynamoDB allows 100 operations and 4 MB a transaction.
OPERATIONS_MAX: Final = 100
BYTES_MAX: Final = 3_500_000
RETENTION_SECONDS: Final = 30 * 24 * 3600


class Commit(Struct, frozen=True, kw_only=True):
    """One transaction: its operations, the decision that owns each (None: shared), and the decisions it carries."""

    operations: tuple[Write, ...]
    owners: tuple[Decision | None, ...]
    decisions: tuple[Decision, ...]
    complete: bool


def compile_plan(
    snapshot: PoolSnapshot, plan: Plan, lane_depths: Mapping[LaneRef, int], now_ms: int, wake_due_ms: int | None
) -> Commit:
    """The transaction for as many of the plan's decisions as fit; the caller plans the rest again."""
    fold = _Fold(snapshot, lane_depths)
    taken: list[Decision] = []
    own: list[tuple[Decision | None, Write]] = []
    weight = 0
    ordered = _paired(plan.decisions)
    for decision in ordered:
        operations = own_operations(decision, snapshot.pool, now_ms)
        weight += _weight(operations)
        if len(own) + len(operations) + fold.size_with(decision) > OPERATIONS_MAX or (taken and weight > BYTES_MAX):
            break
        fold.add(decision)
        own += [(decision, operation) for operation in operations]
        taken.append(decision)
    shared = fold.operations(wake_due_ms)
    every = own + [(None, operation) for operation in shared]
    return Commit(
        operations=tuple(operation for _, operation in every),
        owners=tuple(owner for owner, _ in every),
        decisions=tuple(taken),
        complete=len(taken) == len(ordered),
    )


def _paired(decisions: tuple[Decision, ...]) -> list[Decision]:
    """Each handoff right behind the completion that frees its slot, so that both land in one transaction."""
    handed = {d.handed_from: d for d in decisions if isinstance(d, Dispatch) and d.handed_from is not None}
    ordered: list[Decision] = []
    for decision in decisions:
        if isinstance(decision, Dispatch) and decision.handed_from is not None:
            continue
        ordered.append(decision)
        ended = ended_task_id(decision)
        if ended is not None and ended in handed:
            ordered.append(handed.pop(ended))
    return ordered + list(handed.values())


def ended_task_id(decision: Decision) -> str | None:
    """The task whose attempt the decision ends, if it ends one."""
    match decision:
        case Complete(finished=finished):
            return finished.task_id
        case Retry(ended=ended) | Fail(ended=ended):
            return ended.attempt.task_id if isinstance(ended, LeaseExpired) else ended.task_id
        case _:
            return None


def _weight(operations: list[Write]) -> int:
    texts = [v for o in operations if not isinstance(o, Delete) for v in _values(o) if isinstance(v, str)]
    return 500 * len(operations) + sum(len(value.encode()) for value in texts)


def _values(operation: Put | Update) -> list[Scalar]:
    return list(operation.attributes.values() if isinstance(operation, Put) else operation.set.values())


class _Fold:
    """The shared items' changes, added up."""

    def __init__(self, snapshot: PoolSnapshot, lane_depths: Mapping[LaneRef, int]) -> None:
        self.snapshot = snapshot
        self.agents = agents_by_id(snapshot)
        self.reserved: dict[str, int] = {}
        self.released: dict[str, int] = {}
        self.lanes = LaneLedger(snapshot, lane_depths)

    def add(self, decision: Decision) -> None:
        agent_id = _agent_of(decision)
        if agent_id is not None and agent_id in self.agents:
            side = self.reserved if isinstance(decision, Dispatch) else self.released
            side[agent_id] = side.get(agent_id, 0) + 1
        self.lanes.add(decision)

    def size_with(self, decision: Decision) -> int:
        """An upper bound of the shared operations with `decision`: its agent, its lane and shape, the wake-up."""
        return len(self.reserved | self.released) + self.lanes.size + 4

    def operations(self, wake_due_ms: int | None) -> list[Write]:
        agents = [self._agent(agent_id) for agent_id in sorted(self.reserved | self.released)]
        wake = [] if wake_due_ms is None else [_wake(self.snapshot, wake_due_ms)]
        return [*agents, *self.lanes.operations(), *wake]

    def _agent(self, agent_id: str) -> Update:
        reserved, released = self.reserved.get(agent_id, 0), self.released.get(agent_id, 0)
        agent = self.agents[agent_id]
        conditions: Conditions = (AtLeast("used", released),) if released else ()
        if reserved:
            limit = AtMost("used", agent.slots - reserved + released)
            conditions += (Equals("status", AgentStatus.ACTIVE.value), Equals("slots", agent.slots), limit)
        delta = {"used": reserved - released, "revision": 1}
        return Update(keys.agent_key(self.snapshot.pool, agent_id), add=delta, conditions=conditions)


def slot_changes(decisions: Sequence[Decision]) -> dict[str, int]:
    """By agent: slots that the decisions take, less those that they give back."""
    changes: dict[str, int] = {}
    for decision in decisions:
        agent_id = _agent_of(decision)
        if agent_id is not None:
            changes[agent_id] = changes.get(agent_id, 0) + (1 if isinstance(decision, Dispatch) else -1)
    return changes


def _agent_of(decision: Decision) -> str | None:
    match decision:
        case Dispatch(agent_id=agent_id):
            return agent_id
        case Complete(finished=finished):
            return finished.agent_id
        case Retry(ended=ended) | Fail(ended=ended):
            return ended.attempt.agent_id if isinstance(ended, LeaseExpired) else ended.agent_id
        case _:
            return None


def _wake(snapshot: PoolSnapshot, due_ms: int) -> Update:
    """Record the wake-up that was just sent; of several turns that arm at once, one is recorded."""
    seen = snapshot.wake
    unchanged: Conditions = (Equals("generation", seen.generation),) if seen.generation else (Missing("generation"),)
    return Update(
        keys.wake_key(snapshot.pool), set={"due_ms": due_ms, "generation": seen.generation + 1}, conditions=unchanged
    )
