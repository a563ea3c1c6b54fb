"""What a person sees while the demonstration runs: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

PLAIN_EVERY_SECONDS: Final = 3.0

Counts = Mapping[str, Mapping[str, int]]


class Show(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """One line: what happens now."""
        ...

    def progress(self, counts: Counts) -> None:
        """Tasks of each tenant by status, as often as there is news."""
        ...

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A final table."""
        ...


@contextmanager
def show_on_console(*, errors: bool = False) -> Iterator[Show]:
    """The right way to show for where the output goes; `errors` sends it to standard error."""
    console = Console(stderr=errors)
    if not console.is_terminal:
        yield PlainShow(console)
        return
    with TerminalShow(console) as show:
        yield show


class TerminalShow:
    """Redraws one table in place. A context manager: the cursor comes back however the block ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "TerminalShow":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def progress(self, counts: Counts) -> None:
        self._live.update(_progress_table(counts))

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._live.update("")
        self._console.print(_table(title, headings, rows))


class PlainShow:
    """One line of text at a time, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown_at = 0.0

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def progress(self, counts: Counts) -> None:
        now = time.monotonic()
        if now - self._shown_at >= PLAIN_EVERY_SECONDS:
            self._shown_at = now
            self.say("  " + "; ".join(f"{tenant}: {_line(by_status)}" for tenant, by_status in sorted(counts.items())))

    def table(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self._console.print(_table(title, headings, rows))


def _line(by_status: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status.lower()}" for status, count in sorted(by_status.items()))


def _progress_table(counts: Counts) -> Table:
    statuses = sorted({status for by_status in counts.values() for status in by_status})
    rows = [[tenant, *(str(counts[tenant].get(status, 0)) for status in statuses)] for tenant in sorted(counts)]
    return _table("", ["tenant", *(status.lower() for status in statuses)], rows)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    drawn = Table(title=title or None)
    for place, heading in enumerate(headings):
        drawn.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    return drawn
