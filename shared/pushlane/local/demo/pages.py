"""The last step: one page of all sections for each quiet tenant, written by the digest agent itself."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from pushlane.client import Client, TaskRecord
from pushlane.local.demo.documents import Document
from pushlane.local.demo.ledger import Ledger
from pushlane.local.demo.workload import Order, index_key
from pushlane.model.errors import PushlaneError
from pushlane.model.events import SubmitData
from pushlane.model.task import Door, Status

TITLE = "Digest of the documents"


class DigestIncomplete(PushlaneError):
    """The page lacks something that it must have."""


def page_order(client: Client, tenant_id: str, ledger: Ledger, records: dict[str, TaskRecord], run_id: str) -> Order:
    """The task that writes the tenant's page from the sections of its documents, in the order of submission."""
    ids = [order.chained_ids[-1] for order in _documents(tenant_id, ledger)]
    done = [records[i] for i in ids if i in records and records[i].status is Status.SUCCEEDED]
    sections = [client.result(record)["section"] for record in done]
    if not sections:
        raise DigestIncomplete(f"tenant {tenant_id}: no document came through; see the report's `failed_unexpectedly`")
    return Order(
        data=SubmitData(
            tenant_id=tenant_id,
            task_type="digest",
            payload={"title": TITLE, "sections": sections},
            idempotency_key=index_key(tenant_id, run_id),
        ),
        door=Door.SQS,
    )


def write_page(client: Client, record: TaskRecord, documents: Sequence[Document], path: Path) -> None:
    """Write the page, its links made to work from where it lies; raises `DigestIncomplete` if a document is missing."""
    markdown = str(client.result(record)["markdown"])
    missing = [one.name for one in documents if _link(_target(one.name)) not in markdown]
    if missing:
        raise DigestIncomplete(f"{len(missing)} documents are not in the digest: {', '.join(missing[:3])}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(relinked(markdown, documents, path.parent), encoding="utf-8")


def relinked(markdown: str, documents: Sequence[Document], folder: Path) -> str:
    """Links to documents by name become links to their files as seen from `folder`.

    Text of documents cannot look like such a link: the digest agent escapes its brackets.
    """
    for document in documents:
        name, seen = _target(document.name), _target(Path(os.path.relpath(document.path, folder)).as_posix())
        markdown = markdown.replace(_link(name), _link(seen)).replace(f"]({name}#L", f"]({seen}#L")
    return markdown


def _target(name: str) -> str:
    """A name as the digest agent writes it into a link."""
    return quote(name, safe="/~@")


def _link(target: str) -> str:
    return f"]({target})"


def _documents(tenant_id: str, ledger: Ledger) -> list[Order]:
    taken = [order for task_id, order in ledger.orders.items() if task_id in ledger.submitted]
    return [order for order in taken if order.data.tenant_id == tenant_id and order.chained_ids]
