"""What pools share: agents lent to a pool whose own are busy, slots of resources, tenants' caps.

A pool that waits for something shared leaves its mark beside it, in the transaction that parks (write, then look);
whoever frees some of it wakes the marked pools. A mark that outlives its need costs one idle turn.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from pushlane.model.errors import TurnContended
from pushlane.model.events import WakeUp
from pushlane.model.policy import SlotsOf
from pushlane.ports import ConditionFailed, Delete, Equals, ItemStore, Message, MessageSender, Update
from pushlane.scheduling.decisions import (
    Decision,
    Dispatch,
    Drop,
    Park,
    ParkReason,
    Plan,
    Retry,
    ended_of,
    released_by,
)
from pushlane.scheduling.entry import LaneRef
from pushlane.scheduling.health import trusted_after
from pushlane.scheduling.settlement import settlement
from pushlane.scheduling.snapshot import Arrival, Input, PoolSnapshot, asked_by, ended_task_id, held_by
from pushlane.state import keys
from pushlane.state.borrowing import load_borrowed
from pushlane.state.commit import slot_changes
from pushlane.state.items import to_json
from pushlane.state.loading import free_slots, load_waiting_pools

# One SQS delay reaches no further. The turn that runs then finds what is due later, and arms for it.
WAKE_HOP_MS: Final = 900_000
# Left with one commit; it has room for a hundred operations.
MARKS_MAX: Final = 20
_READ_MAX: Final = 100


def marks_of(snapshot: PoolSnapshot, planned: Plan) -> set[str]:
    """Partitions of what the pool waits for and cannot know by itself when it is free."""
    marks: set[str] = set()
    parked = [(LaneRef("", one.entry.tier, one.entry.tenant_id), one.block) for one in _parks(planned)]
    for ref, block in (*planned.blocks, *parked):
        if block.reason is ParkReason.RATE and block.resource is not None:
            marks.add(keys.resource_pk(block.resource))  # a rate, too: what was estimated too high comes back early
        elif block.reason is ParkReason.TENANT_QUOTA and block.until_ms is None:
            marks.add(keys.tenant_limits_pk(ref.tenant_id))
    overflow = snapshot.policy.pool(snapshot.pool).overflow_pool
    if overflow is not None and _starved(snapshot, planned):
        marks.add(keys.pool_pk(overflow))
    return marks


def _parks(planned: Plan) -> list[Park]:
    return [one for one in planned.decisions if isinstance(one, Park)]


def _starved(snapshot: PoolSnapshot, planned: Plan) -> bool:
    """Work waits for a slot once the plan is done."""
    left = after(snapshot, planned.decisions)
    wanted = {shape.capabilities for shape in snapshot.shapes if shape.waiting}
    wanted |= {one.entry.capabilities for one in _parks(planned)}
    return any(not free_slots(left, capabilities, {}) for capabilities in wanted)


def after(snapshot: PoolSnapshot, decisions: Sequence[Decision]) -> PoolSnapshot:
    """The snapshot with the slots as they are once the decisions are committed."""
    changes, trusted = slot_changes(decisions), trusted_after(decisions)
    agents = tuple(
        msgspec.structs.replace(
            agent,
            used=agent.used + changes.get((agent.pool, agent.agent_id), 0),
            unstarted=0 if (agent.pool, agent.agent_id) in trusted else agent.unstarted,
            claimed=0,  # what was claimed is taken, or there was no more
        )
        for agent in snapshot.agents
    )
    return msgspec.structs.replace(snapshot, agents=agents)


def moves(decision: Decision) -> bool:
    """It gives something back, or takes what waited out of the way."""
    waited = isinstance(decision, Dispatch | Drop) and not isinstance(decision.origin, Arrival)
    return waited or released_by(decision) is not None


class Neighbours:
    """The other pools, as one turn deals with them."""

    def __init__(self, store: ItemStore, sender: MessageSender, wakeups_queue_url: str, pool: str) -> None:
        self._store = store
        self._sender = sender
        self._queue_url = wakeups_queue_url
        self._pool = pool
        self._marked: set[str] = set()
        self._woken: dict[str, int] = {}
        self._moved = False  # this turn gave something back, or took something out of a lane
        self.waiting_pools: tuple[str, ...] = ()

    def unmarked(self, marks: Iterable[str]) -> list[str]:
        """The marks to leave with the next commit: so a look at what is blocked reads, and writes only the first time.
        No more at once than a commit has room for; a look that left some is followed by another one.

        Sound though it may be deleted right after it was seen: whoever deletes it wakes this pool.
        """
        wanted = sorted(set(marks) - self._marked)
        for start in range(0, len(wanted), _READ_MAX):
            found = self._store.get([keys.waits_key(pk, self._pool) for pk in wanted[start : start + _READ_MAX]])
            self._marked.update(key.pk for key in found)
        return [pk for pk in wanted if pk not in self._marked][:MARKS_MAX]

    def marked(self, marks: Iterable[str]) -> None:
        self._marked.update(marks)

    def with_borrowed(self, snapshot: PoolSnapshot, inputs: Sequence[Input], now_ms: int) -> PoolSnapshot:
        """The snapshot with the overflow pool's agents, where the own are too few and that pool has no need of them."""
        lent = load_borrowed(self._store, snapshot, inputs, now_ms)
        if lent is not snapshot and not snapshot.agents:
            self._register()
        return lent

    def _register(self) -> None:
        """It may hold what is not its own, so the sweep has to know of it though it has no agent."""
        key = keys.pool_registration_key(self._pool)
        if key not in self._store.get([key]):
            self._store.write(Update(key, set={"v": 1}))

    def tell(self, snapshot: PoolSnapshot, decisions: Sequence[Decision], now_ms: int) -> None:
        """Wake the pools that waited for what the committed decisions freed; call off orders that are not needed."""
        freed = {pool for (pool, _), change in slot_changes(decisions).items() if change < 0}
        self._moved = self._moved or any(moves(one) for one in decisions)
        lenders = sorted(freed - {self._pool})
        pks = [*map(keys.pool_pk, lenders), *self._freed(snapshot, decisions, now_ms)]
        waiting = [pool for pk in pks for pool in self._called(pk, load_waiting_pools(self._store, pk))]
        self._wake([*lenders, *waiting], now_ms)  # a lender's own work goes first
        self._withdraw(decisions)

    def lend(self, snapshot: PoolSnapshot, now_ms: int) -> None:
        """Wake the pools that wait for a slot of this one, if this turn moved anything and its last look leaves some.

        The marks are those that this look has read, after all that was committed: one left before is not missed.
        """
        idle = any(agent.free for agent in snapshot.agents if agent.pool == self._pool)
        if self._moved and idle and self.waiting_pools:
            self._wake(self._called(keys.pool_pk(self._pool), self.waiting_pools), now_ms)
            self.waiting_pools = ()

    def wake_for_moved(self, decisions: Iterable[Decision], now_ms: int) -> None:
        """Wake-ups for the pools that go on with retries of this one, sent before those are written: if we die in
        between an extra turn runs. Raises `TurnContended` when the queue takes one of them not.
        """
        dues: dict[str, int] = {}
        for one in decisions:
            if isinstance(one, Retry) and one.pool is not None:
                dues[one.pool] = min(one.due_ms, dues.get(one.pool, one.due_ms))
        wakes = [_wake_at(pool, due_ms, now_ms) for pool, due_ms in dues.items() if self._woken.get(pool) != due_ms]
        if wakes and self._sender.send(self._queue_url, wakes):
            raise TurnContended(f"pool {self._pool}: the wake-up queue did not accept a wake-up for {sorted(dues)}")
        self._woken |= dues

    def wake_own(self, now_ms: int) -> None:
        """One more turn, soon: this one has done as much as one invocation should."""
        self._wake([self._pool], now_ms)

    def _withdraw(self, decisions: Sequence[Decision]) -> None:
        """Orders to yield for tasks that wait no longer, where the victim has not just ended anyway."""
        ended = [found for one in decisions if (found := ended_of(one)) is not None]
        over = {ended_task_id(one) for one in ended}
        served = [one.entry for one in decisions if isinstance(one, Dispatch | Drop)]
        served += [asks for one in ended if (asks := asked_by(one)) is not None]
        for entry in served:
            if entry.victim is not None and entry.victim not in over:
                self._call_off(entry.victim, entry.task_id)

    def _freed(self, snapshot: PoolSnapshot, decisions: Sequence[Decision], now_ms: int) -> list[str]:
        pks: set[str] = set()
        for decision in decisions:
            ended = released_by(decision)
            if ended is None or not (held := held_by(ended)).slots:
                continue
            if snapshot.policy.tenant(held.tenant_id).in_flight_max is not None:
                pks.add(keys.tenant_limits_pk(held.tenant_id))
            for hold in held.holds:
                if isinstance(snapshot.policy.resources.get(hold.resource), SlotsOf):
                    pks.add(keys.resource_pk(hold.resource))
            settled = settlement(ended, snapshot.policy, now_ms)
            pks.update(keys.resource_pk(hold.resource) for hold, draw_us in settled.draws_us if draw_us < 0)
        return sorted(pks)

    def _called(self, pk: str, pools: Iterable[str]) -> list[str]:
        """The pools that are marked there; they mark themselves anew if they still wait."""
        others = [pool for pool in pools if pool != self._pool]
        for pool in others:
            self._store.write(Delete(keys.waits_key(pk, pool)))
        return others

    def _wake(self, pools: Sequence[str], now_ms: int) -> None:
        """A wake-up that is lost here is made good by the next sweep."""
        once = dict.fromkeys(pools)
        wakes = [Message(to_json(WakeUp(pool=pool, generation=0, due_ms=now_ms))) for pool in once]
        if wakes:
            self._sender.send(self._queue_url, wakes)

    def _call_off(self, victim: str, waiter: str) -> None:
        """Best effort: a victim that yields for nobody loses its turn, and nothing else."""
        asked = (Equals("order_for", waiter),)
        try:
            key = keys.attempt_key(self._pool, victim)
            self._store.write(Update(key, remove=("order_for", "order"), conditions=asked))
        except ConditionFailed:
            return


def _wake_at(pool: str, due_ms: int, now_ms: int) -> Message:
    wait_ms = min(max(0, due_ms - now_ms), WAKE_HOP_MS)
    return Message(to_json(WakeUp(pool=pool, generation=0, due_ms=due_ms)), math.ceil(wait_ms / 1_000))
