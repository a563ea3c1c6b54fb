"""A clock that stands still until it is told otherwise."""

import threading


class ManualClock:
    """`Clock` for tests and simulations, in Unix milliseconds."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, by_ms: int) -> None:
        """Let `by_ms` pass; raises `ValueError` for a negative time."""
        if by_ms < 0:
            raise ValueError(f"a clock does not go back ({by_ms} ms)")
        with self._lock:
            self._now_ms += by_ms
