"""A turn: load a snapshot, plan, commit, push; again while there is something to do. There is no other scheduler."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pushlane.model.errors import TurnContended
from pushlane.model.events import WakeUp
from pushlane.model.policy import Policy
from pushlane.model.task import Tier
from pushlane.ports import BlobStore, Clock, ItemStore, Message, MessageSender, TransactionCancelled
from pushlane.router.neighbours import WAKE_HOP_MS, Neighbours, after, marks_of, moves
from pushlane.router.push import Pushes
from pushlane.router.remembered import RememberedPools, leans_on_slots, only_dispatches_arrivals
from pushlane.router.resolution import Resolution, Resolved, committed, input_key, judge, not_granted
from pushlane.scheduling.backpressure import pressure_after
from pushlane.scheduling.claiming import Claim, with_claims
from pushlane.scheduling.decisions import LANE_FULL, Overflow, Park, Plan, Reject, tells
from pushlane.scheduling.entry import LaneRef, lane_of
from pushlane.scheduling.plan import plan
from pushlane.scheduling.snapshot import Arrival, Input, LaneState, PoolSnapshot
from pushlane.state.changes import ENDED
from pushlane.state.claims import load_claim
from pushlane.state.commit import Commit, compile_plan, slot_changes
from pushlane.state.heads import load_heads
from pushlane.state.items import to_json
from pushlane.state.loading import Duty, PoolItems, load_limits, load_pool

REPLANS_MAX: Final = 3
ROUNDS_MAX: Final = 25
AFTER_LOSING_MS: Final = 1_000


# Whose lanes are nearly full, or full: the pool that was submitted to, the tenant, the tier.
Pressed = tuple[str, str, Tier]


class PolicySource(Protocol):
    """The policy that turns go by."""

    def current(self) -> Policy: ...


class TurnPorts(Struct, frozen=True, kw_only=True):
    """What a turn needs of the outside. `new_token` gives a fresh transaction token; `back_off` waits before re-plan n
    with jitter.
    """

    store: ItemStore
    sender: MessageSender
    blobs: BlobStore
    clock: Clock
    wakeups_queue_url: str
    new_token: Callable[[], str]
    back_off: Callable[[int], None]
    remembered: RememberedPools
    policies: PolicySource


class Turn:
    """One run of the scheduler on one pool for a batch of inputs. `keep`: what of each plan is committed."""

    def __init__(
        self,
        ports: TurnPorts,
        pusher: Pushes,
        pool: str,
        next_due_ms: int | None = None,
        keep: Callable[[Plan], Plan] = lambda planned: planned,
    ) -> None:
        self._ports = ports
        self._pusher = pusher
        self._pool = pool
        self._next_due_ms = next_due_ms
        self._keep = keep
        self._wake_sent_ms: int | None = None
        self._neighbours = Neighbours(ports.store, ports.sender, ports.wakeups_queue_url, pool)
        self._passed_over: set[str] = set()
        self.replans = 0
        self.pressed: set[Pressed] = set()
        self.duties: list[Duty] = []

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
        if look:
            self._neighbours.wake_own(self._ports.clock.now_ms())
        return resolved

    def _round(self, pending: list[Input]) -> tuple[dict[str, Resolved], bool]:
        """One snapshot, one plan, one commit. The flag says whether another look is due."""
        now_ms = self._ports.clock.now_ms()
        snapshot, planned = self._plan(pending, now_ms)
        planned = self._keep(planned)
        wake_due_ms = self._wake_due_ms(planned, now_ms)
        marks = self._neighbours.unmarked(marks_of(snapshot, planned))
        commit = compile_plan(snapshot, planned, now_ms, wake_due_ms, marks)
        if not commit.operations:
            self._ports.remembered.keep(snapshot, commit.decisions, None)
            self._neighbours.lend(snapshot, now_ms)
            self._note_pressure(snapshot, commit)
            return self._committed(pending, commit, frozenset()), False
        if wake_due_ms is not None:
            self._arm(snapshot, wake_due_ms, now_ms)
        self._neighbours.wake_for_moved(commit.decisions, now_ms)
        try:
            self._ports.store.transact(commit.operations, self._ports.new_token())
        except TransactionCancelled as cancelled:
            self._ports.remembered.forget(self._pool)
            return self._cancelled(cancelled, commit), True
        return self._after(pending, snapshot, commit, wake_due_ms, marks, now_ms)

    def _after(
        self,
        pending: list[Input],
        snapshot: PoolSnapshot,
        commit: Commit,
        wake_due_ms: int | None,
        marks: Sequence[str],
        now_ms: int,
    ) -> tuple[dict[str, Resolved], bool]:
        self._ports.remembered.keep(snapshot, commit.decisions, wake_due_ms)
        self._next_due_ms = None
        ended = [task_id for one in commit.decisions if (task_id := tells(one)) is not None]
        self.duties += [Duty(kind=ENDED, subject_id=one, due_ms=now_ms, pool=self._pool) for one in ended]
        unpushed = self._pusher.push(commit.decisions, snapshot, now_ms)
        self._neighbours.marked(marks)
        self._neighbours.tell(snapshot, commit.decisions, now_ms)
        self._note_pressure(snapshot, commit)
        only_relisted = not commit.decisions and wake_due_ms is None
        return self._committed(pending, commit, unpushed), only_relisted or bool(marks) or _look_again(snapshot, commit)

    def _plan(self, pending: Sequence[Input], now_ms: int) -> tuple[PoolSnapshot, Plan]:
        """A plan from as few reads as it takes: from memory, from the pool alone, or from everything that competes."""
        policy = self._ports.policies.current()
        remembered = None if self.replans else self._ports.remembered.recall(self._pool, pending, policy, now_ms)
        if remembered is not None:
            planned = plan(remembered, pending, now_ms)
            if only_dispatches_arrivals(planned):
                return remembered, planned
        items = self._load(policy, now_ms)
        snapshot = with_claims(items.snapshot, pending)
        if leans_on_slots(snapshot, pending):
            planned = plan(snapshot, pending, now_ms)
            if not any(isinstance(one, Park | Overflow | Reject) for one in planned.decisions):
                return snapshot, planned
        snapshot = self._neighbours.with_borrowed(snapshot, pending, now_ms)
        if self.replans > REPLANS_MAX:
            snapshot = load_limits(self._ports.store, snapshot, pending)
            return snapshot, plan(snapshot, pending, now_ms, dispatch=False)
        snapshot = load_heads(self._ports.store, snapshot, pending, now_ms)
        snapshot = load_claim(self._ports.store, snapshot, pending, now_ms)
        return snapshot, plan(snapshot, pending, now_ms)

    def _wake_due_ms(self, planned: Plan, now_ms: int) -> int | None:
        """When the wake-up to record comes: the one sent by an earlier try of this turn, if it does for this one."""
        if planned.wake_due_ms is None:
            return None
        sent_ms = self._wake_sent_ms
        if sent_ms is not None and now_ms < sent_ms <= planned.wake_due_ms:
            return sent_ms
        # A turn that has lost once may lose again: were its wake-up due at once, the pool would spin.
        earliest_ms = now_ms + (AFTER_LOSING_MS if self.replans else 0)
        return min(max(planned.wake_due_ms, earliest_ms), now_ms + WAKE_HOP_MS)

    def _load(self, policy: Policy, now_ms: int) -> PoolItems:
        items = load_pool(self._ports.store, self._pool, policy)
        self._neighbours.waiting_pools = items.waiting_pools
        self._ports.remembered.forget(self._pool)
        passed_over = frozenset(self._passed_over)
        snapshot = msgspec.structs.replace(
            items.snapshot, read_at_ms=now_ms, next_due_ms=self._next_due_ms, passed_over=passed_over
        )
        return msgspec.structs.replace(items, snapshot=snapshot)

    def _note_pressure(self, snapshot: PoolSnapshot, commit: Commit) -> None:
        """Tenants whose further submissions should step aside; not while another pool takes what is too much here."""
        rules = snapshot.policy.pool(self._pool)
        parked: Counter[LaneRef] = Counter()
        for one in commit.decisions:
            if isinstance(one, Park) and isinstance(one.origin, Arrival) and rules.overflow_pool is None:
                ref = lane_of(one.entry)
                parked[ref] += 1
                state = snapshot.lane_states.get(ref, LaneState())
                if pressure_after(state.depth + parked[ref], state.pressed, rules):
                    self._press(one.origin)
            if isinstance(one, Reject) and one.code == LANE_FULL:
                self._press(one.arrival)

    def _press(self, arrival: Arrival) -> None:
        task = arrival.task
        self.pressed.add((task.home_pool or task.pool, task.tenant_id, task.tier))

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
        self._passed_over |= not_granted(cancelled, commit)
        if contended:
            self.replans += 1
            self._ports.back_off(self.replans)
        return verdicts

    def _committed(self, pending: list[Input], commit: Commit, unpushed: frozenset[str]) -> dict[str, Resolved]:
        resolved = committed(commit, unpushed)
        for one in pending:
            # What the plan passed over has nothing left to decide; a claim asks once, for at most so many.
            if commit.complete or isinstance(one, Claim):
                resolved.setdefault(input_key(one), Resolved(Resolution.MOOT))
        return resolved


def _look_again(snapshot: PoolSnapshot, commit: Commit) -> bool:
    """Write, then look: whoever parks looks for capacity again, whoever frees a slot looks for waiting tasks again.

    A slot that is handed on in the same commit was never free, so nobody has to look for it.
    """
    if not commit.complete or any(isinstance(one, Park) for one in commit.decisions):
        return True
    if not any(moves(one) for one in commit.decisions):
        return False
    slots = [ref for ref, change in slot_changes(commit.decisions).items() if change < 0]
    left = any(agent.free for agent in after(snapshot, commit.decisions).agents)
    return bool(slots) or left or _may_ask(snapshot)


def _may_ask(snapshot: PoolSnapshot) -> bool:
    """Tasks wait that may ask running ones to yield, now that others run."""
    rules = snapshot.policy.preemption
    return rules.enabled and any(snapshot.waiting(tier) for tier in rules.waiters)
