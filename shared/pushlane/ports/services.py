"""Large values, time, and the service that fires schedules."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from pushlane.model.errors import PushlaneError


class BlobStore(Protocol):
    """Large values by key (claim checks)."""

    def put(self, key: str, body: bytes) -> None: ...

    def get(self, key: str) -> bytes:
        """The bytes; raises `KeyError` when there are none."""
        ...


class ErasableBlobs(Protocol):
    """The same values for whoever erases them."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key that begins so."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove the values; those that are not there are no error."""
        ...


class Clock(Protocol):
    """Now, in Unix milliseconds."""

    def now_ms(self) -> int: ...


class ScheduleEntry(Struct, frozen=True, kw_only=True):
    """One entry of the scheduling service: when to send `message`. Times are Unix milliseconds; `{time}` in the message
    stands for the time that the firing was due.
    """

    name: str
    expression: str
    timezone: str
    message: str
    enabled: bool = True
    window_minutes: int = 0
    starts_at_ms: int | None = None
    ends_at_ms: int | None = None


class ScheduleRefused(PushlaneError):
    """The scheduling service does not take an entry as it stands; what was there before stays."""


class Schedules(Protocol):
    """The scheduling service: sends each entry's message to the wake-ups queue, at least once each time it is due.

    Every call may be repeated, and raises `StoreUnavailable` when the service does not answer within its retries.
    """

    def put(self, entry: ScheduleEntry) -> None:
        """Create the entry, or replace the one of this name; raises `ScheduleRefused`."""
        ...

    def delete(self, name: str) -> None:
        """Remove the entry; one that is not there is no error."""
        ...

    def get(self, name: str) -> ScheduleEntry | None:
        """The entry as the service has it. One that has fired for the last time may be gone."""
        ...
