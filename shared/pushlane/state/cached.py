"""What is read from the config table is remembered for a second: so a revocation holds a second later, at most."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from pushlane.ports import Clock

CACHE_MS: Final = 1_000
# Whoever tries made-up ids fills no memory.
_ENTRIES_MAX: Final = 1_000

Found = TypeVar("Found")


class Cached(Generic[Found]):
    """Answers of `read` by id, each at most a second old; that there is none is an answer too."""

    def __init__(self, read: Callable[[str], Found], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._answers: dict[str, tuple[int, Found]] = {}

    def get(self, name: str) -> Found:
        """What `read` says of `name`, or said within the last second. Raises what `read` raises."""
        now_ms = self._clock.now_ms()
        known = self._answers.get(name)
        if known is not None and 0 <= now_ms - known[0] < CACHE_MS:
            return known[1]
        found = self._read(name)
        if len(self._answers) >= _ENTRIES_MAX:
            self._answers.clear()
        self._answers[name] = (now_ms, found)
        return found
