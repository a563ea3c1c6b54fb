"""The public face of admission: may a task run now, and reserve everything that it needs in one step.

Both ask the same plan as every turn, so tasks that wait and go before are not passed by.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.task import Status, Task
from pushlane.router.push import Pusher
from pushlane.router.resolution import Resolution, Resolved, input_key, met
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.decisions import Block, Decision, Dispatch, Drop, Overflow, Park, ParkReason, Plan, Reject
from pushlane.scheduling.entry import Entry, entry_of, lane_of
from pushlane.scheduling.snapshot import Arrival, PoolSnapshot
from pushlane.state.items import status_of, text
from pushlane.state.keys import task_key
from pushlane.state.loading import load_attempt
from pushlane.state.looking import look


class MustWait(PushlaneError):
    """The task cannot run now. Nothing was reserved and nothing was parked: submit it, or ask again later."""

    def __init__(self, task_id: str, block: Block) -> None:
        until = f" until {block.until_ms} (Unix milliseconds)" if block.until_ms is not None else ""
        super().__init__(f"task {task_id} must wait{until}: {block}; nothing was reserved, submit it or ask again")
        self.block = block


class NotReservable(PushlaneError):
    """The task will not run through this call, however long one waits. Nothing was reserved."""


class Admittance(Struct, frozen=True, kw_only=True):
    """Whether a task may run now; if not, why. `impossible`: it can no longer make its hard deadline."""

    block: Block | None = None
    impossible: bool = False

    @property
    def admitted(self) -> bool:
        return self.block is None and not self.impossible


_CONTENTION: Final = Block(ParkReason.CONTENTION)
_BEHIND: Final = Block(ParkReason.FAIRNESS)
_UNSETTLED: Final = Admittance(block=_CONTENTION)


class ResourceRegistry:
    """Admission to agents' slots, tenants' limits and shared resources, for callers that run tasks themselves.

    A reserved attempt is a live attempt like any other: whoever holds its token starts it (`pushlane.state.attempts`)
    and reports its end with the token. One that is not started within its start lease is pushed to its agent.
    """

    def __init__(self, ports: TurnPorts, pusher: Pusher) -> None:
        self._ports = ports
        self._pusher = pusher

    def can_admit(self, task: Task) -> Admittance:
        """Whether `reserve` would succeed now. Reads only, and holds nothing. Raises `StoreUnavailable`."""
        arrival = self._arrival(task)
        policy, now_ms = self._ports.policies.current(), self._ports.clock.now_ms()
        planned = look(self._ports.store, task.pool, policy, [arrival], now_ms).planned
        return _admittance(planned, arrival.entry) or _UNSETTLED

    def reserve(self, task: Task) -> str:
        """Accept the task and commit its first attempt in one turn, all or nothing; returns the reservation token.

        Asked again for the same task it returns a token of the same attempt while that is live. Raises `MustWait`,
        `NotReservable` (its hard deadline is impossible, or it was accepted before and is not running),
        `TurnContended` (ask again) and `StoreUnavailable`.
        """
        arrival = self._arrival(task)
        only = _OnlyIts(arrival.entry)
        turn = Turn(self._ports, _Unpushed(), task.pool, keep=only.dispatch)
        resolved = turn.run([arrival])[input_key(arrival)]
        if resolved.resolution is Resolution.MOOT:
            resolved = self._accepted_before(task, only.said)
        return self._token(task, resolved)

    def _accepted_before(self, task: Task, said: Admittance) -> Resolved:
        """What the task is to the one stored under its id; raises why it was not admitted when there is none."""
        key = task_key(task.task_id)
        found = self._ports.store.get([key]).get(key)
        if found is None:
            raise _refusal(task, said)
        return Resolved(met(task, found.attributes), found.attributes)

    def _arrival(self, task: Task) -> Arrival:
        return Arrival(task, entry_of(task, self._ports.policies.current()))

    def _token(self, task: Task, resolved: Resolved) -> str:
        stored = resolved.stored
        if resolved.resolution is Resolution.CONFLICT:
            raise NotReservable(f"task {task.task_id}: another task was accepted under this id; give it another key")
        if stored is not None and status_of(stored) is not Status.DISPATCHED:
            raise NotReservable(
                f"task {task.task_id} was accepted before and is {status_of(stored)}; `pushlane why` says what it does"
            )
        pool = task.pool if stored is None else text(stored, "pool")
        attempt = load_attempt(self._ports.store, pool, task.task_id)
        if attempt is None:
            raise NotReservable(f"task {task.task_id}: its attempt has ended already")
        now_ms = self._ports.clock.now_ms()
        return self._pusher.token_of(task.task_id, attempt.epoch, pool, attempt.reservation, now_ms)


class _Unpushed:
    """The caller runs the attempt."""

    def push(self, decisions: Sequence[Decision], snapshot: PoolSnapshot, now_ms: int) -> frozenset[str]:
        return frozenset()


class _OnlyIts:
    """Leaves of a plan the dispatch of one task, and remembers what the plan said of it."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self.said = _UNSETTLED

    def dispatch(self, planned: Plan) -> Plan:
        self.said = _admittance(planned, self._entry) or self.said
        kept = tuple(one for one in planned.decisions if _is_dispatch(one, self._entry))
        wake_due_ms = planned.wake_due_ms if kept else None
        return msgspec.structs.replace(planned, decisions=kept, wake_due_ms=wake_due_ms, blocks=())


def _admittance(planned: Plan, entry: Entry) -> Admittance | None:
    """What a plan says of a task that arrived; None when it was not among its inputs."""
    for one in planned.decisions:
        match one:
            case Dispatch(entry=decided) if decided.task_id == entry.task_id:
                return Admittance()
            case Park(entry=decided, block=block) if decided.task_id == entry.task_id:
                return Admittance(block=block)
            case Drop(entry=decided) if decided.task_id == entry.task_id:
                return Admittance(impossible=True)
            case Overflow(arrival=arrival) | Reject(arrival=arrival) if arrival.task.task_id == entry.task_id:
                return Admittance(block=dict(planned.blocks).get(lane_of(entry), _BEHIND))  # its lane is full
            case _:
                continue
    return None


def _is_dispatch(decision: Decision, entry: Entry) -> bool:
    return isinstance(decision, Dispatch) and decision.entry.task_id == entry.task_id


def _refusal(task: Task, said: Admittance) -> PushlaneError:
    if said.impossible:
        return NotReservable(f"task {task.task_id}: it can no longer make its hard deadline; nothing was reserved")
    return MustWait(task.task_id, said.block or _CONTENTION)
