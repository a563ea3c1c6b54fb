"""Tenants over their bound: their submissions step aside into the held queue before anything is written for them."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.events import HeldRecord
from pushlane.model.task import Tier
from pushlane.ports import Message, MessageSender
from pushlane.router.intake import Record

# SQS delays no message longer; who is over for longer is looked at again after it.
DELAY_SECONDS_MAX: Final = 900
REMEMBERED_MAX: Final = 10_000
# JSON of this size is held as it came. Only white space and escapes can make a valid submission larger.
_AS_IT_CAME_BYTES_MAX: Final = 512 * 1024


class HeldTenants:
    """Which tenants are over the bound of a pool, in which tier (None: in all), and until when. One process's memory,
    and only advice: a tenant that it does not know takes a turn, and the turn decides.
    """

    def __init__(self) -> None:
        self._until_ms: dict[tuple[str, str, Tier | None], int] = {}

    def note(self, pool: str, tenant_id: str, until_ms: int, tier: Tier | None = None) -> None:
        """The tenant is over its bound in this pool until `until_ms`. The latest word counts, an earlier time too."""
        where = (pool, tenant_id, tier)
        self._until_ms.pop(where, None)
        if len(self._until_ms) >= REMEMBERED_MAX:
            self._until_ms.pop(next(iter(self._until_ms)))  # the one noted longest ago
        self._until_ms[where] = until_ms

    def over(self, pool: str, tenant_id: str, now_ms: int, tier: Tier | None = None) -> int | None:
        """For how many seconds (1 to 900) to hold what the tenant submits now; None when it is not over its bound."""
        left_ms = max(self._left_ms((pool, tenant_id, one), now_ms) for one in {None, tier})
        return min(DELAY_SECONDS_MAX, -(-left_ms // 1_000)) if left_ms > 0 else None

    def _left_ms(self, where: tuple[str, str, Tier | None], now_ms: int) -> int:
        until_ms = self._until_ms.get(where, now_ms)
        if until_ms <= now_ms:
            self._until_ms.pop(where, None)
        return until_ms - now_ms


class Held(Struct, frozen=True, kw_only=True):
    """A record that has to wait before it is looked at again."""

    record: Record
    tenant_id: str
    delay_seconds: int


def hold(sender: MessageSender, queue_url: str, held: Sequence[Held]) -> list[str]:
    """Send valid submissions to the held queue, all at once; returns the item ids of those that it did not accept.

    They keep door and id, so what is delivered twice, on either way, is still one task.
    """
    if not held:
        return []
    refused = sender.send(queue_url, [_message(one) for one in held])
    return [held[index].record.item_id for index in refused]


def _message(held: Held) -> Message:
    source = held.record.source
    kept = HeldRecord(
        door=source.door,
        source_id=source.source_id,
        body=_raw(held.record.body),
        bound_tenant=held.record.bound_tenant,
        sent_at_ms=held.record.sent_at_ms,
    )
    body = msgspec.json.encode(kept).decode()
    return Message(body, delay_seconds=held.delay_seconds, group=held.tenant_id)


def _raw(body: bytes) -> msgspec.Raw:
    fits = len(body) <= _AS_IT_CAME_BYTES_MAX
    return msgspec.Raw(body if fits else msgspec.json.encode(msgspec.json.decode(body)))
