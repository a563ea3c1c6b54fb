"""Follow tasks to their end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from pushlane.client import Client, TaskRecord
from pushlane.local.demo.show import Counts

LOOK_SECONDS: Final = 0.5
# Long enough for a lost push: an attempt that did not start is pushed again after 30 s.
STALL_SECONDS: Final = 100.0

UNSEEN: Final = "SENT"


def follow(
    client: Client,
    expected: Mapping[str, str],
    *,
    news: Callable[[Counts], None],
    pause: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, TaskRecord]:
    """The last known record of each expected task (id -> tenant), once all have ended or nothing has changed for
    `STALL_SECONDS`: who has not ended by then is for the account to say.
    """
    records: dict[str, TaskRecord] = {}
    pending = set(expected)
    changed_at = monotonic()
    while pending and monotonic() - changed_at < STALL_SECONDS:
        found = client.tasks(pending)
        if any(records.get(task_id) != record for task_id, record in found.items()):
            changed_at = monotonic()
        records |= found
        pending -= {task_id for task_id, record in found.items() if record.terminal}
        news(counts(expected, records))
        if pending:
            pause(LOOK_SECONDS)
    return records


def counts(expected: Mapping[str, str], records: Mapping[str, TaskRecord]) -> Counts:
    """Tasks of each tenant by status; those without a record yet count as `SENT`."""
    by_tenant: dict[str, Counter[str]] = {}
    for task_id, tenant_id in expected.items():
        record = records.get(task_id)
        by_tenant.setdefault(tenant_id, Counter())[record.status.value if record else UNSEEN] += 1
    return by_tenant
