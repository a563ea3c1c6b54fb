"""Values <-> stored attributes. Attributes that conditions, indexes or filters use stand alone; the rest is JSON.

Every item carries `v`, the version of its form; a new version reads the old one.
"""

from typing import Any, Final, NoReturn

import msgspec

from pushlane.model.agent import Agent, AgentStatus
from pushlane.model.attempt import (
    Attempt,
    ErrorDetail,
    Order,
    Outcome,
    Reservation,
    Settled,
    Waited,
    outcome_digest,
)
from pushlane.model.endpoint import Endpoint, EndpointKind
from pushlane.model.mode import Route
from pushlane.model.pickup import Pickup
from pushlane.model.task import Door, Source, Status, Task, Tier
from pushlane.ports import Attributes, Item, Scalar
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.snapshot import (
    AccountView,
    LaneState,
    ResourceView,
    ShapeView,
    TenantView,
    TierView,
    WakeView,
)
from pushlane.state.keys import SHAPE_PREFIX, index_value, tenant_bucket

VERSION: Final = 1

_task_decoder = msgspec.json.Decoder(Task)
_entry_decoder = msgspec.json.Decoder(Entry)
_reservation_decoder = msgspec.json.Decoder(Reservation)
_settled_decoder = msgspec.json.Decoder(Settled)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_outcome_decoder = msgspec.json.Decoder(Outcome)
_pickup_decoder = msgspec.json.Decoder(Pickup)


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
    """The task as it was accepted; but in the pool that tries it now, and with the children that it has got."""
    task = _task_decoder.decode(text(attributes, "body"))
    pool = text(attributes, "pool") if "pool" in attributes else task.pool
    if pool == task.pool and "children" not in attributes:
        return task
    home = None if pool == task.home_pool else task.home_pool  # it may have come back to where it came from
    return msgspec.structs.replace(task, pool=pool, home_pool=home, children="children" in attributes)


def source_of(attributes: Attributes) -> Source:
    return Source(door=Door(text(attributes, "door")), source_id=text(attributes, "source_id"))


def status_of(attributes: Attributes) -> Status:
    return Status(text(attributes, "status"))


def entry_attributes(entry: Entry) -> dict[str, Scalar]:
    return {"v": VERSION, "entry": to_json(entry)}


def entry_of_item(item: Item) -> Entry:
    entry = _entry_decoder.decode(text(item.attributes, "entry"))
    if "victim" in item.attributes:
        return msgspec.structs.replace(entry, victim=text(item.attributes, "victim"))
    return entry


def new_attempt_attributes(attempt: Attempt) -> dict[str, Scalar]:
    """The attempt as the reservation creates it; start, check-in and finish add to it."""
    more: dict[str, Scalar] = {} if attempt.ends_at_ms is None else {"ends_at_ms": attempt.ends_at_ms}
    if attempt.pickup is not None:
        more["pickup"] = to_json(attempt.pickup)
    return more | {
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
        "reservation": to_json(attempt.reservation),
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
        reservation=_reservation_decoder.decode(text(a, "reservation")),
        pushes=number(a, "pushes"),
        runner=text(a, "runner") if "runner" in a else None,
        started_at_ms=optional_number(a, "started_at_ms"),
        outcome=_outcome_decoder.decode(text(a, "outcome")) if "outcome" in a else None,
        order=Order(text(a, "order")) if "order" in a else None,
        order_for=text(a, "order_for") if "order_for" in a else None,
        ends_at_ms=optional_number(a, "ends_at_ms"),
        progress_at_ms=optional_number(a, "progress_at_ms"),
        checkpoint_json=text(a, "checkpoint") if "checkpoint" in a else None,
        children=tuple(texts(a, "children")) if "children" in a else (),
        stall_ms=optional_number(a, "stall_ms"),
        waited=waited_of(a),
        waits=_count(a, "waits"),
        waiting=bool(a.get("waiting", False)),
        pickup=pickup_of(a),
    )


def pickup_of(a: Attributes) -> Pickup | None:
    """What an attempt's start is measured by, if it is its task's first."""
    return _pickup_decoder.decode(text(a, "pickup")) if "pickup" in a else None


def waited_of(a: Attributes) -> Waited:
    """What its waits have made of an attempt's reservation."""
    if "gave_back" not in a:
        return Waited()
    settled = _settled_decoder.decode(text(a, "settled")) if "settled" in a else Settled()
    return Waited(gave_back=number(a, "gave_back"), granted=_count(a, "granted"), settled=settled)


def checkpoint_of(a: Attributes) -> dict[str, Any] | None:
    """Where the task, or the attempt, goes on: a JSON object, or the claim check of a large one."""
    return _object_decoder.decode(text(a, "checkpoint")) if "checkpoint" in a else None


def optional_number(a: Attributes, name: str) -> int | None:
    return number(a, name) if name in a else None


def agent_of(item: Item) -> Agent:
    a = item.attributes
    return Agent(
        agent_id=text(a, "agent_id"),
        pool=text(a, "pool"),
        capabilities=frozenset(texts(a, "capabilities")),
        slots=number(a, "slots"),
        endpoint=endpoint_of(a),
        used=number(a, "used"),
        status=AgentStatus(text(a, "status")),
        revision=number(a, "revision"),
        heartbeat_ms=optional_number(a, "heartbeat_ms"),
        heartbeat_at_ms=optional_number(a, "heartbeat_at_ms"),
        unstarted=_count(a, "unstarted"),
        cools_until_ms=optional_number(a, "cools_until_ms"),
    )


def endpoint_of(a: Attributes) -> Endpoint:
    """Where the agent is pushed to; an entry from before there were kinds has a queue."""
    if "endpoint_kind" not in a:
        return Endpoint(kind=EndpointKind.SQS, target=text(a, "queue_url"))
    return Endpoint(kind=EndpointKind(text(a, "endpoint_kind")), target=text(a, "endpoint_target"))


def endpoint_attributes(endpoint: Endpoint) -> dict[str, Scalar]:
    return {"endpoint_kind": endpoint.kind.value, "endpoint_target": endpoint.target}


def shape_of_item(item: Item) -> ShapeView:
    a = item.attributes
    return ShapeView(
        shape=item.key.sk.removeprefix(SHAPE_PREFIX),
        capabilities=tuple(texts(a, "capabilities")),
        resources=tuple(texts(a, "resources")),
        lanes={tier: count for tier in Tier if (count := _count(a, lanes_attribute(tier))) > 0},
        route=Route(text(a, "route")) if "route" in a else None,
    )


def lanes_attribute(tier: Tier) -> str:
    """Where a shape's item counts its non-empty lanes of a tier."""
    return f"lanes_{tier.value}"


def lane_state_of(a: Attributes) -> LaneState:
    """A lane's own item. It is listed in the index by turn, in the one of late work, or in both."""
    return LaneState(
        depth=_count(a, "depth"),
        undated=_count(a, "undated"),
        turn_tag_ms=_indexed(a, "turn_key"),
        urgent_ms=_indexed(a, "urgent_key"),
        late_tag_ms=_indexed(a, "late_key"),
        pressed=_count(a, "pressed") > 0,
        revision=_count(a, "revision"),
    )


def tier_of_item(a: Attributes) -> TierView:
    return TierView(**{name: _count(a, name) for name in TierView.__struct_fields__})


def account_of(a: Attributes) -> AccountView:
    return AccountView(**{name: _count(a, name) for name in AccountView.__struct_fields__})


def tenant_of(a: Attributes) -> TenantView:
    return TenantView(**{name: _count(a, name) for name in TenantView.__struct_fields__})


def resource_of(name: str, shard: int, a: Attributes) -> ResourceView:
    return ResourceView(
        name=name,
        shard=shard,
        tat_us=_count(a, "tat_us"),
        used=_count(a, "used"),
        paused_until_ms=_count(a, "paused_until_ms"),
    )


def _count(attributes: Attributes, name: str) -> int:
    return number(attributes, name) if name in attributes else 0


def _indexed(attributes: Attributes, name: str) -> int | None:
    return index_value(text(attributes, name)) if name in attributes else None


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
