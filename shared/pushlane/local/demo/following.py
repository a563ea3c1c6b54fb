"""Follow tasks to their end: by the facts that are pushed, and by a look at the table now and then."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from pushlane.client import Client, TaskRecord
from pushlane.local.demo.show import Counts
from pushlane.model.task import Status

DRAIN_SECONDS: Final = 0.3
# Reading every unfinished task is heavy; it shows what waits and why, and finds ends whose fact was lost.
LOOK_SECONDS: Final = 5.0
# Long enough for a lost push: an attempt that did not start is pushed again after 30 s.
STALL_SECONDS: Final = 100.0

UNSEEN: Final = "SENT"


class Ends(Protocol):
    """The ends of tasks that were published."""

    def drain(self) -> Mapping[str, Status]:
        """Take in what is waiting now; returns all ends seen so far, by task id."""
        ...


class Following:
    """What is known of the expected tasks (id -> tenant)."""

    def __init__(self, client: Client, ends: Ends, expected: Mapping[str, str]) -> None:
        self._client = client
        self._ends = ends
        self._expected = expected
        self.statuses: dict[str, Status] = {}

    def drain(self) -> None:
        """Learn from the facts."""
        ended = self._ends.drain()
        self.statuses |= {task_id: ended[task_id] for task_id in self.pending if task_id in ended}

    def look(self) -> None:
        """Learn from the table."""
        found = self._client.tasks(self.pending)
        self.statuses |= {task_id: record.status for task_id, record in found.items()}

    @property
    def pending(self) -> frozenset[str]:
        ended = {task_id for task_id, status in self.statuses.items() if status.at_rest}
        return frozenset(self._expected.keys() - ended)

    @property
    def counts(self) -> Counts:
        """Tasks of each tenant by status; those of which nothing is known yet count as `SENT`."""
        by_tenant: dict[str, Counter[str]] = {}
        for task_id, tenant_id in self._expected.items():
            status = self.statuses.get(task_id)
            by_tenant.setdefault(tenant_id, Counter())[status.value if status else UNSEEN] += 1
        return by_tenant


def follow(
    client: Client,
    ends: Ends,
    expected: Mapping[str, str],
    *,
    news: Callable[[Counts], None],
    pause: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, TaskRecord]:
    """The record of each expected task (id -> tenant), read once all have ended, or once nothing has changed for
    `STALL_SECONDS`: who has not ended by then is for the account to say.
    """
    following = Following(client, ends, expected)
    changed_at = looked_at = monotonic()
    while following.pending and (now := monotonic()) - changed_at < STALL_SECONDS:
        before = dict(following.statuses)
        following.drain()
        if now - looked_at >= LOOK_SECONDS:
            following.look()
            looked_at = now
        if following.statuses != before:
            changed_at = now
        news(following.counts)
        pause(DRAIN_SECONDS)
    return client.tasks(expected)
