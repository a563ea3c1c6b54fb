"""The account at the end: every submitted id against the tables, the queues and the facts."""

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from pushlane.client.records import TaskRecord
from pushlane.local.demo.ledger import Ledger
from pushlane.local.percentiles import Percentiles
from pushlane.model.task import FAILURES, Status

SUCCEEDED_SHARE_MIN: Final = 0.95
_SHOWN_MAX: Final = 3


class Observed(Struct, frozen=True, kw_only=True):
    """What the installation looks like when all is done."""

    records: Mapping[str, TaskRecord]
    live_reservations: int
    slots_in_use: int
    dlq_depth: int
    quarantine_depth: int
    duplicate_effects: frozenset[str]
    facts_missing: frozenset[str]


class OnPurpose(Struct, frozen=True, kw_only=True):
    """A task that was meant to fail, and how it did."""

    task_id: str
    because: str
    status: str
    error: str | None


class TenantRow(Struct, frozen=True, kw_only=True):
    """One line of the table: pickup and run time in milliseconds."""

    tenant_id: str
    tasks: int
    succeeded: int
    pickup: Percentiles
    run: Percentiles


def lost(ledger: Ledger, observed: Observed) -> frozenset[str]:
    """Submitted tasks without exactly one terminal record."""
    ended = {task_id for task_id, record in observed.records.items() if record.at_rest}
    return frozenset(ledger.submitted.keys()) - (ended - observed.duplicate_effects)


def failed_on_purpose(ledger: Ledger, observed: Observed) -> list[OnPurpose]:
    """The tasks that were meant to fail."""
    return [
        _on_purpose(task_id, order.fails_because, observed.records.get(task_id))
        for task_id, order in ledger.orders.items()
        if order.fails_because and task_id in ledger.submitted
    ]


def failed_unexpectedly(ledger: Ledger, observed: Observed) -> dict[str, str]:
    """Tasks that failed or were dead-lettered and were not meant to, with the reason."""
    meant = {task_id for task_id, order in ledger.orders.items() if order.fails_because}
    return {
        task_id: _error(record) or record.status.value
        for task_id, record in observed.records.items()
        if record.status in FAILURES and task_id not in meant
    }


def tenant_rows(ledger: Ledger, observed: Observed) -> list[TenantRow]:
    """Per tenant: its submitted tasks with their pickup, all its tasks (chained ones too) with their run time."""
    tenants = sorted({one.tenant_id for one in ledger.submitted.values()})
    return [_tenant_row(tenant_id, ledger, observed) for tenant_id in tenants]


def pickups_ms(ledger: Ledger, observed: Observed, tenant_id: str | None = None) -> list[float]:
    """Door returned -> attempt started, of every submitted task that started; below zero (it started before the batch
    request had returned) counts as zero.
    """
    return [
        max(0, record.started_at_ms - sent.returned_at_ms)
        for task_id, sent in ledger.submitted.items()
        if tenant_id in (None, sent.tenant_id)
        and (record := observed.records.get(task_id)) is not None
        and record.started_at_ms is not None
        and record.epoch == 1  # a retry's start says nothing about pickup
    ]


def succeeded(ledger: Ledger, observed: Observed) -> int:
    """How many of the submitted tasks succeeded."""
    return sum(observed.records[i].status is Status.SUCCEEDED for i in ledger.submitted if i in observed.records)


def unended(task_ids: Collection[str], observed: Observed) -> frozenset[str]:
    """Those of the tasks that have no terminal record."""
    return frozenset(i for i in task_ids if i not in observed.records or not observed.records[i].at_rest)


def problems(ledger: Ledger, observed: Observed) -> list[str]:
    """Every promise that this run broke; empty when it kept all."""
    return [*_task_problems(ledger, observed), *_installation_problems(observed)]


def _task_problems(ledger: Ledger, observed: Observed) -> list[str]:
    spared = [one.task_id for one in failed_on_purpose(ledger, observed) if one.status == Status.SUCCEEDED]
    named = [
        ("submissions were refused by their door", ledger.refused),
        ("submitted tasks have no single end", lost(ledger, observed)),
        ("chained tasks never ended", unended(ledger.chained_ids, observed)),
        ("tasks were meant to fail and succeeded", spared),
    ]
    found = [f"{len(ids)} {what}: {_some(ids)}" for what, ids in named if ids]
    if (count := succeeded(ledger, observed)) < SUCCEEDED_SHARE_MIN * len(ledger.submitted):
        found.append(f"only {count} of {len(ledger.submitted)} submitted tasks succeeded")
    return found + [f"door {door} took nothing" for door, count in ledger.doors.items() if not count]


def _installation_problems(observed: Observed) -> list[str]:
    named = [
        ("tasks took effect more than once", observed.duplicate_effects),
        ("ends of tasks were never published", observed.facts_missing),
    ]
    counts = [
        ("reservations are still live", observed.live_reservations),
        ("slots are still counted as used by agents", observed.slots_in_use),
        ("messages are in dead-letter queues", observed.dlq_depth),
        ("events are in quarantine", observed.quarantine_depth),
    ]
    found = [f"{len(ids)} {what}: {_some(ids)}" for what, ids in named if ids]
    return found + [f"{count} {what}" for what, count in counts if count]


def _on_purpose(task_id: str, because: str, record: TaskRecord | None) -> OnPurpose:
    status = record.status.value if record else "ABSENT"
    return OnPurpose(task_id=task_id, because=because, status=status, error=_error(record))


def _error(record: TaskRecord | None) -> str | None:
    return f"{record.error.error_type}: {record.error.message}" if record and record.error else None


def _tenant_row(tenant_id: str, ledger: Ledger, observed: Observed) -> TenantRow:
    records = [one for one in observed.records.values() if one.tenant_id == tenant_id]
    runs = [one.finished_at_ms - one.started_at_ms for one in records if one.started_at_ms and one.finished_at_ms]
    return TenantRow(
        tenant_id=tenant_id,
        tasks=len(records),
        succeeded=sum(one.status is Status.SUCCEEDED for one in records),
        pickup=Percentiles.of(pickups_ms(ledger, observed, tenant_id)),
        run=Percentiles.of(runs),
    )


def _some(task_ids: Collection[str]) -> str:
    shown = ", ".join(sorted(task_ids)[:_SHOWN_MAX])
    return f"{shown}, ..." if len(task_ids) > _SHOWN_MAX else shown
