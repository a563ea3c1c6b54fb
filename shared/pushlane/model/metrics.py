"""Names of CloudWatch metrics: an interface between what writes them (embedded metric format in the logs) and what
watches them (dashboard and alarms). Neither tenants nor tasks are a dimension: each value is billed as a metric.
"""

from typing import Final

NAMESPACE: Final = "Pushlane"

# Ends of tasks that had a deadline, by (stage, tier) and by (stage, tier, task_type).
DEADLINE_MET: Final = "DeadlineMet"
DEADLINE_MISSED: Final = "DeadlineMissed"
DEADLINE_PENALTY: Final = "DeadlinePenalty"

# How a pool stands, once a minute, by (stage) and by (stage, pool). Alarms go by the stage: pools come and go.
POOL_SLOTS: Final = "PoolSlots"
POOL_SLOTS_USED: Final = "PoolSlotsUsed"
POOL_WAITING: Final = "PoolWaiting"
POOL_LONGEST_WAIT_MS: Final = "PoolLongestWaitMs"
POOL_WAITING_WITH_IDLE_CAPACITY: Final = "PoolWaitingWithIdleCapacity"
# One while tasks wait in the pool and nothing of it runs; else zero.
POOL_STALLED: Final = "PoolStalled"

# Tasks' first starts and their ends, by (stage), (stage, tier) and (stage, tier, task_type), in milliseconds.
PICKUP_MS: Final = "PickupMs"
INGEST_MS: Final = "IngestMs"
DISPATCH_MS: Final = "DispatchMs"
RUN_MS: Final = "RunMs"
UNBLOCK_MS: Final = "UnblockMs"
TASKS_RETRIED: Final = "TasksRetried"
TASKS_DEAD_LETTERED: Final = "TasksDeadLettered"
