"""Keys of every item. Ids match `pushlane.model.ids.ID_PATTERN`, so `#` is a safe separator."""

from typing import Final

from pushlane.model.ids import stable_bucket
from pushlane.ports import Key, Table
from pushlane.scheduling.snapshot import Entry, LaneRef

# Live attempts of a pool are spread over this many partitions, so that check-ins do not meet one partition's limit.
ATTEMPT_BUCKETS: Final = 4
TENANT_BUCKETS: Final = 8

BY_LEASE: Final = "by_lease"
BY_TURN: Final = "by_turn"

AGENT_PREFIX: Final = "AGENT#"
SHAPE_PREFIX: Final = "SHAPE#"
WAKE: Final = "WAKE"
TENANTS: Final = "TENANTS"
POOLS: Final = "POOLS"


def task_key(task_id: str) -> Key:
    return Key(Table.TASKS, task_id, "TASK")


def fact_key(fact_id: str) -> Key:
    """A fact that is no change of a task; it lies in the tasks table because that table's stream is the outbox."""
    return Key(Table.TASKS, f"FACT#{fact_id}", "FACT")


def tenant_bucket(tenant_id: str, task_id: str) -> str:
    """Partition of the listing index: a tenant's tasks over a few partitions."""
    return f"{tenant_id}#{stable_bucket(task_id, TENANT_BUCKETS)}"


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


def lanes_pk(pool: str, shape: str) -> str:
    return f"LANES#{pool}#{shape}"


def lane_key(pool: str, lane: LaneRef) -> Key:
    return Key(Table.SCHEDULER, lanes_pk(pool, lane.shape), f"{lane.tier}#{lane.tenant_id}")


def queue_pk(pool: str, lane: LaneRef) -> str:
    return f"Q#{pool}#{lane.shape}#{lane.tier}#{lane.tenant_id}"


def entry_order(entry: Entry) -> str:
    """Sort key of a parked entry: order of acceptance."""
    return f"{entry.enqueued_at_ms:013d}#{entry.task_id}"


def entry_key(pool: str, entry: Entry) -> Key:
    return Key(Table.SCHEDULER, queue_pk(pool, lane_of(entry)), entry_order(entry))


def delayed_pk(pool: str) -> str:
    return f"DELAYED#{pool}"


def delayed_key(pool: str, due_ms: int, task_id: str) -> Key:
    return Key(Table.SCHEDULER, delayed_pk(pool), f"{due_ms:013d}#{task_id}")


def pool_registration_key(pool: str) -> Key:
    """One item for each pool that has an agent: what the sweep goes through."""
    return Key(Table.SCHEDULER, POOLS, pool)


def tenant_key(tenant_id: str) -> Key:
    return Key(Table.CONFIG, TENANTS, tenant_id)


def lane_of(entry: Entry) -> LaneRef:
    return LaneRef(shape=entry.shape, tier=entry.tier, tenant_id=entry.tenant_id)
