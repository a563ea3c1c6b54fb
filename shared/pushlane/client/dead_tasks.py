"""Dead-lettered tasks for an operator: read with payload, error and history; brought back or given up by command.

Reads go to the tables directly, with the operator's credentials; what changes a task is a command through a door.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.client.errors import NotDead, TaskUnknown
from pushlane.client.policies import current_policy
from pushlane.client.records import TaskRecord, record_of
from pushlane.model.task import Status
from pushlane.ports import Attributes, Item, ItemStore, Table
from pushlane.state import keys
from pushlane.state.dead import Grave, died_at_ms, graves, redrives_of
from pushlane.state.items import text

_PAGE: Final = 100
_POOLS_MAX: Final = 10_000
_HISTORY: Final = re.compile(r"^error_(\d+)$")


class FailedAttempt(Struct, frozen=True, kw_only=True):
    """How one attempt ended: its number, which agent had it, when and of what."""

    epoch: int
    agent_id: str | None
    at_ms: int
    type: str
    message: str


class DeadTask(Struct, frozen=True, kw_only=True):
    """One dead-lettered task. `redrives`: how often it came back before. Times are Unix milliseconds."""

    task_id: str
    tenant_id: str
    task_type: str
    pool: str
    tier: str
    epoch: int
    died_at_ms: int
    redrives: int
    payload_bytes: int
    error_type: str
    error_message: str
    history: tuple[FailedAttempt, ...]
    labels: dict[str, str] = {}


class DeadCount(Struct, frozen=True, kw_only=True):
    """How many dead tasks a tenant has in a pool, and when the oldest of them died."""

    pool: str
    tenant_id: str
    tasks: int
    oldest_ms: int


class Wanted(Struct, frozen=True, kw_only=True):
    """Which dead tasks are meant; what is None does not matter. `error` is a part of its type or message."""

    tenant_id: str | None = None
    task_type: str | None = None
    pool: str | None = None
    error: str | None = None

    def means(self, task: DeadTask) -> bool:
        told = f"{task.error_type}: {task.error_message}".lower()
        return self.task_type in (None, task.task_type) and (self.error is None or self.error.lower() in told)


class DeadTasks:
    """Reads the dead tasks of one installation."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store

    def counts(self) -> tuple[DeadCount, ...]:
        """By pool and tenant, the oldest first. Reads an item of every dead task."""
        tasks: Counter[tuple[str, str]] = Counter()
        oldest: dict[tuple[str, str], int] = {}
        for pool in self._pools(None):
            for one in self._graves(pool):
                whose = (pool, one.entry.tenant_id)
                tasks[whose] += 1
                oldest.setdefault(whose, one.died_at_ms)
        found = [
            DeadCount(pool=pool, tenant_id=tenant_id, tasks=count, oldest_ms=oldest[pool, tenant_id])
            for (pool, tenant_id), count in tasks.items()
        ]
        return tuple(sorted(found, key=lambda one: one.oldest_ms))

    def find(self, wanted: Wanted) -> Iterator[DeadTask]:
        """The dead tasks that are meant, pool by pool, oldest first; those that are read when they are asked for."""
        for pool in self._pools(wanted.pool):
            page: list[Grave] = []
            for one in self._graves(pool):
                if wanted.tenant_id not in (None, one.entry.tenant_id):
                    continue
                page.append(one)
                if len(page) == _PAGE:
                    yield from self._read(page, wanted)
                    page = []
            yield from self._read(page, wanted)

    def one(self, task_id: str) -> DeadTask:
        """One dead task; raises `TaskUnknown` and `NotDead`."""
        key = keys.task_key(task_id)
        item = self._store.get([key]).get(key)
        if item is None or "body" not in item.attributes:
            raise TaskUnknown(task_id)
        record = record_of(item)
        if record.status is not Status.DEAD_LETTERED:
            raise NotDead(task_id, record.status.value)
        return _dead(item, record)

    def _read(self, page: Sequence[Grave], wanted: Wanted) -> Iterator[DeadTask]:
        found = self._store.get([keys.task_key(one.task_id) for one in page]) if page else {}
        for one in page:
            item = found.get(keys.task_key(one.task_id))
            record = None if item is None else record_of(item)
            if item is None or record is None or record.status is not Status.DEAD_LETTERED:
                continue  # it has gone on meanwhile
            task = _dead(item, record)
            if wanted.means(task):
                yield task

    def _graves(self, pool: str) -> Iterator[Grave]:
        behind = ""
        while page := graves(self._store, pool, _PAGE, behind):
            yield from page
            behind = page[-1].place

    def _pools(self, wanted: str | None) -> list[str]:
        """Every pool that has, or had, an agent, and those that the policy names."""
        if wanted is not None:
            return [wanted]
        registered = [item.key.sk for item in self._store.query(Table.SCHEDULER, keys.POOLS, limit=_POOLS_MAX)]
        return sorted({*registered, *current_policy(self._store).pools})


def _dead(item: Item, record: TaskRecord) -> DeadTask:
    a = item.attributes
    task, error = record.task, record.error
    return DeadTask(
        task_id=record.task_id,
        tenant_id=record.tenant_id,
        task_type=record.task_type,
        pool=record.pool,
        tier=record.tier.value,
        epoch=record.epoch,
        died_at_ms=died_at_ms(a),
        redrives=redrives_of(a),
        payload_bytes=0 if task is None else len(msgspec.json.encode(task.payload)),
        error_type="" if error is None else error.error_type,
        error_message="" if error is None else error.message,
        history=_history(a),
        labels={} if task is None else task.labels,
    )


def _history(attributes: Attributes) -> tuple[FailedAttempt, ...]:
    found = [
        msgspec.json.decode(text(attributes, name), type=FailedAttempt) for name in attributes if _HISTORY.match(name)
    ]
    return tuple(sorted(found, key=lambda one: one.epoch))
