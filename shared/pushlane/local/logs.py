"""The end of a log file, for error messages."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 30
_TAIL_BYTES = 16_384


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file, empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(0, 2)
        log.seek(max(0, log.tell() - _TAIL_BYTES))
        text = log.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
