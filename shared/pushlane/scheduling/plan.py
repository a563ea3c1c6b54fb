"""`plan`: the one decision of Pushlane. Pure: the router, the sweep, the simulator and the tests run this function."""

from collections.abc import Sequence
from typing import Final

from pushlane.model.agent import Agent
from pushlane.model.attempt import ErrorDetail, OutcomeKind
from pushlane.scheduling.decisions import (
    Complete,
    Decision,
    Dispatch,
    Fail,
    FromLane,
    Origin,
    Park,
    ParkReason,
    Plan,
    Repush,
    Retry,
)
from pushlane.scheduling.retry import may_retry, retry_delay_ms
from pushlane.scheduling.snapshot import (
    Arrival,
    Entry,
    Finished,
    Input,
    LeaseExpired,
    PoolSnapshot,
    RetryDue,
    agents_by_id,
    entry_of,
)

# An attempt that has not started by then is pushed again. Above an SQS hop plus a cold start by a wide margin.
START_LEASE_MS: Final = 30_000
PUSHES_MAX: Final = 3

NEVER_STARTED: Final = ErrorDetail(error_type="NeverStarted", message="the agent did not start the attempt")
LEASE_LOST: Final = ErrorDetail(error_type="LeaseExpired", message="the agent fell silent and its lease ran out")


def plan(snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int, *, dispatch: bool = True) -> Plan:
    """Decide everything that follows from `inputs` on the pool.

    Ended attempts first (they free slots), then every waiting task in order of acceptance: parked heads, due retries
    and arrivals together. `dispatch=False` only parks: the way out of a turn that lost all its optimistic attempts.
    """
    ended = [decision for one in inputs if (decision := _end(one, now_ms)) is not None]
    slots = _Slots(snapshot, ended)
    waiting = sorted(_waiting(snapshot, inputs), key=lambda pair: pair[0].order)
    placed = [d for entry, origin in waiting if (d := _place(entry, origin, slots, now_ms, dispatch)) is not None]
    decisions = (*ended, *placed)
    return Plan(decisions=decisions, wake_due_ms=_wake(snapshot, decisions, now_ms))


class _Slots:
    """Free slots while a plan is made: local to one call, so `plan` stays a function of its arguments."""

    def __init__(self, snapshot: PoolSnapshot, ended: Sequence[Decision]) -> None:
        self.agents = agents_by_id(snapshot)
        # Signed: an agent whose slots were lowered below what it runs takes nothing until enough is released.
        self.free = {agent.agent_id: agent.slots - agent.used for agent in snapshot.agents if agent.accepting}
        self.handoffs: dict[str, list[str]] = {}
        for decision in ended:
            if (released := _released(decision)) is not None:
                self._release(*released)

    def _release(self, agent_id: str, task_id: str) -> None:
        if agent_id in self.free:
            self.free[agent_id] += 1
            self.handoffs.setdefault(agent_id, []).append(task_id)

    def take(self, capabilities: tuple[str, ...]) -> tuple[str, str | None] | None:
        """The best free agent for the capabilities and the completed task whose slot it hands on, if any."""
        able = [a for a in self.agents.values() if self.free.get(a.agent_id, 0) > 0 and a.can_run(capabilities)]
        if not able:
            return None
        agent = min(able, key=self._load)
        self.free[agent.agent_id] -= 1
        handed = self.handoffs.get(agent.agent_id)
        return agent.agent_id, handed.pop(0) if handed else None

    def known(self, capabilities: tuple[str, ...]) -> bool:
        return any(agent.can_run(capabilities) for agent in self.agents.values())

    def _load(self, agent: Agent) -> tuple[float, int, str]:
        # Least loaded first; among equals the most specialised, so that generalists stay free for what only they can.
        return (-self.free[agent.agent_id] / agent.slots, len(agent.capabilities), agent.agent_id)


def _end(one: Input, now_ms: int) -> Decision | None:
    match one:
        case Finished(outcome=outcome) if outcome.kind is OutcomeKind.SUCCEEDED:
            return Complete(finished=one)
        case Finished(outcome=outcome):
            return _retry_or_fail(one, outcome.error or ErrorDetail(error_type="Unknown", message=""), now_ms)
        case LeaseExpired(attempt=attempt) if attempt.runner is None and attempt.pushes < PUSHES_MAX:
            return Repush(expired=one, lease_until_ms=now_ms + START_LEASE_MS)
        case LeaseExpired(attempt=attempt):
            return _retry_or_fail(one, NEVER_STARTED if attempt.runner is None else LEASE_LOST, now_ms)
        case _:
            return None


def _retry_or_fail(ended: Finished | LeaseExpired, error: ErrorDetail, now_ms: int) -> Decision | None:
    state = ended.retry
    if state is None:  # the task is gone: nothing to retry, and the sweep repairs what the attempt held
        return None
    epoch = ended.attempt.epoch if isinstance(ended, LeaseExpired) else ended.epoch
    if not may_retry(state.retry, epoch, error):
        return Fail(ended=ended, error=error)
    due_ms = now_ms + retry_delay_ms(state.retry, state.entry.task_id, epoch)
    return Retry(ended=ended, entry=state.entry, due_ms=due_ms, error=error)


def _released(decision: Decision) -> tuple[str, str] | None:
    match decision:
        case Complete(finished=finished):
            return finished.agent_id, finished.task_id
        case Retry(ended=ended) | Fail(ended=ended):
            attempt = ended.attempt if isinstance(ended, LeaseExpired) else ended
            return attempt.agent_id, attempt.task_id
        case _:
            return None


def _waiting(snapshot: PoolSnapshot, inputs: Sequence[Input]) -> list[tuple[Entry, Origin]]:
    parked: list[tuple[Entry, Origin]] = [(entry, FromLane()) for lane in snapshot.lanes for entry in lane.heads]
    arrived: list[tuple[Entry, Origin]] = [(entry_of(one.task), one) for one in inputs if isinstance(one, Arrival)]
    due: list[tuple[Entry, Origin]] = [(one.entry, one) for one in inputs if isinstance(one, RetryDue)]
    return parked + arrived + due


def _place(entry: Entry, origin: Origin, slots: _Slots, now_ms: int, dispatch: bool) -> Decision | None:
    taken = slots.take(entry.capabilities) if dispatch else None
    if taken is not None:
        agent_id, handed_from = taken
        return Dispatch(
            entry=entry,
            epoch=entry.epoch + 1,
            agent_id=agent_id,
            lease_until_ms=now_ms + START_LEASE_MS,
            origin=origin,
            handed_from=handed_from,
        )
    if isinstance(origin, FromLane):
        return None
    return Park(entry=entry, reason=_why(entry, slots, dispatch), origin=origin)


def _why(entry: Entry, slots: _Slots, dispatch: bool) -> ParkReason:
    if not slots.known(entry.capabilities):
        return ParkReason.NO_AGENT
    return ParkReason.CAPACITY if dispatch else ParkReason.CONTENTION


def _wake(snapshot: PoolSnapshot, decisions: Sequence[Decision], now_ms: int) -> int | None:
    """When to run again, unless an outstanding wake-up comes no later."""
    dues = [d.lease_until_ms for d in decisions if isinstance(d, Dispatch | Repush)]
    dues += [d.due_ms for d in decisions if isinstance(d, Retry)]
    if snapshot.next_due_ms is not None:
        dues.append(snapshot.next_due_ms)
    if any(isinstance(d, Park) and d.reason is ParkReason.CONTENTION for d in decisions):
        dues.append(now_ms)
    if not dues:
        return None
    earliest, armed = max(min(dues), now_ms), snapshot.wake.due_ms
    # One whose time has come may have run already, so only one that is still ahead is relied on.
    covered = armed is not None and now_ms < armed <= earliest
    return None if covered else earliest
