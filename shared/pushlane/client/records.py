"""A task as it stands, read from its stored item."""

from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Door, Status, Task, Tier
from pushlane.ports import Attributes, Item
from pushlane.state.items import number, task_of, text


class TaskRecord(Struct, frozen=True, kw_only=True):
    """One task at the moment of the read. Times are Unix milliseconds; a time that has not come yet is None."""

    task_id: str
    tenant_id: str
    task_type: str
    status: Status
    epoch: int
    tier: Tier
    pool: str
    door: Door
    accepted_at_ms: int
    dispatched_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    park_reason: str | None = None
    error: ErrorDetail | None = None
    result: dict[str, Any] | None = None
    task: Task | None = None

    @property
    def terminal(self) -> bool:
        return self.status.terminal

    @property
    def at_rest(self) -> bool:
        """Nothing more comes of it by itself: it has ended, or is dead-lettered until somebody redrives it."""
        return self.status.at_rest


def record_of(item: Item) -> TaskRecord:
    """The record that an item of the tasks table holds."""
    a = item.attributes
    return TaskRecord(
        task_id=item.key.pk,
        tenant_id=text(a, "tenant_id"),
        task_type=text(a, "task_type"),
        status=Status(text(a, "status")),
        epoch=number(a, "epoch"),
        tier=Tier(text(a, "tier")),
        pool=text(a, "pool"),
        door=Door(text(a, "door")),
        accepted_at_ms=number(a, "accepted_at_ms"),
        dispatched_at_ms=_time(a, "dispatched_at_ms"),
        started_at_ms=_time(a, "started_at_ms"),
        finished_at_ms=_time(a, "finished_at_ms"),
        park_reason=text(a, "park_reason") if "park_reason" in a else None,
        error=msgspec.json.decode(text(a, "error"), type=ErrorDetail) if "error" in a else None,
        result=msgspec.json.decode(text(a, "result"), type=dict[str, Any]) if "result" in a else None,
        task=task_of(a) if "body" in a else None,
    )


def _time(attributes: Attributes, name: str) -> int | None:
    return number(attributes, name) if name in attributes else None
