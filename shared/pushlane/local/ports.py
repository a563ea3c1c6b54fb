"""TCP ports of this machine: a free one, and who holds a taken one."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from pushlane.local.errors import PortTaken

HOST = "127.0.0.1"
_LISTEN = "0A"


def free_port() -> int:
    """A port that nobody held a moment ago. Another process may take it first: be ready to try again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int) -> None:
    """Raise PortTaken, naming the owner when the system tells, unless this port can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is only winding down does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(port, port_owner(port)) from error


def port_owner(port: int) -> str | None:
    """Who listens on the port, as `name (pid 123)`, or None when the system does not tell."""
    pid = _owner_by_proc(port) if Path("/proc/net/tcp").exists() else _owner_by_lsof(port)
    return f"{_command(pid)} (pid {pid})" if pid is not None else None


def _owner_by_proc(port: int) -> int | None:
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if str(descriptor.readlink()) in inodes:
                return int(descriptor.parts[2])
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # it ended meanwhile, or belongs to someone else
    return None


def _listening_inodes(port: int) -> list[str]:
    rows = [line.split() for name in ("tcp", "tcp6") for line in _lines(Path("/proc/net") / name)]
    return [row[9] for row in rows if row[3] == _LISTEN and int(row[1].rsplit(":", 1)[1], 16) == port]


def _lines(table: Path) -> list[str]:
    return table.read_text().splitlines()[1:] if table.exists() else []


def _owner_by_lsof(port: int) -> int | None:
    if shutil.which("lsof") is None:
        return None
    command = ["lsof", "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"]
    pids = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return int(pids[0]) if pids else None


def _command(pid: int) -> str:
    answer = Path(f"/proc/{pid}/cmdline")
    try:
        words = answer.read_bytes().decode(errors="replace").split("\0") if answer.exists() else []
    except OSError:
        words = []
    return " ".join(word for word in words if word)[:80] or "a process"
