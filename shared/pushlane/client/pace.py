"""A capped rate, so that what is sent again does not become a second overload."""

import time
from collections.abc import Callable

from pushlane.model.errors import PushlaneError


class InvalidPace(PushlaneError):
    """A rate that nothing can be sent at."""


class Pace:
    """Lets at most `per_second` through, evenly. `monotonic` and `sleep` are replaced in tests."""

    def __init__(
        self,
        per_second: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not per_second > 0:
            raise InvalidPace(f"per second: {per_second:g}; say a number above 0, as 10")
        self.interval_seconds = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    def wait(self) -> None:
        """Return when the next one may go."""
        now = self._monotonic()
        if self._next > now:
            self._sleep(self._next - now)
        self._next = max(self._next, now) + self.interval_seconds
