"""The state file of `pushlane up`: which process is the local AWS, and where it answers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pushlane.local.errors import StateUnreadable
from pushlane.local.processes import process

STATE_FILE = "local-aws.json"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A local AWS that was left running. `process_started` tells its process from a later one with the same pid."""

    pid: int
    process_started: str
    port: int
    region: str
    started_at: str
    log_path: str

    @property
    def alive(self) -> bool:
        """Whether the process that was started is still the one with this pid."""
        row = process(self.pid)
        return row is not None and row.started == self.process_started


def read(state_dir: Path) -> Running | None:
    """What `pushlane up` left running according to the file. Raises StateUnreadable."""
    path = state_dir / STATE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise StateUnreadable(path, str(error)) from error


def write(state_dir: Path, running: Running) -> None:
    """Replace the state file in one step, so that no reader sees half of it."""
    state_dir.mkdir(parents=True, exist_ok=True)
    draft = state_dir / f"{STATE_FILE}.{running.pid}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(running), indent=2) + b"\n")
    draft.replace(state_dir / STATE_FILE)


def clear(state_dir: Path) -> None:
    (state_dir / STATE_FILE).unlink(missing_ok=True)
