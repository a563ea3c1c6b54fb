"""A turn: load a snapshot, plan, commit, push; again while there is something to do. There is no other scheduler."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import TurnContended
from pushlane.model.events import WakeUp
from pushlane.ports import Clock, ItemStore, Message, MessageSender, TransactionCancelled
from pushlane.router.push import Pusher
from pushlane.router.remembered import RememberedPools, only_dispatches_arrivals
from pushlane.router.resolution import Resolution, Resolved, committed, input_key, judge
from pushlane.scheduling.decisions import Complete, Dispatch, Fail, Park, Plan, Retry
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Finished, Input, LeaseExpired, PoolSnapshot, RetryDue
from pushlane.state import keys
from pushlane.state.commit import Commit, compile_plan
from pushlane.state.items import to_json
from pushlane.state.loading import load_lane_depths, load_pool

REPLANS_MAX: Final = 3
ROUNDS_MAX: Final = 25
# One SQS delay reaches no further; a later instant is reached in hops.
WAKE_HOP_MS: Final = 900_000


class TurnPorts(Struct, frozen=True, kw_only=True):
    """What a turn needs of the outside. `new_token` gives a fresh transaction token; `back_off` waits before re-plan n
    with jitter.
    """

    store: ItemStore
    sender: MessageSender
    clock: Clock
    wakeups_queue_url: str
    new_token: Callable[[], str]
    back_off: Callable[[int], None]
    remembered: RememberedPools


class Turn:
    """One run of the scheduler on one pool for a batch of inputs."""

    def __init__(self, ports: TurnPorts, pusher: Pusher, pool: str, next_due_ms: int | None = None) -> None:
        self._ports = ports
        self._pusher = pusher
        self._pool = pool
        self._next_due_ms = next_due_ms
        self._wake_sent_ms: int | None = None
        self.replans = 0

    def run(self, inputs: Sequence[Input]) -> dict[str, Resolved]:
        """Commit everything that follows from `inputs` (at most about twenty) and push it.

        Returns how each input was resolved, by `input_key`. Raises `TurnContended` when some could not be committed.
        """
        pending: dict[str, Input] = {input_key(one): one for one in inputs}
        resolved: dict[str, Resolved] = {}
        look = True
        for _ in range(ROUNDS_MAX):
            if not pending and not look:
                break
            newly, look = self._round(list(pending.values()))
            resolved |= newly
            pending = {key: one for key, one in pending.items() if key not in newly}
        if pending:
            raise TurnContended(
                f"pool {self._pool}: {len(pending)} of {len(inputs)} inputs not committed; deliver again"
            )
        return resolved

    def _round(self, pending: list[Input]) -> tuple[dict[str, Resolved], bool]:
        """One snapshot, one plan, one commit. The flag says whether another look is due."""
        now_ms = self._ports.clock.now_ms()
        snapshot, planned = self._plan(pending, now_ms)
        wake_due_ms = self._wake_due_ms(planned, now_ms)
        if not planned.decisions and wake_due_ms is None:
            return {input_key(one): Resolved(Resolution.MOOT) for one in pending}, False
        commit = self._compile(snapshot, planned, now_ms, wake_due_ms)
        if wake_due_ms is not None:
            self._arm(snapshot, wake_due_ms, now_ms)
        try:
            self._ports.store.transact(commit.operations, self._ports.new_token())
        except TransactionCancelled as cancelled:
            self._ports.remembered.forget(self._pool)
            return self._cancelled(cancelled, commit), True
        self._ports.remembered.keep(snapshot, commit.decisions, wake_due_ms)
        self._next_due_ms = None
        unpushed = self._pusher.push(commit.decisions, snapshot, now_ms)
        return self._committed(pending, commit, unpushed), _look_again(commit)

    def _plan(self, pending: Sequence[Input], now_ms: int) -> tuple[PoolSnapshot, Plan]:
        """A plan from memory if that is all it takes, else from a fresh read."""
        remembered = None if self.replans else self._ports.remembered.recall(self._pool, pending, now_ms)
        if remembered is not None:
            planned = plan(remembered, pending, now_ms)
            if only_dispatches_arrivals(planned):
                return remembered, planned
        snapshot = self._load(pending, now_ms)
        return snapshot, plan(snapshot, pending, now_ms, dispatch=self.replans <= REPLANS_MAX)

    def _wake_due_ms(self, planned: Plan, now_ms: int) -> int | None:
        """When the wake-up to record comes: the one sent by an earlier try of this turn, if it does for this one."""
        if planned.wake_due_ms is None:
            return None
        sent_ms = self._wake_sent_ms
        if sent_ms is not None and now_ms < sent_ms <= planned.wake_due_ms:
            return sent_ms
        return min(planned.wake_due_ms, now_ms + WAKE_HOP_MS)

    def _load(self, pending: Sequence[Input], now_ms: int) -> PoolSnapshot:
        freeing: dict[str, int] = {}
        for one in pending:
            agent_id = _held(one)
            if agent_id is not None:
                freeing[agent_id] = freeing.get(agent_id, 0) + 1
        snapshot = load_pool(self._ports.store, self._pool, freeing)
        self._ports.remembered.forget(self._pool)
        return msgspec.structs.replace(snapshot, read_at_ms=now_ms, next_due_ms=self._next_due_ms)

    def _compile(self, snapshot: PoolSnapshot, planned: Plan, now_ms: int, wake_due_ms: int | None) -> Commit:
        parks = {keys.lane_of(d.entry) for d in planned.decisions if isinstance(d, Park)}
        depths = load_lane_depths(self._ports.store, self._pool, sorted(parks)[:100])
        return compile_plan(snapshot, planned, depths, now_ms, wake_due_ms)

    def _arm(self, snapshot: PoolSnapshot, due_ms: int, now_ms: int) -> None:
        """Send the wake-up before it is recorded: if we die in between, an extra turn runs, and none is missed."""
        if due_ms == self._wake_sent_ms:
            return
        wake = WakeUp(pool=self._pool, generation=snapshot.wake.generation + 1, due_ms=due_ms)
        delay_seconds = max(0, math.ceil((due_ms - now_ms) / 1_000))
        refused = self._ports.sender.send(self._ports.wakeups_queue_url, [Message(to_json(wake), delay_seconds)])
        if refused:
            raise TurnContended(
                f"pool {self._pool}: the wake-up queue did not accept the wake-up; nothing was committed"
            )
        self._wake_sent_ms = due_ms

    def _cancelled(self, cancelled: TransactionCancelled, commit: Commit) -> dict[str, Resolved]:
        verdicts, contended = judge(cancelled, commit)
        if contended:
            self.replans += 1
            self._ports.back_off(self.replans)
        return verdicts

    def _committed(self, pending: list[Input], commit: Commit, unpushed: frozenset[str]) -> dict[str, Resolved]:
        resolved = committed(commit, unpushed)
        if commit.complete:  # what the plan passed over has nothing left to decide
            for one in pending:
                resolved.setdefault(input_key(one), Resolved(Resolution.MOOT))
        return resolved


def _held(one: Input) -> str | None:
    """The agent whose slot the input gives back."""
    match one:
        case Finished(agent_id=agent_id):
            return agent_id
        case LeaseExpired(attempt=attempt):
            return attempt.agent_id
        case Arrival() | RetryDue():
            return None


def _look_again(commit: Commit) -> bool:
    """Write, then look: whoever parks looks for capacity again, whoever frees a slot looks for waiting tasks again."""
    looks = any(isinstance(d, Park | Complete | Retry | Fail) for d in commit.decisions)
    from_lane = any(isinstance(d, Dispatch) and not isinstance(d.origin, Arrival) for d in commit.decisions)
    return looks or from_lane or not commit.complete
