"""Deliver a list of events through a door: batched, failed entries sent again, every entry accounted for."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from pushlane.aws.backoff import Backoff
from pushlane.aws.batches import chunks
from pushlane.aws.failures import SEND_ERRORS, error_code
from pushlane.client.doors import DoorSender, Miss, Record

ENTRY_OVERHEAD_BYTES = 256


class Delivery(Struct, frozen=True, kw_only=True):
    """What became of each record, by index: when the door's success came back (Unix ms), or why it was not taken."""

    returned_at_ms: dict[int, int]
    refused: dict[int, str]


def deliver(door: DoorSender, records: Sequence[Record], *, now_ms: Callable[[], int], backoff: Backoff) -> Delivery:
    """Send all records, each a bounded number of times, and say of each what became of it. A failed request counts as
    a refusal of what it carried; nothing is raised.
    """
    returned: dict[int, int] = {}
    refused: dict[int, str] = {}
    waiting = list(records)
    for _ in backoff.sends():
        misses = _round(door, waiting, returned, now_ms)
        refused |= {miss.index: miss.reason for miss in misses.values()}
        waiting = [record for record in waiting if record.index in misses and misses[record.index].again]
        if not waiting:
            break
    left = {index: reason for index, reason in refused.items() if index not in returned}
    return Delivery(returned_at_ms=returned, refused=left)


def _round(
    door: DoorSender, records: Sequence[Record], returned: dict[int, int], now_ms: Callable[[], int]
) -> dict[int, Miss]:
    """Send everything once; fills `returned`, gives back the misses."""
    by_route: dict[str, list[Record]] = {}
    for record in records:
        by_route.setdefault(door.route(record), []).append(record)
    missed: dict[int, Miss] = {}
    for route, routed in by_route.items():
        sizes = [len(record.body.encode()) + ENTRY_OVERHEAD_BYTES for record in routed]
        for places in chunks(range(len(routed)), sizes, door.limits):
            batch = [routed[place] for place in places]
            misses = {miss.index: miss for miss in _request(door, route, batch)}
            missed |= misses
            at_ms = now_ms()
            returned.update({record.index: at_ms for record in batch if record.index not in misses})
    return missed


def _request(door: DoorSender, route: str, batch: Sequence[Record]) -> list[Miss]:
    try:
        return door.send(route, batch)
    except SEND_ERRORS as error:
        # boto3 has used up its own retries. The outcome may be unknown, so the caller repeats under the same key.
        reason = f"{error_code(error)}: {error}"
        return [Miss(index=record.index, reason=reason, again=False) for record in batch]
