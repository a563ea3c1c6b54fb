"""Made-up runs of the demonstration: ledgers and what was observed."""

from pathlib import Path
from typing import Any

import msgspec

from pushlane.client import Submitted, TaskRecord
from pushlane.local.demo.account import Observed
from pushlane.local.demo.documents import Document, sections
from pushlane.local.demo.ledger import Ledger
from pushlane.local.demo.workload import Order, orders
from pushlane.model.attempt import ErrorDetail
from pushlane.model.task import Door, Status, Tier

SENT_MS = 1_000


def documents(count: int = 3) -> list[Document]:
    return [
        Document(
            name=f"docs/{n}.md",
            path=Path(f"/project/docs/{n}.md"),
            media_type="text/markdown",
            text=f"# Doc {n}\n\nText.\n",
        )
        for n in range(count)
    ]


def planned(count: int = 3) -> list[Order]:
    found = documents(count)
    return orders(found, sections(found), "run")


def sent(order: Order, door: Door) -> Submitted:
    return Submitted(
        task_id=order.task_id,
        tenant_id=order.data.tenant_id,
        door=door,
        idempotency_key=order.data.idempotency_key or "",
        returned_at_ms=SENT_MS,
    )


def ledger_of(plan: list[Order]) -> Ledger:
    return Ledger(
        orders={order.task_id: order for order in plan},
        submitted={order.task_id: sent(order, order.door) for order in plan},
        repeated={order.task_id: sent(order, order.again) for order in plan if order.again},
        refused={},
    )


def record(task_id: str, tenant_id: str, status: Status = Status.SUCCEEDED, **changes: Any) -> TaskRecord:
    made = TaskRecord(
        task_id=task_id,
        tenant_id=tenant_id,
        task_type="extract",
        status=status,
        epoch=1,
        tier=Tier.NORMAL,
        pool="default",
        door=Door.SQS,
        accepted_at_ms=SENT_MS + 10,
        dispatched_at_ms=SENT_MS + 20,
        started_at_ms=SENT_MS + 40,
        finished_at_ms=SENT_MS + 90,
        error=ErrorDetail(error_type="Permanent", message="as asked") if status is Status.FAILED else None,
    )
    return msgspec.structs.replace(made, **changes)


def observed_of(ledger: Ledger, **changes: Any) -> Observed:
    """Everything as it should be."""
    records = {}
    for task_id, order in ledger.orders.items():
        status = Status.FAILED if order.fails_because else Status.SUCCEEDED
        for one in (task_id, *order.chained_ids):
            records[one] = record(one, order.data.tenant_id, status)
    good = Observed(
        records=records,
        live_reservations=0,
        slots_in_use=0,
        dlq_depth=0,
        quarantine_depth=0,
        duplicate_effects=frozenset(),
        facts_missing=frozenset(),
    )
    return msgspec.structs.replace(good, **changes)
