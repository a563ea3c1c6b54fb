"""A pool in a store with very many parked tasks: the items that parking them one by one would have left.

Every tenant has one lane in tier `normal` and one in tier `low`; every second lane holds nothing but late work.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.inmemory import InMemoryItemStore
from pushlane.model.agent import AgentStatus
from pushlane.model.pickup import Pickup
from pushlane.model.policy import Policy, PoolPolicy
from pushlane.model.task import DEFAULT_POOL, Door, Estimate, Source, Status, Task, Tier
from pushlane.ports import Item, Scalar
from pushlane.scheduling.decisions import Block, ParkReason
from pushlane.scheduling.entry import Entry, LaneRef, entry_of, lane_of
from pushlane.state import keys
from pushlane.state.items import entry_attributes, lanes_attribute, new_task_attributes

NOW_MS: Final = 1_700_000_000_000
POOL: Final = DEFAULT_POOL
SLOTS: Final = 100
AGENTS: Final = 4
RUNTIME_SECONDS: Final = 30.0
_TIERS: Final = (Tier.NORMAL, Tier.LOW)
_HOUR_MS: Final = 3_600_000
# Lanes are not bounded here: what happens at the bound is another matter.
POLICY: Final = Policy(pools={POOL: PoolPolicy(lane_max=10_000_000)})


class Crowd(Struct, frozen=True):
    """So many parked tasks of so many tenants."""

    parked: int
    tenants: int

    @property
    def lanes(self) -> list[tuple[Tier, str, bool]]:
        """Each lane's tier and tenant, and whether all of it is late; those that can come to be, if nothing waits."""
        every = [
            (tier, f"tenant-{tenant:04d}", (tenant + rank) % 2 == 1)
            for tenant in range(self.tenants)
            for rank, tier in enumerate(_TIERS)
        ]
        return every[: self.parked or None]


def a_task(number: int, tier: Tier, tenant_id: str, late: bool, now_ms: int = NOW_MS) -> Task:
    """One that can wait an hour and more, or one whose deadline is over."""
    deadline_ms = now_ms - _HOUR_MS + number if late else now_ms + _HOUR_MS + 1_000 * number
    return Task(
        task_id=f"t-{number:08d}",
        tenant_id=tenant_id,
        task_type="work",
        capabilities=("work",),
        payload={},
        source=Source(door=Door.SQS, source_id=f"m-{number:08d}"),
        body_digest=f"{number:032x}",
        accepted_at_ms=now_ms,
        tier=tier,
        deadline_ms=deadline_ms,
        estimate=Estimate(runtime_seconds=RUNTIME_SECONDS, tokens=500),
    )


def agent_items() -> list[Item]:
    """Agents as registration leaves them, all their slots free."""
    return [
        Item(
            keys.agent_key(POOL, f"agent-{number}"),
            {
                "agent_id": f"agent-{number}",
                "pool": POOL,
                "capabilities": ["work"],
                "slots": SLOTS // AGENTS,
                "queue_url": f"queue/agent-{number}",
                "status": AgentStatus.ACTIVE.value,
                "used": 0,
                "revision": 0,
            },
        )
        for number in range(AGENTS)
    ]


def fill(store: InMemoryItemStore, crowd: Crowd, now_ms: int) -> None:
    """Put the crowd into the store, parked just now; its tasks are numbered from 0 on, lane by lane."""
    if not crowd.parked:
        return
    depths: dict[LaneRef, int] = {}
    heads: dict[LaneRef, Entry] = {}
    store.load(_waiting(crowd, now_ms, depths, heads))
    store.load(_lanes(depths, heads))


def _waiting(crowd: Crowd, now_ms: int, depths: dict[LaneRef, int], heads: dict[LaneRef, Entry]) -> Iterator[Item]:
    """Entries and tasks, lane by lane; how deep each lane is and which entry is its first."""
    number, lanes = 0, crowd.lanes
    for at, (tier, tenant_id, late) in enumerate(lanes):
        count = crowd.parked // len(lanes) + (at < crowd.parked % len(lanes))
        first = a_task(number, tier, tenant_id, late)
        entry = _parked(entry_of(first, POLICY), now_ms)
        ref = lane_of(entry)
        depths[ref], heads[ref] = count, entry
        form = _Form(first, entry)
        for one in range(number, number + count):
            yield from form.items(a_task(one, tier, tenant_id, late))
        number += count


def _parked(entry: Entry, now_ms: int) -> Entry:
    """As it waits in its lane: the turn that decided on it first parked it."""
    waits = Pickup(entry.enqueued_at_ms, now_ms - entry.enqueued_at_ms, ParkReason.CAPACITY.value, now_ms)
    return msgspec.structs.replace(entry, pickup=waits)


class _Form:
    """A lane's tasks differ in five places, so their items are written from the first one's."""

    def __init__(self, task: Task, entry: Entry) -> None:
        block = Block(ParkReason.CAPACITY)
        self._entry = entry
        self._queue_pk = keys.queue_pk(POOL, lane_of(entry))
        self._attributes = new_task_attributes(task, Status.PARKED, 0) | {
            "park_reason": str(block),
            "changed_at_ms": NOW_MS,
        }

    def items(self, task: Task) -> tuple[Item, Item]:
        entry = msgspec.structs.replace(
            self._entry, task_id=task.task_id, start_by_ms=(task.deadline_ms or 0) - self._entry.runtime_ms
        )
        own: dict[str, Scalar] = {
            "tenant_bucket": keys.tenant_bucket(task.tenant_id, task.task_id),
            "source_id": task.source.source_id,
            "body_digest": task.body_digest,
            "body": msgspec.json.encode(task).decode(),
            "waits_at": keys.pointer(keys.entry_key(POOL, entry)),
        }
        return (
            Item(keys.entry_key(POOL, entry), entry_attributes(entry)),
            Item(keys.task_key(task.task_id), self._attributes | own),
        )


def _lanes(depths: dict[LaneRef, int], heads: dict[LaneRef, Entry]) -> Iterator[Item]:
    counts: dict[Tier, int] = {}
    for ref, depth in depths.items():
        counts[ref.tier] = counts.get(ref.tier, 0) + 1
        turn = keys.index_key(ref.tier, 0)
        if heads[ref].late(NOW_MS):
            listed: dict[str, Scalar] = {"late_key": turn, "listed": "late"}
        else:
            urgent = keys.index_key(ref.tier, heads[ref].start_by_ms)
            listed = {"turn_key": turn, "urgent_key": urgent, "listed": "turn"}
        yield Item(keys.lane_key(POOL, ref), {"depth": depth, "revision": depth, **listed})
    sample = next(iter(heads.values()))
    shape: dict[str, Scalar] = {"capabilities": list(sample.capabilities), "resources": []}
    shape |= {lanes_attribute(tier): count for tier, count in counts.items()}
    yield Item(keys.shape_key(POOL, sample.shape), shape)
