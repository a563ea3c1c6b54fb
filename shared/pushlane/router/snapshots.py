"""What stands where events do not any more: a task or a workflow as it is now, for whoever has missed some events."""

from typing import Any

import msgspec

from pushlane.model.live import is_feed
from pushlane.ports import Attributes, Item, ItemStore
from pushlane.state import keys
from pushlane.state.items import text
from pushlane.state.workflows import row_of, workflow_key

_TASK_FIELDS = (
    *("tenant_id", "status", "task_type", "tier", "pool", "epoch", "agent_id", "park_reason"),
    *("accepted_at_ms", "dispatched_at_ms", "started_at_ms", "finished_at_ms", "ended_at_ms"),
)
_JSON_FIELDS = ("result", "error")


def subject_of(store: ItemStore, log: str) -> Item | None:
    """The stored task or workflow that a log is about; None when it is not there (any more)."""
    found = store.get([keys.task_key(log), workflow_key(log)])
    return found.get(keys.task_key(log)) or found.get(workflow_key(log))


def snapshot_of(store: ItemStore, log: str) -> dict[str, Any] | None:
    """The task or workflow of a log; None for a feed, and for what is not there (any more)."""
    found = None if is_feed(log) else subject_of(store, log)
    if found is None:
        return None
    if found.key == workflow_key(log):
        return workflow_snapshot(found.attributes)
    return {"task_id": log, **task_snapshot(found.attributes)}


def task_snapshot(stored: Attributes) -> dict[str, Any]:
    """What changes of a stored task, and its result or error when it has one."""
    said: dict[str, Any] = {name: stored[name] for name in _TASK_FIELDS if name in stored}
    return said | {name: msgspec.json.decode(text(stored, name)) for name in _JSON_FIELDS if name in stored}


def workflow_snapshot(stored: Attributes) -> dict[str, Any]:
    row = row_of(stored)
    return {
        "workflow_id": row.accepted.workflow_id,
        "tenant_id": row.accepted.tenant_id,
        "status": row.status.value,
        "nodes": row.accepted.nodes,
        "accepted_at_ms": row.accepted.accepted_at_ms,
        "started_at_ms": row.started_at_ms,
        "ended_at_ms": row.ended_at_ms,
        "counts": None if row.counts is None else msgspec.to_builtins(row.counts),
    }
