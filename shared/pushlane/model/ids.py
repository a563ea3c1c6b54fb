"""Identifiers: one strict ASCII pattern, and task ids derived so that a repeated submission names the same task."""

import hashlib
from typing import Annotated, Final

import msgspec

# `(?!\n)$` because Python's `$` also matches before a trailing newline; the pattern stays valid in JSON Schema (ECMA).
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?!\n)$"
KEY_PATTERN = r"^[\x21-\x7e]{1,128}(?!\n)$"

# Tenants hash into this many intake slots whatever is deployed; a deployment spreads the slots over its intake queues.
INTAKE_SLOTS: Final = 16

Identifier = Annotated[
    str, msgspec.Meta(pattern=ID_PATTERN, description="1-64 of A-Z a-z 0-9 . _ -, not leading . _ -")
]
IdempotencyKey = Annotated[str, msgspec.Meta(pattern=KEY_PATTERN, description="1-128 printable ASCII, no spaces")]


def digest(*parts: str) -> str:
    """Hash of a list of strings, 32 hex digits. Parts are length-prefixed, so no delimiter can forge another list."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        hasher.update(len(encoded).to_bytes(8, "big"))
        hasher.update(encoded)
    return hasher.hexdigest()


def keyed_task_id(tenant_id: str, idempotency_key: str) -> str:
    """The task id of a submission with an idempotency key: the same through every door."""
    return "t-" + digest("key", tenant_id, idempotency_key)


def unkeyed_task_id(tenant_id: str, door: str, source_id: str) -> str:
    """The task id of a submission without a key: the same for every redelivery of the one source record."""
    return "t-" + digest("source", tenant_id, door, source_id)


def stable_bucket(value: str, buckets: int) -> int:
    """A bucket in `range(buckets)` that never changes for a value (Python's own `hash` is salted per process)."""
    return int(digest(value)[:8], 16) % buckets


def intake_slot(tenant_id: str) -> int:
    """The tenant's intake slot: the same through every door, and however many intake queues are deployed."""
    return stable_bucket(tenant_id, INTAKE_SLOTS)


def intake_queue_of(slot: int, queues: int) -> int:
    """Which of `queues` intake queues serves a slot. By the remainder: when the number of queues doubles or halves,
    each queue's share only shrinks or only grows, so infrastructure that changes step by step leaves no slot unserved.
    """
    return slot % queues
