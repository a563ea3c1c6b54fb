"""Decisions -> one transaction: every decision's own items, and the shared ones (agents, lanes, shapes, accounts,
limits, wake-up) folded into one operation each, because a transaction may not touch an item twice.

Conditions lean on limits, never on versions of shared items, so that many turns commit side by side.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.policy import SHARDS_MAX
from pushlane.ports import (
    AnyOf,
    AtLeast,
    AtMost,
    Condition,
    Conditions,
    Delete,
    Equals,
    Missing,
    Put,
    Scalar,
    Update,
    Write,
)
from pushlane.scheduling.books import Books
from pushlane.scheduling.decisions import Decision, Dispatch, Plan, released_by
from pushlane.scheduling.health import COOL_DOWN_MS, Starts
from pushlane.scheduling.snapshot import Finished, PoolSnapshot, ended_task_id, held_by
from pushlane.state import keys
from pushlane.state.changes import own_operations
from pushlane.state.health import NOT_STARTED, unavailable
from pushlane.state.lanes import LaneLedger
from pushlane.state.limits import limit_operations
from pushlane.state.notices import notices

# DynamoDB allows 100 operations and 4 MB a transaction.
OPERATIONS_MAX: Final = 100
BYTES_MAX: Final = 3_500_000

AgentRef = tuple[str, str]


class Commit(Struct, frozen=True, kw_only=True):
    """One transaction: its operations, the decision that owns each (None: shared), and the decisions it carries."""

    operations: tuple[Write, ...]
    owners: tuple[Decision | None, ...]
    decisions: tuple[Decision, ...]
    complete: bool


def compile_plan(
    snapshot: PoolSnapshot, plan: Plan, now_ms: int, wake_due_ms: int | None, waits_on: Sequence[str] = ()
) -> Commit:
    """The transaction for as many of the plan's decisions as fit; the caller plans the rest again.

    `waits_on`: partitions of things that pools share, beside which this pool leaves its mark.
    """
    fold = _Fold(snapshot, now_ms)
    taken: list[Decision] = []
    own: list[tuple[Decision | None, Write]] = []
    weight = 0
    ordered = _paired(plan.decisions)
    marks = [Put(keys.waits_key(pk, snapshot.pool), {"v": 1}) for pk in waits_on]
    for decision in ordered:
        operations = own_operations(decision, snapshot.pool, now_ms)
        weight += _weight(operations)
        full = len(own) + len(operations) + fold.size_with(decision) + len(marks) > OPERATIONS_MAX
        if taken and (full or weight > BYTES_MAX):
            break
        fold.add(decision)
        own += [(decision, operation) for operation in operations]
        taken.append(decision)
    shared = [*fold.operations(wake_due_ms), *marks]
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
        ended = released_by(decision)
        if ended is not None and ended_task_id(ended) in handed:
            ordered.append(handed.pop(ended_task_id(ended)))
    return ordered + list(handed.values())


def _weight(operations: list[Write]) -> int:
    texts = [v for o in operations if not isinstance(o, Delete) for v in _values(o) if isinstance(v, str)]
    return 500 * len(operations) + sum(len(value.encode()) for value in texts)


def _values(operation: Put | Update) -> list[Scalar]:
    return list(operation.attributes.values() if isinstance(operation, Put) else operation.set.values())


class _Fold:
    """The shared items' changes, added up."""

    def __init__(self, snapshot: PoolSnapshot, now_ms: int) -> None:
        self.snapshot = snapshot
        self.now_ms = now_ms
        self.agents = {(agent.pool, agent.agent_id): agent for agent in snapshot.agents}
        self.reserved: dict[AgentRef, int] = {}
        self.released: dict[AgentRef, int] = {}
        self.lanes = LaneLedger(snapshot, now_ms)
        self.books = Books(snapshot, now_ms)
        self.starts = Starts()

    def add(self, decision: Decision) -> None:
        if isinstance(decision, Dispatch):
            _count(self.reserved, (decision.reservation.agent_pool, decision.agent_id))
        released = released_by(decision)
        if released is not None and (held := held_by(released)).slots:
            _count(self.released, (held.agent_pool, held.agent_id))
        self.lanes.add(decision)
        self.books.add(decision)
        self.starts.add(decision)

    def size_with(self, decision: Decision) -> int:
        """An upper bound of the shared operations with `decision`: its agent, lane, shape, pressure, account, tier,
        limits with the facts that they make true (two budgets of a tenant, a pause), and the wake-up.
        """
        books = self.books
        limits = (
            len(books.accounts)
            + len(books.home_charges)
            + len(books.tiers)
            + 3 * len(books.tenants)
            + 2 * len(books.resources)
        )
        agents = len(self.reserved | self.released) + len(self.starts.unstarted)
        return agents + self.lanes.size + limits + _holds(decision) + 10

    def operations(self, wake_due_ms: int | None) -> list[Write]:
        down = self.starts.unavailable(self.snapshot)
        agents = [self._agent(ref, ref in down) for ref in sorted(self.reserved | self.released)]
        lanes, pressures = self.lanes.operations(self.books)
        limits = limit_operations(self.snapshot, self.books, self.now_ms)
        facts = notices(self.snapshot, self.books, pressures, self.now_ms)
        facts += [unavailable(*ref, NOT_STARTED, self.now_ms) for ref in sorted(down)]
        wake = [] if wake_due_ms is None else [_wake(self.snapshot, wake_due_ms)]
        return [*agents, *lanes, *limits, *facts, *wake]

    def _agent(self, ref: AgentRef, down: bool) -> Update:
        reserved, released = self.reserved.get(ref, 0), self.released.get(ref, 0)
        agent = self.agents.get(ref)
        if agent is None and reserved:
            raise ValueError(f"agent {ref} was reserved and is not in the snapshot")
        conditions: Conditions = (AtLeast("used", released),) if released else ()
        if reserved and agent is not None:
            limit = AtMost("used", agent.capacity - reserved + released)
            conditions += (Equals("status", AgentStatus.ACTIVE.value), Equals("slots", agent.slots), limit)
        delta = {"used": reserved - released, "revision": 1}
        set_: dict[str, Scalar] = {}
        if ref in self.starts.started:
            set_ = {"unstarted": 0} if agent is None or agent.unstarted else {}
        elif ref in self.starts.unstarted:
            delta["unstarted"] = self.starts.unstarted[ref]
        if down and agent is not None:
            set_ = {"status": AgentStatus.UNAVAILABLE.value, "cools_until_ms": self.now_ms + COOL_DOWN_MS}
            conditions += (Equals("status", AgentStatus.ACTIVE.value), _unstarted_as_seen(agent))
        return Update(keys.agent_key(*ref), set=set_, add=delta, conditions=conditions)


def _unstarted_as_seen(agent: Agent) -> Condition:
    """Of several turns that find attempts which were not started, one says that it was one too many."""
    seen = Equals("unstarted", agent.unstarted)
    return seen if agent.unstarted else AnyOf((Missing("unstarted"), seen))


def _holds(decision: Decision) -> int:
    """Operations on resources: one for each hold, and the shards and the fact of one that is paused."""
    if isinstance(decision, Dispatch):
        return len(decision.reservation.holds)
    ended = released_by(decision)
    if ended is None:
        return 0
    paused = isinstance(ended, Finished) and ended.outcome.throttled is not None
    return len(held_by(ended).holds) + (SHARDS_MAX + 1 if paused else 0)


def _count(counts: dict[AgentRef, int], ref: AgentRef) -> None:
    counts[ref] = counts.get(ref, 0) + 1


def slot_changes(decisions: Sequence[Decision]) -> dict[AgentRef, int]:
    """By (pool, agent): slots that the decisions take, less those that they give back."""
    changes: dict[AgentRef, int] = {}
    for decision in decisions:
        if isinstance(decision, Dispatch):
            ref = (decision.reservation.agent_pool, decision.agent_id)
            changes[ref] = changes.get(ref, 0) + 1
        released = released_by(decision)
        if released is not None and (held := held_by(released)).slots:
            ref = (held.agent_pool, held.agent_id)
            changes[ref] = changes.get(ref, 0) - 1
    return changes


def _wake(snapshot: PoolSnapshot, due_ms: int) -> Update:
    """Record the wake-up that was just sent; of several turns that arm at once, one is recorded."""
    seen = snapshot.wake
    unchanged: Conditions = (Equals("generation", seen.generation),) if seen.generation else (Missing("generation"),)
    return Update(
        keys.wake_key(snapshot.pool), set={"due_ms": due_ms, "generation": seen.generation + 1}, conditions=unchanged
    )
