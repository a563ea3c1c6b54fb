"""Values <-> stored attributes. Attributes that conditions, indexes or filters use stand alone; the rest is JSON.

Every item carries `v`, the version of its form; a new version reads the old one.
"""

from typing import Final, NoReturn

import msgspec

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, outcome_digest
from pushlane.model.task import Door, Source, Status, Task, Tier
from pushlane.ports import Attributes, Item, Scalar
from pushlane.scheduling.snapshot import Entry, ShapeView, WakeView
from pushlane.state.keys import tenant_bucket

VERSION: Final = 1

_task_decoder = msgspec.json.Decoder(Task)
_entry_decoder = msgspec.json.Decoder(Entry)
_outcome_decoder = msgspec.json.Decoder(Outcome)


def to_json(value: object) -> str:
    """JSON that every channel takes: SQS and SNS refuse U+FFFE and U+FFFF unless they are escaped."""
    return msgspec.json.encode(value).decode().replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def new_task_attributes(task: Task, status: Status, epoch: int) -> dict[str, Scalar]:
    """The whole task item at acceptance. `body` never changes afterwards."""
    attributes: dict[str, Scalar] = {
        "v": VERSION,
        "status": status.value,
        "epoch": epoch,
        "tenant_id": task.tenant_id,
        "tenant_bucket": tenant_bucket(task.tenant_id, task.task_id),
        "task_type": task.task_type,
        "tier": task.tier.value,
        "pool": task.pool,
        "door": task.source.door.value,
        "source_id": task.source.source_id,
        "body_digest": task.body_digest,
        "accepted_at_ms": task.accepted_at_ms,
        "body": to_json(task),
    }
    return attributes


def task_of(attributes: Attributes) -> Task:
    return _task_decoder.decode(text(attributes, "body"))


def source_of(attributes: Attributes) -> Source:
    return Source(door=Door(text(attributes, "door")), source_id=text(attributes, "source_id"))


def status_of(attributes: Attributes) -> Status:
    return Status(text(attributes, "status"))


def entry_attributes(entry: Entry) -> dict[str, Scalar]:
    return {"v": VERSION, "entry": to_json(entry)}


def entry_of_item(item: Item) -> Entry:
    return _entry_decoder.decode(text(item.attributes, "entry"))


def new_attempt_attributes(attempt: Attempt) -> dict[str, Scalar]:
    """The attempt as the reservation creates it; start, check-in and finish add to it."""
    return {
        "v": VERSION,
        "epoch": attempt.epoch,
        "tenant_id": attempt.tenant_id,
        "pool": attempt.pool,
        "agent_id": attempt.agent_id,
        "task_type": attempt.task_type,
        "tier": attempt.tier.value,
        "dispatched_at_ms": attempt.dispatched_at_ms,
        "lease_until_ms": attempt.lease_until_ms,
        "pushes": attempt.pushes,
    }


def outcome_attributes(outcome: Outcome) -> dict[str, Scalar]:
    return {"outcome": to_json(outcome), "outcome_digest": outcome_digest(outcome)}


def attempt_of(item: Item) -> Attempt:
    a = item.attributes
    return Attempt(
        task_id=item.key.sk,
        epoch=number(a, "epoch"),
        tenant_id=text(a, "tenant_id"),
        pool=text(a, "pool"),
        agent_id=text(a, "agent_id"),
        task_type=text(a, "task_type"),
        tier=Tier(text(a, "tier")),
        dispatched_at_ms=number(a, "dispatched_at_ms"),
        lease_until_ms=number(a, "lease_until_ms"),
        pushes=number(a, "pushes"),
        runner=text(a, "runner") if "runner" in a else None,
        started_at_ms=number(a, "started_at_ms") if "started_at_ms" in a else None,
        outcome=_outcome_decoder.decode(text(a, "outcome")) if "outcome" in a else None,
    )


def agent_of(item: Item) -> Agent:
    a = item.attributes
    return Agent(
        agent_id=text(a, "agent_id"),
        pool=text(a, "pool"),
        capabilities=frozenset(texts(a, "capabilities")),
        slots=number(a, "slots"),
        queue_url=text(a, "queue_url"),
        used=number(a, "used"),
        status=AgentStatus(text(a, "status")),
        revision=number(a, "revision"),
    )


def shape_of_item(item: Item) -> ShapeView:
    a = item.attributes
    return ShapeView(
        shape=item.key.sk.partition("#")[2],
        capabilities=tuple(texts(a, "capabilities")),
        lanes=number(a, "lanes"),
    )


def wake_of(item: Item) -> WakeView:
    return WakeView(generation=number(item.attributes, "generation"), due_ms=number(item.attributes, "due_ms"))


def error_attributes(error: ErrorDetail) -> dict[str, Scalar]:
    return {"error": to_json(error)}


def text(attributes: Attributes, name: str) -> str:
    value = attributes[name]
    return value if isinstance(value, str) else _mistyped(name, value)


def number(attributes: Attributes, name: str) -> int:
    value = attributes[name]
    return value if isinstance(value, int) else _mistyped(name, value)


def texts(attributes: Attributes, name: str) -> list[str]:
    value = attributes[name]
    return value if isinstance(value, list) else _mistyped(name, value)


def _mistyped(name: str, value: Scalar) -> NoReturn:
    raise TypeError(f"stored attribute {name!r} is of type {type(value).__name__}, which no version of the form has")
