"""Whose an item is: by its key, or by what Pushlane itself has written in it. Never by what a tenant has written.

Pure. What lies beside a task (its signals, its children's names) is the task's, and goes with it.
"""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.live import feed_log, is_feed
from pushlane.ports import Attributes, Item, Table

# Documents of our own that an item may hold; all others (results, checkpoints, payloads) say what tenants like.
_DOCUMENTS: Final = ("body", "entry", "schedule", "connected", "head", "workflow", "hook")
# The tenant is the last part of the partition's key, or what follows in the sort key.
_PK_LAST: Final = ("WORKFLOWS#", "TENANT#", "CALLBACK#", "SCHEDULES#", "Q#")
_SK_AFTER: Final = ("LANES#", "ACCOUNT#", "MEASURED#")
_LOGS: Final = ("SUB#", "WATCHED#", "SRC#")
_FOLLOWS: Final = "FOLLOWS#"


class _Principal(Struct, frozen=True):
    tenant_id: str | None = None


class _Document(Struct, frozen=True):
    tenant_id: str | None = None
    principal: _Principal = _Principal()


_decoder: Final = msgspec.json.Decoder(_Document)


def owner_of(item: Item) -> str | None:
    """The tenant whose the item is, as far as the item alone says."""
    by_key = _by_key(item)
    return by_key if by_key is not None else _by_document(item.attributes)


def subject_of(item: Item) -> str | None:
    """The task, workflow or log that an item is about which does not say whose it is."""
    pk, sk = item.key.pk, item.key.sk
    if item.key.table is Table.CONNECTIONS:
        return sk.removeprefix(_FOLLOWS) if sk.startswith(_FOLLOWS) else _log_of(pk)
    if item.key.table is not Table.SCHEDULER:
        return None
    if pk.startswith("DELAYED#"):
        return sk.split("#")[1]
    return sk if pk.startswith("MAILBOX#") else None


def _log_of(pk: str) -> str | None:
    return next((pk.removeprefix(prefix) for prefix in _LOGS if pk.startswith(prefix)), None)


def _by_key(item: Item) -> str | None:
    pk, sk = item.key.pk, item.key.sk
    if pk in ("TENANTS", "KEYS"):
        return sk.partition("#")[0]
    if pk.startswith(_PK_LAST):
        return pk.rpartition("#")[2]
    if pk.startswith(_SK_AFTER):
        return sk.partition("#")[2]
    log = _log_of(pk) or (sk.removeprefix(_FOLLOWS) if sk.startswith(_FOLLOWS) else pk)
    return log.removeprefix(feed_log("")) if is_feed(log) else None


def _by_document(attributes: Attributes) -> str | None:
    said = attributes.get("tenant_id")
    if isinstance(said, str):
        return said
    for name in _DOCUMENTS:
        document = attributes.get(name)
        if isinstance(document, str) and (found := _said(document)) is not None:
            return found
    return None


def _said(document: str) -> str | None:
    try:
        said = _decoder.decode(document)
    except msgspec.DecodeError:
        return None
    return said.tenant_id or said.principal.tenant_id
