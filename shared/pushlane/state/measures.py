"""How measures lie in the measures table.

A tenant's partition has one item for each tier and slice of time; an item stays small, because every write of it is
billed by its size. Which tenants were measured on a day is an item of that day. A pool's samples are one item each.
"""

from base64 import urlsafe_b64encode
from typing import Final

from pushlane.model.ids import digest
from pushlane.ports import Attributes, Item, Key, Put, Scalar, Table, Update
from pushlane.state.items import VERSION, texts

# The facts of so long lie in one item.
SLICE_MS: Final = 5_000
MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
RETENTION_DAYS: Final = 14

# What was counted, each an attribute of its own: so "not yet" is a condition, and takes no more room than a set.
_MARK: Final = "~"
_MARK_BYTES: Final = 6
_SAMPLES: Final = "SAMPLES#"
_TENANT: Final = "TENANT#"


def slice_of(at_ms: int) -> int:
    """The slice of a time: when it began."""
    return at_ms // SLICE_MS * SLICE_MS


def tenant_pk(tenant_id: str) -> str:
    return _TENANT + tenant_id


def slice_key(tenant_id: str, tier: str, slice_ms: int) -> Key:
    return Key(Table.MEASURES, tenant_pk(tenant_id), f"{slice_start(slice_ms)}#{tier}")


def slice_start(slice_ms: int) -> str:
    """Where in a tenant's partition the items from this time on begin."""
    return f"{max(0, slice_ms):013d}"


def slice_and_tier(key: Key) -> tuple[int, str]:
    at, _, tier = key.sk.partition("#")
    return int(at), tier


def day_pk(at_ms: int) -> str:
    return f"MEASURED#{at_ms // DAY_MS}"


def tenant_of_day(key: Key) -> str:
    return key.sk.removeprefix(_TENANT)


def measured(tenant_id: str, at_ms: int) -> Update:
    """The tenant has measures of the day. Repeating it changes nothing."""
    ends_at_ms = (at_ms // DAY_MS + 1) * DAY_MS
    said: dict[str, Scalar] = {"v": VERSION, "expires_at_s": expiry(ends_at_ms)}
    return Update(Key(Table.MEASURES, day_pk(at_ms), tenant_pk(tenant_id)), set=said)


def expiry(at_ms: int) -> int:
    return (at_ms + RETENTION_DAYS * DAY_MS) // 1_000


def mark_of(*fact: str) -> str:
    """The attribute that says that a fact was counted: 48 bits, among those of a few seconds of one tenant and tier."""
    return _MARK + urlsafe_b64encode(bytes.fromhex(digest(*fact))[:_MARK_BYTES]).decode()


def is_mark(attribute: str) -> bool:
    return attribute.startswith(_MARK)


def samples_pk(pool: str) -> str:
    return _SAMPLES + pool


def sample_key(pool: str, at_ms: int) -> Key:
    """One sample of a pool a minute: a second one takes the place of the first."""
    return Key(Table.MEASURES, samples_pk(pool), slice_start(at_ms // MINUTE_MS * MINUTE_MS))


def lane_line(tier: str, tenant_id: str, waiting: int, oldest_wait_ms: int) -> str:
    """A lane in a sample; no id has a `#` in it."""
    return f"{tier}#{tenant_id}#{waiting}#{oldest_wait_ms}"


def sample_without(item: Item, tenant_id: str) -> Put | None:
    """A pool's sample without the lanes of a tenant that is erased; None when it has none, or is no sample."""
    if item.key.table is not Table.MEASURES or not item.key.pk.startswith(_SAMPLES):
        return None
    lanes = texts(item.attributes, "lanes")
    kept = [line for line in lanes if line.split("#")[1] != tenant_id]
    attributes: Attributes = {**item.attributes, "lanes": kept}
    return Put(item.key, attributes) if len(kept) < len(lanes) else None
