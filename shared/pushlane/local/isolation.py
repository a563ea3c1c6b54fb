"""How little a tenant's burst may cost the others: quiet tenants' pickup beside a burst, and beside as many extra tasks
that come evenly from twenty tenants.

Quiet tenants send a task at a steady pace while the extra tasks drain. Emulated: only the ratios mean something.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from msgspec import Struct

from pushlane.client import Client, Submitted
from pushlane.local.percentiles import Percentiles
from pushlane.local.pickup import ran_at_ms
from pushlane.model.ids import intake_queue_of, intake_slot
from pushlane.model.task import Door

BURSTING: Final = "noisy"
EVENLY: Final = tuple(f"even-{number:02d}" for number in range(20))
# By their ids half of them share the bursting tenant's intake queue, where there are two.
QUIET: Final = ("quiet-0", "quiet-1", "quiet-7", "quiet-2", "quiet-8", "quiet-3", "quiet-16", "quiet-4")
_PACE_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 1.0
_BATCH: Final = 100
DRAIN_TIMEOUT_SECONDS: Final = 600.0


class Isolation(Struct, frozen=True, kw_only=True):
    """Quiet tenants' pickup in milliseconds: those whose intake queue the burst fills, and those on another."""

    extra: int
    drained_seconds: float
    same_queue: Percentiles
    other_queue: Percentiles


class NotDrained(RuntimeError):
    """The extra tasks did not end in time: something is broken or badly overloaded."""


def tenants() -> tuple[str, ...]:
    """Everyone who submits in a measurement; they have to be registered."""
    return (BURSTING, *EVENLY, *QUIET)


def measure(client: Client, *, extra: int, bursting: Sequence[str], intake_queues: int) -> Isolation:
    """Submit `extra` tasks at once, evenly from the `bursting` tenants, and the quiet tenants' beside them."""
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        burst = pool.submit(_burst, client, extra, bursting)
        quiet = _trickle(client, lambda: burst.done() and _ended(client, burst.result()), began)
        ids = burst.result()
    drained = time.monotonic() - began
    if not _ended(client, ids):
        raise NotDrained(f"{extra} extra tasks did not end within {DRAIN_TIMEOUT_SECONDS:g} s")
    pickups = _pickups(client, quiet)
    crowded = intake_queue_of(intake_slot(BURSTING), intake_queues)
    same = [ms for tenant, ms in pickups if intake_queue_of(intake_slot(tenant), intake_queues) == crowded]
    other = [ms for tenant, ms in pickups if intake_queue_of(intake_slot(tenant), intake_queues) != crowded]
    return Isolation(
        extra=extra,
        drained_seconds=round(drained, 1),
        same_queue=Percentiles.of(same),
        other_queue=Percentiles.of(other),
    )


def _order(tenant_id: str) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "task_type": "chaos", "payload": {"do": "echo"}}


def _burst(client: Client, extra: int, tenant_ids: Sequence[str]) -> list[str]:
    orders = [_order(tenant_ids[number % len(tenant_ids)]) for number in range(extra)]
    ids: list[str] = []
    for start in range(0, extra, _BATCH):
        batch = client.submit_many(orders[start : start + _BATCH], door=Door.SQS)
        ids += [one.task_id for one in batch.accepted]
    return ids


def _trickle(client: Client, drained: Callable[[], bool], began: float) -> list[tuple[str, Submitted]]:
    """One task after another, tenant by tenant, until the extra ones have ended."""
    sent: list[tuple[str, Submitted]] = []
    looked = began
    while time.monotonic() - began < DRAIN_TIMEOUT_SECONDS:
        tenant_id = QUIET[len(sent) % len(QUIET)]
        sent.append((tenant_id, client.submit(_order(tenant_id), door=Door.SQS)))
        time.sleep(_PACE_SECONDS)
        if time.monotonic() - looked > _LOOK_SECONDS:
            looked = time.monotonic()
            if drained():
                break
    return sent


def _ended(client: Client, task_ids: Sequence[str]) -> bool:
    """The last submitted are looked at first: they tell soonest that there is more to come."""
    for start in range(len(task_ids), 0, -_BATCH):
        ids = task_ids[max(0, start - _BATCH) : start]
        records = client.tasks(ids)
        if len(records) < len(ids) or not all(record.at_rest for record in records.values()):
            return False
    return True


def _pickups(client: Client, sent: Sequence[tuple[str, Submitted]]) -> list[tuple[str, float]]:
    records = client.wait([one.task_id for _, one in sent], timeout_seconds=60)
    return [
        (tenant_id, max(0, ran_at_ms(client, records[one.task_id])[0] - one.returned_at_ms)) for tenant_id, one in sent
    ]
