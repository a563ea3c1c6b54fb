"""Time as the store tells it, so that a lease does not depend on the clock of the machine that writes it.

A response's `Date` header has whole seconds: it says that the store's time was in [date, date + 1 s) somewhere between
sending and receiving. So it bounds the offset between the store and the monotonic clock; the bounds of several
responses are intersected, and the local wall clock, which has the milliseconds, is clamped into them. A right wall
clock is therefore left alone, and a wrong one is off by at most the width of the bounds (1 s and a round trip, less
with every response).
"""

import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DATE_RESOLUTION_MS: Final = 1_000
_SENT: Final = "pushlane_sent_ms"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class StoreClock:
    """The store's time, in Unix milliseconds. Until the first response it is the local clock's.

    From the first response on it never goes backwards; that response itself may set a wrong local clock back.
    """

    def __init__(self, wall: Callable[[], int] = wall_ms, monotonic: Callable[[], int] = monotonic_ms) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._bounds: tuple[int, int] | None = None
        self._latest = 0
        self._lock = threading.Lock()

    def listen(self, client: "DynamoDBClient") -> None:
        """Learn from every response of `client`, refusals included."""
        client.meta.events.register("before-call.dynamodb", self._before_call)
        client.meta.events.register("after-call.dynamodb", self._after_call)

    def now_ms(self) -> int:
        with self._lock:
            if self._bounds is None:
                return self._wall()
            elapsed = self._monotonic()
            lowest, highest = self._bounds
            estimate = min(max(self._wall(), elapsed + lowest), elapsed + highest)
            self._latest = max(self._latest, estimate)
            return self._latest

    def observe(self, date_ms: int, sent_ms: int, received_ms: int) -> None:
        """A response said `date_ms` (whole seconds) between two readings of the monotonic clock."""
        lowest, highest = date_ms - received_ms, date_ms + DATE_RESOLUTION_MS - 1 - sent_ms
        with self._lock:
            if self._bounds is not None:
                both = max(lowest, self._bounds[0]), min(highest, self._bounds[1])
                # No offset fits both: a clock drifted or stood still (a frozen sandbox). The newest word counts.
                lowest, highest = both if both[0] <= both[1] else (lowest, highest)
            self._bounds = lowest, highest

    def _before_call(self, context: dict[str, Any], **_: Any) -> None:
        context[_SENT] = self._monotonic()

    def _after_call(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is not None and _SENT in context:
            self.observe(_milliseconds(date), context[_SENT], self._monotonic())


def _milliseconds(date: str) -> int:
    return int(parsedate_to_datetime(date).timestamp()) * 1_000
