"""Read what a turn needs: a number of reads that does not grow with the backlog, the tenants or the tasks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Attempt
from pushlane.model.policy import Policy, Rate
from pushlane.model.task import Status, Tier
from pushlane.ports import Attributes, Item, ItemStore, Key, Table
from pushlane.scheduling.entry import LaneRef, entry_of, lane_of
from pushlane.scheduling.snapshot import (
    AccountRef,
    Arrival,
    DeadlineDue,
    Ended,
    Finished,
    Input,
    PoolSnapshot,
    Ready,
    Releasing,
    ResourceView,
    RetryState,
    ShapeView,
    WakeView,
    Withdraw,
    asked_by,
    held_by,
)
from pushlane.state import keys
from pushlane.state.items import (
    account_of,
    agent_of,
    attempt_of,
    entry_of_item,
    lane_state_of,
    optional_number,
    resource_of,
    shape_of_item,
    status_of,
    task_of,
    tenant_of,
    text,
    texts,
    tier_of_item,
    wake_of,
)

POOL_ITEMS_MAX: Final = 1_000
_BEHIND_SHAPES: Final = "SHAPE$"
DUE_MAX: Final = 10
_KEYS_MAX: Final = 100


class PoolItems(Struct, frozen=True, kw_only=True):
    """The pool's own partition: agents, kinds of work, clocks of the tiers, the wake-up, and pools that wait for it."""

    snapshot: PoolSnapshot
    waiting_pools: tuple[str, ...] = ()


class Duty(Struct, frozen=True, kw_only=True):
    """Something that somebody has to do, written by whoever made it necessary. It lasts until it is done."""

    kind: str
    subject_id: str
    due_ms: int
    pool: str


class Due(Struct, frozen=True, kw_only=True):
    """What has fallen due in a pool, and when the next thing does."""

    attempts: tuple[Attempt, ...]
    ready: tuple[Ready, ...]
    deadlines: tuple[DeadlineDue, ...]
    duties: tuple[Duty, ...]
    next_due_ms: int | None


def load_pool(store: ItemStore, pool: str, policy: Policy) -> PoolItems:
    """One read of everything that concerns the pool as a whole."""
    items: list[Item] = []
    for start in ("", _BEHIND_SHAPES):  # what sorts behind the shapes has to be there, however many of those there are
        items = [item for item in items if item.key.sk < start]
        items += store.query(Table.SCHEDULER, keys.pool_pk(pool), limit=POOL_ITEMS_MAX, start=start)
        if len(items) < POOL_ITEMS_MAX:
            break

    def under(prefix: str) -> list[Item]:
        return [item for item in items if item.key.sk.startswith(prefix)]

    snapshot = PoolSnapshot(
        pool=pool,
        policy=policy,
        agents=tuple(agent_of(item) for item in under(keys.AGENT_PREFIX)),
        shapes=tuple(shape_of_item(item) for item in under(keys.SHAPE_PREFIX)),
        tiers={
            Tier(item.key.sk.removeprefix(keys.TIER_PREFIX)): tier_of_item(item.attributes)
            for item in under(keys.TIER_PREFIX)
        },
        wake=next((wake_of(item) for item in items if item.key.sk == keys.WAKE), WakeView()),
    )
    waits = tuple(item.key.sk.removeprefix(keys.WAITS_PREFIX) for item in under(keys.WAITS_PREFIX))
    return PoolItems(snapshot=snapshot, waiting_pools=waits)


def freed_slots(inputs: Iterable[Input]) -> dict[tuple[str, str], int]:
    """Slots by (pool, agent) that the inputs will give back."""
    freed: dict[tuple[str, str], int] = {}
    for one in inputs:
        if isinstance(one, Releasing) and (held := held_by(one)).slots:
            ref = (held.agent_pool, held.agent_id)
            freed[ref] = freed.get(ref, 0) + held.slots
    return freed


def free_slots(snapshot: PoolSnapshot, capabilities: tuple[str, ...], freed: Mapping[tuple[str, str], int]) -> int:
    """Slots that work with these capabilities could take."""
    return sum(
        max(0, agent.offered(freed.get((agent.pool, agent.agent_id), 0)))
        for agent in snapshot.agents
        if agent.accepting and agent.can_run(capabilities)
    )


def load_limits(
    store: ItemStore, snapshot: PoolSnapshot, inputs: Sequence[Input], lanes: Sequence[LaneRef] = ()
) -> PoolSnapshot:
    """The accounts, limits and resources that the inputs and the given lanes lean on, and the lanes that the inputs
    would wait in: one read. What the snapshot has already is kept.
    """
    entries = [one.entry for one in inputs if isinstance(one, Arrival | Ready | DeadlineDue | Withdraw)]
    entries += [
        one.retry.entry for one in inputs if isinstance(one, Finished) and one.yielded and one.retry is not None
    ]
    entries += [asks for one in inputs if isinstance(one, Ended) and (asks := asked_by(one)) is not None]
    held = [held_by(one) for one in inputs if isinstance(one, Releasing)]
    refs = {lane_of(entry) for entry in entries}
    accounts = {(ref.tier, ref.tenant_id) for ref in (*refs, *lanes)} | {(h.tier, h.tenant_id) for h in held}
    tenants = {t for _, t in accounts if snapshot.policy.tenant(t).limited} | {h.tenant_id for h in held if h.counted}
    names = {name for entry in entries for name, _ in entry.resources}
    names |= {hold.resource for one in held for hold in one.holds}
    names |= {one.outcome.throttled.resource for one in inputs if isinstance(one, Finished) and one.outcome.throttled}
    waiting = {ref.shape for ref in lanes}
    names |= {name for shape in snapshot.shapes if shape.shape in waiting for name in shape.resources}
    return _with_limits(store, snapshot, sorted(refs), sorted(accounts), sorted(tenants), sorted(names))


def _with_limits(
    store: ItemStore,
    snapshot: PoolSnapshot,
    refs: Sequence[LaneRef],
    accounts: Sequence[AccountRef],
    tenants: Sequence[str],
    names: Sequence[str],
) -> PoolSnapshot:
    pool = snapshot.pool
    lane_keys = {ref: keys.lane_key(pool, ref) for ref in refs if ref not in snapshot.lane_states}
    account_keys = {ref: keys.account_key(pool, *ref) for ref in accounts if ref not in snapshot.accounts}
    tenant_keys = {name: keys.tenant_limits_key(name) for name in tenants if name not in snapshot.tenants}
    known = {view.name for view in snapshot.resources}
    shards = [(name, shard) for name in names if name not in known for shard in _shards(snapshot.policy, name)]
    resource_keys = {ref: keys.resource_key(*ref) for ref in shards}
    found = _get(store, [*lane_keys.values(), *account_keys.values(), *tenant_keys.values(), *resource_keys.values()])
    resources = [resource_of(name, shard, found.get(key, {})) for (name, shard), key in resource_keys.items()]
    return msgspec.structs.replace(
        snapshot,
        lane_states={
            **snapshot.lane_states,
            **{ref: lane_state_of(found.get(key, {})) for ref, key in lane_keys.items()},
        },
        accounts={**snapshot.accounts, **{ref: account_of(found.get(key, {})) for ref, key in account_keys.items()}},
        tenants={**snapshot.tenants, **{name: tenant_of(found.get(key, {})) for name, key in tenant_keys.items()}},
        resources=snapshot.resources + tuple[ResourceView, ...](resources),
    )


def _shards(policy: Policy, name: str) -> range:
    rule = policy.resources.get(name)
    return range(0 if rule is None else rule.shards if isinstance(rule, Rate) else 1)


def _get(store: ItemStore, wanted: Sequence[Key]) -> dict[Key, Attributes]:
    found: dict[Key, Attributes] = {}
    for start in range(0, len(wanted), _KEYS_MAX):
        items = store.get(wanted[start : start + _KEYS_MAX])
        found |= {key: item.attributes for key, item in items.items()}
    return found


def waiting_shapes(snapshot: PoolSnapshot, freed: Mapping[tuple[str, str], int]) -> list[tuple[ShapeView, int]]:
    """Kinds of work that wait and could run now, each with the number of slots for it."""
    return [
        (shape, free)
        for shape in snapshot.shapes
        if shape.waiting and (free := free_slots(snapshot, shape.capabilities, freed)) > 0
    ]


def load_waiting_pools(store: ItemStore, pk: str) -> list[str]:
    """The pools that wait for something shared."""
    items = store.query(Table.SCHEDULER, pk, limit=_KEYS_MAX, start=keys.WAITS_PREFIX)
    return [item.key.sk.removeprefix(keys.WAITS_PREFIX) for item in items if item.key.sk.startswith(keys.WAITS_PREFIX)]


def load_retry_states(
    store: ItemStore, ended: Sequence[tuple[str, int]], policy: Policy
) -> dict[tuple[str, int], RetryState]:
    """What the decision after an ended attempt needs, by task id and epoch, for the tasks that exist.

    A batch can bring the words of two attempts of one task, of which one is stale.
    """
    found = load_task_items(store, [task_id for task_id, _ in ended])
    known = [ref for ref in ended if ref[0] in found]
    return {(task_id, epoch): load_retry_state(store, found[task_id], policy, epoch) for task_id, epoch in known}


def load_retry_state(store: ItemStore, stored: Attributes, policy: Policy, epoch: int) -> RetryState:
    """The same of one task as it was read; one more read if its attempt waits in a lane for what it gave back."""
    state = retry_state(stored, policy, epoch)
    if status_of(stored) is not Status.WAITING or "waits_at" not in stored:
        return state
    key = keys.pointed(text(stored, "waits_at"))
    item = store.get([key]).get(key)
    return state if item is None else msgspec.structs.replace(state, asks=entry_of_item(item))


def retry_state(attributes: Attributes, policy: Policy, epoch: int) -> RetryState:
    """What the decision after an attempt needs, of a task as it is stored."""
    task, uncounted = task_of(attributes), attributes.get("uncounted", 0)
    entry = entry_of(task, policy, epoch, uncounted if isinstance(uncounted, int) else 0)
    start_by_ms = optional_number(attributes, "start_by_ms") or entry.start_by_ms
    avoid = tuple(texts(attributes, "avoid")) if "avoid" in attributes else ()
    entry = msgspec.structs.replace(entry, start_by_ms=start_by_ms, avoid=avoid)
    return RetryState(
        entry=entry,
        retry=task.retry,
        pool=task.pool,
        signals=optional_number(attributes, "signals") or 0,
        cancelled_by=text(attributes, "cancelled_by") if "cancelled_by" in attributes else None,
    )


def load_task_items(store: ItemStore, task_ids: Sequence[str]) -> dict[str, Attributes]:
    """The stored attributes of the tasks that exist."""
    if not task_ids:
        return {}
    found = _get(store, [keys.task_key(task_id) for task_id in dict.fromkeys(task_ids)])
    return {key.pk: attributes for key, attributes in found.items()}


def load_attempt(store: ItemStore, pool: str, task_id: str) -> Attempt | None:
    key = keys.attempt_key(pool, task_id)
    found = store.get([key]).get(key)
    return attempt_of(found) if found else None


def load_due(store: ItemStore, pool: str, now_ms: int) -> Due:
    """Expired leases (started or not, finished or not), due retries and hard deadlines: the reads of a wake-up, five in
    all.
    """
    leased: list[Attempt] = []
    for bucket in range(keys.ATTEMPT_BUCKETS):
        pk = keys.attempt_pk(pool, bucket)
        items = store.query(Table.ATTEMPTS, pk, index=keys.BY_LEASE, limit=DUE_MAX + 1)
        leased += [attempt_of(item) for item in items]
    delayed = store.query(Table.SCHEDULER, keys.delayed_pk(pool), limit=DUE_MAX + 1)
    timed = [(int(item.key.sk.partition("#")[0]), item) for item in delayed]
    expired = sorted((a for a in leased if a.lease_until_ms <= now_ms), key=lambda a: a.lease_until_ms)[:DUE_MAX]
    due = [(at, item) for at, item in timed if at <= now_ms][:DUE_MAX]
    ended = {attempt.task_id for attempt in expired}
    later = [a.lease_until_ms for a in leased if a.task_id not in ended]
    later += [at for at, item in timed if (at, item) not in due]
    kinds = [(at, item, *_subject(item)) for at, item in due]
    return Due(
        attempts=tuple(expired),
        ready=tuple(Ready(entry_of_item(i), _before(i, Status.RETRYING), at) for at, i, _, kind in kinds if not kind),
        deadlines=tuple(
            DeadlineDue(entry_of_item(item), _before(item, Status.PARKED), optional_number(item.attributes, "due_ms"))
            for _, item, _, kind in kinds
            if kind == "expiry"
        ),
        duties=tuple(
            Duty(kind=kind, subject_id=subject_id, due_ms=at, pool=pool)
            for at, _, subject_id, kind in kinds
            if kind not in ("", "expiry")
        ),
        next_due_ms=min(later, default=None),
    )


def _subject(item: Item) -> tuple[str, str]:
    """Whom an item among the delayed is about, and what kind of thing falls due; none: the task goes on then."""
    _, subject_id, *kind = item.key.sk.split("#")
    return subject_id, kind[0] if kind else ""


def _before(item: Item, default: Status) -> Status:
    return Status(text(item.attributes, "before")) if "before" in item.attributes else default
