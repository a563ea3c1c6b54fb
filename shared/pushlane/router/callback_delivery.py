"""One completion callback: the fact, with the result resolved, signed and posted to where the task says."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.callback import Callback, signing_secrets
from pushlane.model.claim_check import as_claim_check
from pushlane.model.errors import PushlaneError
from pushlane.model.events import FactName
from pushlane.model.target_url import Answer
from pushlane.model.task import Task
from pushlane.model.webhook_signature import signature_headers
from pushlane.ports import Attributes
from pushlane.router.courier_ports import CourierPorts
from pushlane.state.items import task_of
from pushlane.state.keys import task_key

# A result by claim check is read for its receiver up to here; a larger one stays a reference.
RESULT_BYTES_MAX: Final = 256 * 1024


class Unreadable(PushlaneError):
    """A message of the courier's queues is not what lies there; it ends among the dead letters."""


class CallbackBody(Struct, frozen=True, kw_only=True):
    """What a receiver gets: the fact as on the bus, beside its name and its time as Standard Webhooks has them."""

    type: str
    timestamp: str
    metadata: dict[str, Any]
    data: dict[str, Any]


class _FactMetadata(Struct, frozen=True, kw_only=True):
    name: FactName
    fact_id: str
    occurred_at_ms: int


class _FactData(Struct, frozen=True, kw_only=True):
    task_id: str
    result: dict[str, Any] | None = None


class _TaskFact(Struct, frozen=True, kw_only=True):
    """As much of a fact as its callback needs; what a later version adds is told along."""

    metadata: _FactMetadata
    data: _FactData


class _Event(Struct, frozen=True, kw_only=True):
    """An EventBridge event: the fact is its detail."""

    detail: dict[str, Any]


def told_fact(body: str) -> dict[str, Any]:
    """The fact in a message of the callbacks queue; raises `Unreadable`."""
    try:
        fact = msgspec.json.decode(body, type=_Event).detail
        msgspec.convert(fact, _TaskFact)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Unreadable(f"no fact of a task: {error}") from error
    return fact


def deliver_callback(ports: CourierPorts, fact: dict[str, Any]) -> Answer | None:
    """Post the callback of a fact; None when there is nobody to tell any more.

    Raises `InvalidTarget`, `TargetUnreachable`, and `PushlaneError` when the tenant has no usable secret.
    """
    found = _asked_for(ports, fact["data"]["task_id"], fact["metadata"]["name"])
    if found is None:
        return None
    task, callback = found
    settings = ports.directory.of(task.tenant_id)
    if settings is None:
        raise PushlaneError(
            f"tenant {task.tenant_id} has no secret for callbacks; `pushlane callbacks rotate` makes one"
        )
    now_ms = ports.clock.now_ms()
    body = callback_body(ports, task, fact)
    secrets = signing_secrets(ports.keyring(), settings, now_ms)
    headers = signature_headers(secrets, fact["metadata"]["fact_id"], now_ms // 1_000, body)
    return ports.http.post(callback.url, {"content-type": "application/json", **headers}, body)


def callback_body(ports: CourierPorts, task: Task, fact: dict[str, Any]) -> bytes:
    """The same bytes for every try."""
    metadata, data = fact["metadata"], dict(fact["data"])
    if data.get("result") is not None:
        data["result"] = _resolved(ports, task, data["result"])
    at = datetime.fromtimestamp(metadata["occurred_at_ms"] / 1_000, UTC)
    told = CallbackBody(
        type=metadata["name"],
        timestamp=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        metadata=metadata,
        data=data,
    )
    return msgspec.json.encode(told)


def _asked_for(ports: CourierPorts, task_id: str, name: str) -> tuple[Task, Callback] | None:
    """The task and where it tells; the task may have been erased since, with everything that is its tenant's."""
    key = task_key(task_id)
    stored = ports.store.get([key]).get(key)
    task = None if stored is None else _task(stored.attributes)
    if task is None or task.callback is None or not task.callback.tells(name):
        ports.log("callback-of-nobody", task_id=task_id, fact=name)
        return None
    return task, task.callback


def _task(attributes: Attributes) -> Task | None:
    return task_of(attributes) if "body" in attributes else None


def _resolved(ports: CourierPorts, task: Task, result: dict[str, Any]) -> dict[str, Any]:
    """A claimed result's own JSON, if it is small enough, there and whole; else its reference."""
    claim = as_claim_check(result)
    if claim is None or claim.bytes > RESULT_BYTES_MAX:
        return result
    try:
        read = ports.blobs.get(claim.key)
    except KeyError:
        ports.log("result-not-there", task_id=task.task_id)
        return result
    if hashlib.sha256(read).hexdigest() != claim.sha256:
        ports.log("result-damaged", task_id=task.task_id)
        return result
    try:
        return msgspec.json.decode(read, type=dict[str, Any])
    except msgspec.DecodeError:
        ports.log("result-unreadable", task_id=task.task_id)
        return result
