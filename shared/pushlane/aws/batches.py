"""Batch calls that accept some entries and not others: split by count and size, send the failed ones again."""

import logging
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from pushlane.aws.backoff import Backoff
from pushlane.aws.failures import SEND_ERRORS, Failure, error_code, failure_of

_logger = logging.getLogger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """What one call may carry."""

    entries: int
    size_bytes: int


class Unsent(Struct, frozen=True):
    """Entries that a call did not take: those worth sending again, and those that never will be taken."""

    again: list[int] = []
    never: list[int] = []


SendBatch = Callable[[list[int]], Unsent]


def chunks(indexes: Sequence[int], sizes: Sequence[int], limits: Limits) -> Iterator[list[int]]:
    """`indexes` in order, in as few calls as fit. `sizes` holds the bytes of every entry, by index."""
    batch: list[int] = []
    weight = 0
    for index in indexes:
        if batch and (len(batch) == limits.entries or weight + sizes[index] > limits.size_bytes):
            yield batch
            batch, weight = [], 0
        batch.append(index)
        weight += sizes[index]
    if batch:
        yield batch


def send_all(channel: str, sizes: Sequence[int], limits: Limits, send: SendBatch, backoff: Backoff) -> list[int]:
    """Send entries 0 to n-1 and return the indexes that were not taken. `channel` names the target in the log.

    An entry over the size limit is not sent: its call would be refused with everything in it.
    """
    never = [index for index, size in enumerate(sizes) if size > limits.size_bytes]
    if never:
        _logger.error("%d entries are over the size limit of %s", len(never), channel)
    pending = [index for index, size in enumerate(sizes) if size <= limits.size_bytes]
    for _ in backoff.sends():
        unsent = [_send_isolating(channel, batch, send) for batch in chunks(pending, sizes, limits)]
        never += [index for one in unsent for index in one.never]
        pending = [index for one in unsent for index in one.again]
        if not pending:
            break
    return sorted(never + pending)


def _send_isolating(channel: str, batch: list[int], send: SendBatch) -> Unsent:
    """A call refused as a whole is halved until the entry that it was refused for stands alone."""
    try:
        return send(batch)
    except SEND_ERRORS as error:
        if failure_of(error) is not Failure.REFUSED:
            return Unsent(again=batch)
        if len(batch) == 1:
            _logger.error("%s refused an entry: %s", channel, error_code(error))
            return Unsent(never=batch)
    middle = len(batch) // 2
    halves = [_send_isolating(channel, half, send) for half in (batch[:middle], batch[middle:])]
    return Unsent([i for half in halves for i in half.again], [i for half in halves for i in half.never])
