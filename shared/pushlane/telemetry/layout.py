"""What the attributes of a measures item are called: short, because every write is billed by the item's size.

A count of a bucket is the code of its distribution and the bucket's number (`p231`: pickups in bucket 231).
"""

import re
from collections.abc import Mapping
from typing import Final

from pushlane.scheduling.decisions import ParkReason

# What went by with attempts that no agent started; the other reasons are those for which tasks park.
NOT_STARTED: Final = "not-started"
PARKED: Final = "parked."

_REASONS: Final[Mapping[str, str]] = {
    ParkReason.CAPACITY: "c",
    ParkReason.NO_AGENT: "n",
    ParkReason.RATE: "r",
    ParkReason.TENANT_QUOTA: "q",
    ParkReason.WINDOW: "w",
    ParkReason.FAIRNESS: "f",
    ParkReason.PRIORITY: "p",
    ParkReason.CLAIM: "l",
    ParkReason.CONTENTION: "t",
    NOT_STARTED: "s",
}

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "pickup": "p",
    "ingest": "i",
    "dispatch": "d",
    "run": "r",
    "unblock": "u",
    **{PARKED + str(reason): f"k{code}" for reason, code in _REASONS.items()},
}
COUNTS: Final[Mapping[str, str]] = {
    "started": "n_st",
    "succeeded": "n_ok",
    "failed": "n_fa",
    "expired": "n_ex",
    "cancelled": "n_ca",
    "dead_lettered": "n_dl",
    "retried": "n_re",
    "deadline_met": "n_dm",
    "deadline_missed": "n_dx",
}
SUMS: Final[Mapping[str, str]] = {"slot_ms": "s_ms", "tokens": "s_tk", "reserved_tokens": "s_rt"}

_NAMES: Final[Mapping[str, str]] = {code: name for name, code in DISTRIBUTIONS.items()}
_BUCKET: Final = re.compile(r"([a-z]+)(\d+)")


def bucket_attribute(distribution: str, bucket: int) -> str:
    return f"{DISTRIBUTIONS[distribution]}{bucket}"


def bucket_named(attribute: str) -> tuple[str, int] | None:
    """The distribution and bucket that an attribute counts; None when it is something else."""
    found = _BUCKET.fullmatch(attribute)
    name = _NAMES.get(found[1]) if found else None
    return None if found is None or name is None else (name, int(found[2]))
