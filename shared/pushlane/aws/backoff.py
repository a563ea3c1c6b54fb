"""Bounded repetition with full-jitter pauses (Brooker, "Exponential Backoff And Jitter")."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How often a call is sent, and how long to wait in between. `sleep` and `random` are replaced in tests."""

    sends_max: int = 4
    base_seconds: float = 0.05
    pause_seconds_max: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def sends(self) -> Iterator[int]:
        """0, 1, ... up to `sends_max`, with a pause before each but the first."""
        for number in range(self.sends_max):
            if number:
                ceiling = min(self.pause_seconds_max, self.base_seconds * 2 ** (number - 1))
                self.sleep(self.random() * ceiling)
            yield number


DEFAULT_BACKOFF: Final = Backoff()
