"""The bench in sections: one that fails is reported, and the others go on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bench.report import Report
from bench.scale import Scale

# What begins later than that would not end within twenty minutes.
LATEST_SECONDS: Final = 18 * 60.0


class Run:
    """One run of the bench: its scale, its report so far, and whom to tell how far it is."""

    def __init__(self, scale: Scale, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self.scale = scale
        self.report = Report()
        self.seconds: dict[str, float] = {}
        self._say = say
        self._now = now
        self._began = now()

    def progress(self, line: str) -> None:
        """Tell it with the time since the run began."""
        spent = round(self._now() - self._began)
        self._say(f"[{spent // 60:2d}:{spent % 60:02d}] {line}")

    def do(self, name: str, work: Callable[[], object]) -> None:
        """One section; not begun when too little time is left for it."""
        if self._now() - self._began > LATEST_SECONDS:
            self.report.failed[name] = "not begun: the machine is too slow or too busy to get there in 18 minutes"
            self.progress(f"{name}: {self.report.failed[name]}")
            return
        with self.section(name):
            work()

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """What goes wrong in the block is in the report, and nowhere else."""
        self.progress(f"{name} ...")
        began = self._now()
        try:
            yield
        except Exception as error:  # whatever it is: the other sections' figures are worth having
            self.report.failed[name] = f"{type(error).__name__}: {error}"
            self.progress(f"{name}: FAILED: {self.report.failed[name]}")
        finally:
            self.seconds[name] = round(self._now() - began, 1)
