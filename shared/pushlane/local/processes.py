"""Process groups: who is in one, which process a pid means, and how a whole group is ended.

Reads /proc where there is one and asks `ps` elsewhere (macOS).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TERM_WAIT_SECONDS = 1.0
KILL_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRow:
    """One line of the process table. `started` differs between two processes that had the same pid."""

    pid: int
    group_id: int
    state: str
    started: str

    @property
    def alive(self) -> bool:
        return not self.state.startswith("Z")


def process_table() -> Iterator[ProcessRow]:
    """Every process that this user can see, zombies included."""
    if (PROC / "self" / "stat").exists():
        for entry in PROC.iterdir():
            row = _proc_row(int(entry.name)) if entry.name.isdigit() else None
            if row is not None:
                yield row
    else:
        yield from _ps_rows(["-A"])


def process(pid: int) -> ProcessRow | None:
    """The live process with this pid, or None when there is none (a zombie is none)."""
    row = _proc_row(pid) if (PROC / "self" / "stat").exists() else next(_ps_rows(["-p", str(pid)]), None)
    return row if row is not None and row.alive else None


def group_members(group_id: int) -> list[int]:
    """The pids of the live processes of a group."""
    return [row.pid for row in process_table() if row.group_id == group_id and row.alive]


def end_group(group_id: int, term_wait_seconds: float = TERM_WAIT_SECONDS) -> bool:
    """Ask the group to end, then kill it. True when no member is left alive.

    Bounded: `term_wait_seconds` after SIGTERM, KILL_WAIT_SECONDS after SIGKILL.
    """
    for number, wait_seconds in ((signal.SIGTERM, term_wait_seconds), (signal.SIGKILL, KILL_WAIT_SECONDS)):
        if not group_members(group_id):
            return True
        try:
            os.killpg(group_id, number)
        except ProcessLookupError:
            return True
        if _gone_within(group_id, wait_seconds):
            return True
    return False


def _gone_within(group_id: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while group_members(group_id):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _proc_row(pid: int) -> ProcessRow | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The name in parentheses may hold spaces and parentheses; what follows the last one is plain (man 5 proc).
    fields = text[text.rindex(")") + 2 :].split()
    return ProcessRow(pid=pid, group_id=int(fields[2]), state=fields[0], started=fields[19])


def _ps_rows(selection: list[str]) -> Iterator[ProcessRow]:
    command = ["ps", *selection, "-o", "pid=,pgid=,state=,lstart="]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in answer.stdout.splitlines():
        pid, group_id, state, started = line.split(maxsplit=3)
        yield ProcessRow(pid=int(pid), group_id=int(group_id), state=state, started=started)
