"""Keys of every item. Ids match `pushlane.model.ids.ID_PATTERN`, so `#` is a safe separator."""

from typing import Final

from pushlane.model.ids import stable_bucket
from pushlane.model.task import Tier
from pushlane.model.times import sortable
from pushlane.ports import Key, Table
from pushlane.scheduling.entry import RANKS, Entry, LaneRef, lane_of

# Live attempts of a pool are spread over this many partitions, so that check-ins do not meet one partition's limit.
ATTEMPT_BUCKETS: Final = 4
TENANT_BUCKETS: Final = 8
# Accounts of a pool likewise.
ACCOUNT_BUCKETS: Final = 8

BY_LEASE: Final = "by_lease"
BY_TURN: Final = "by_turn"
BY_URGENCY: Final = "by_urgency"
BY_LATE: Final = "by_late"

AGENT_PREFIX: Final = "AGENT#"
SHAPE_PREFIX: Final = "SHAPE#"
TIER_PREFIX: Final = "TIER#"
WAITS_PREFIX: Final = "WAITS#"
WAKE: Final = "WAKE"
CHILD_PREFIX: Final = "CHILD#"
SIGNAL_PREFIX: Final = "SIGNAL#"
TASK: Final = "TASK"
WORKFLOW: Final = "WORKFLOW"
TENANTS: Final = "TENANTS"
POOLS: Final = "POOLS"
POLICY: Final = "POLICY"
POLICY_REVISIONS: Final = "POLICY_REVISIONS"
POLICY_CHANGES: Final = "POLICY_CHANGES"


def task_key(task_id: str) -> Key:
    return Key(Table.TASKS, task_id, TASK)


def fact_key(fact_id: str) -> Key:
    """A fact that is no change of a task; it lies in the tasks table because that table's stream is the outbox."""
    return Key(Table.TASKS, f"FACT#{fact_id}", "FACT")


def tenant_bucket(tenant_id: str, task_id: str) -> str:
    """Partition of the listing index: a tenant's tasks over a few partitions."""
    return bucket_of(tenant_id, stable_bucket(task_id, TENANT_BUCKETS))


def bucket_of(tenant_id: str, bucket: int) -> str:
    return f"{tenant_id}#{bucket}"


def attempt_pk(pool: str, bucket: int) -> str:
    return f"{pool}#{bucket}"


def attempt_key(pool: str, task_id: str) -> Key:
    return Key(Table.ATTEMPTS, attempt_pk(pool, stable_bucket(task_id, ATTEMPT_BUCKETS)), task_id)


def pool_pk(pool: str) -> str:
    return f"POOL#{pool}"


def agent_key(pool: str, agent_id: str) -> Key:
    return Key(Table.SCHEDULER, pool_pk(pool), AGENT_PREFIX + agent_id)


def shape_key(pool: str, shape: str) -> Key:
    return Key(Table.SCHEDULER, pool_pk(pool), SHAPE_PREFIX + shape)


def wake_key(pool: str) -> Key:
    return Key(Table.SCHEDULER, pool_pk(pool), WAKE)


def tier_key(pool: str, tier: Tier) -> Key:
    return Key(Table.SCHEDULER, pool_pk(pool), TIER_PREFIX + tier.value)


def account_key(pool: str, tier: Tier, tenant_id: str) -> Key:
    bucket = stable_bucket(tenant_id, ACCOUNT_BUCKETS)
    return Key(Table.SCHEDULER, f"ACCOUNT#{pool}#{bucket}", f"{tier}#{tenant_id}")


def tenant_limits_key(tenant_id: str) -> Key:
    """What a limited tenant has used, over all pools."""
    return Key(Table.SCHEDULER, tenant_limits_pk(tenant_id), "STATE")


def tenant_limits_pk(tenant_id: str) -> str:
    return f"TENANT#{tenant_id}"


def resource_pk(name: str) -> str:
    return f"RESOURCE#{name}"


def resource_key(name: str, shard: int) -> Key:
    # Shards lie apart, so that a hot rate is spread over partitions; what waits for the resource lies with the first.
    return Key(Table.SCHEDULER, resource_pk(name) if shard == 0 else f"{resource_pk(name)}#{shard}", "STATE")


def waits_key(pk: str, pool: str) -> Key:
    """A pool's mark beside something that pools share: wake it when more of that is free."""
    return Key(Table.SCHEDULER, pk, WAITS_PREFIX + pool)


def lanes_pk(pool: str, shape: str) -> str:
    return f"LANES#{pool}#{shape}"


def lane_key(pool: str, lane: LaneRef) -> Key:
    return Key(Table.SCHEDULER, lanes_pk(pool, lane.shape), f"{lane.tier}#{lane.tenant_id}")


def lane_ref(shape: str, key: Key) -> LaneRef:
    tier, _, tenant_id = key.sk.partition("#")
    return LaneRef(shape=shape, tier=Tier(tier), tenant_id=tenant_id)


def index_key(tier: Tier, value: int) -> str:
    """Key of a lane in one of the lane indexes: tiers in their order, then by virtual time or by time."""
    return f"{index_start(tier)}{max(0, value):016d}"


def index_start(tier: Tier) -> str:
    """Where in a lane index the lanes of a tier begin."""
    return f"{RANKS[tier]}#"


def index_value(key: str) -> int:
    return int(key.partition("#")[2])


def queue_pk(pool: str, lane: LaneRef) -> str:
    return f"Q#{pool}#{lane.shape}#{lane.tier}#{lane.tenant_id}"


def entry_key(pool: str, entry: Entry) -> Key:
    return Key(Table.SCHEDULER, queue_pk(pool, lane_of(entry)), entry.order)


def dated_from(start_by_ms: int) -> str:
    """Where in a lane the entries with a deadline that have to start at that time or later begin."""
    return f"D#{sortable(start_by_ms)}"


def delayed_pk(pool: str) -> str:
    return f"DELAYED#{pool}"


def delayed_key(pool: str, due_ms: int, task_id: str) -> Key:
    return Key(Table.SCHEDULER, delayed_pk(pool), f"{sortable(due_ms)}#{task_id}")


def duty_key(pool: str, due_ms: int, subject_id: str, kind: str) -> Key:
    """Among the delayed: something that somebody has to do, written by whoever made it necessary."""
    return Key(Table.SCHEDULER, delayed_pk(pool), f"{sortable(due_ms)}#{subject_id}#{kind}")


def dead_pk(pool: str) -> str:
    return f"DEAD#{pool}"


def dead_key(pool: str, died_at_ms: int, task_id: str) -> Key:
    """One item for each dead-lettered task of the pool, oldest first."""
    return Key(Table.SCHEDULER, dead_pk(pool), f"{sortable(died_at_ms)}#{task_id}")


def redrive_key(pool: str) -> Key:
    """How far the automatic redrive of the pool's dead letters has come."""
    return Key(Table.SCHEDULER, f"REDRIVE#{pool}", "STATE")


def pointer(key: Key) -> str:
    """A key as text, for an item that says where another one lies; no id has a space in it."""
    return f"{key.pk} {key.sk}"


def pointed(pointer: str) -> Key:
    """The key in the scheduler's table that a pointer says."""
    pk, _, sk = pointer.partition(" ")
    return Key(Table.SCHEDULER, pk, sk)


def signal_key(task_id: str, signal_id: str) -> Key:
    """One signal in a task's inbox."""
    return Key(Table.TASKS, task_id, SIGNAL_PREFIX + signal_id)


def child_key(task_id: str, child_id: str) -> Key:
    """Beside a task: another one that is attached to it."""
    return Key(Table.TASKS, task_id, CHILD_PREFIX + child_id)


def expiry_key(pool: str, entry: Entry) -> Key:
    """Beside a parked task with a hard deadline: when it can no longer make it."""
    return Key(Table.SCHEDULER, delayed_pk(pool), f"{sortable(entry.start_by_ms + 1)}#{entry.task_id}#expiry")


def pool_registration_key(pool: str) -> Key:
    """One item for each pool that has an agent: what the sweep goes through."""
    return Key(Table.SCHEDULER, POOLS, pool)


def tenant_key(tenant_id: str) -> Key:
    return Key(Table.CONFIG, TENANTS, tenant_id)


def policy_key() -> Key:
    """Which revision of the policy is current: a small item, read every second."""
    return Key(Table.CONFIG, POLICY, "CURRENT")


def policy_revision_key(revision: int) -> Key:
    """One revision of the policy, which never changes."""
    return Key(Table.CONFIG, POLICY_REVISIONS, f"{revision:010d}")


def policy_change_key(change_id: str) -> Key:
    """The mark that a change was applied, so that one delivered again is recognised."""
    return Key(Table.CONFIG, POLICY_CHANGES, change_id)
