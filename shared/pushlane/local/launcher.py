"""Start and stop the embedded AWS.

`embedded_aws` is for programs and tests: it ends with its block, or with the process. `start`, `status` and `stop` are
for `pushlane up` and `pushlane down`: the emulator outlives the command, and a state file says which process it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pushlane
from pushlane.local import emulator, ports
from pushlane.local.emulator import EmulatorSettings
from pushlane.local.endpoint import LocalAws
from pushlane.local.errors import EmulatorFailed, LocalAwsError
from pushlane.local.processes import KILL_WAIT_SECONDS, TERM_WAIT_SECONDS, end_group, process
from pushlane.local.state import Running, clear, read, write

DEFAULT_PORT = 4566
PORT_TRIES = 3


@contextmanager
def embedded_aws(
    *,
    port: int | None = None,
    settings: EmulatorSettings | None = None,
    log_path: Path | None = None,
) -> Iterator[LocalAws]:
    """A local AWS for the length of a block, on a free port of 127.0.0.1 unless one is given.

    It ends with the block, and also when this process is killed. Its data is in a temporary folder. Its log is at
    `log_path`, or else in the temporary folder and kept only when the block raises. Raises PortTaken or EmulatorFailed.
    """
    chosen = settings or EmulatorSettings()
    folder = Path(tempfile.mkdtemp(prefix="pushlane-aws-"))
    temporary_log = folder.with_suffix(".log")
    guard = _start_guard(folder)
    child: subprocess.Popen[bytes] | None = None
    try:
        child, at = _start_on_some_port(chosen, port, folder, log_path or temporary_log, guard)
        yield at
        temporary_log.unlink(missing_ok=True)
    finally:
        _end(guard, child)
        shutil.rmtree(folder, ignore_errors=True)


def _start_on_some_port(
    settings: EmulatorSettings, port: int | None, folder: Path, log_path: Path, guard: subprocess.Popen[bytes]
) -> tuple[subprocess.Popen[bytes], LocalAws]:
    """Start, again on another port when someone took the free one first."""
    for tries_left in reversed(range(PORT_TRIES)):
        at_port = port or ports.free_port()
        ports.require_free(at_port)
        child = emulator.spawn(settings, at_port, folder / "data", log_path)
        try:
            _tell(guard, child.pid)
            emulator.wait_until_healthy(child, at_port, log_path)
            _require_alive(guard)
        except EmulatorFailed:
            taken_meanwhile = port is None and child.poll() is not None and tries_left > 0
            _end_child(child)
            if not taken_meanwhile:
                raise
        except BaseException:
            _end_child(child)
            raise
        else:
            return child, _local_aws(at_port, settings.region, child.pid, log_path)
    raise AssertionError("the last try returns or raises")


def start(state_dir: Path, *, port: int = DEFAULT_PORT, settings: EmulatorSettings | None = None) -> LocalAws:
    """Start the local AWS and leave it running; its state, data and log go to `state_dir`.

    When one is already running from there, returns that one, whatever its port. Raises PortTaken or EmulatorFailed.
    """
    running = status(state_dir)
    if running is not None:
        return running
    stop(state_dir)
    ports.require_free(port)
    chosen = settings or EmulatorSettings()
    log_path = (state_dir / "ministack.log").absolute()
    child = emulator.spawn(chosen, port, (state_dir / "data").absolute(), log_path)
    try:
        write(state_dir, _running(child.pid, port, chosen.region, log_path))
        emulator.wait_until_healthy(child, port, log_path)
    except BaseException:
        _end_child(child)
        clear(state_dir)
        raise
    return _local_aws(port, chosen.region, child.pid, log_path)


def status(state_dir: Path) -> LocalAws | None:
    """The local AWS that `start` left running, or None when there is none or it does not answer."""
    running = read(state_dir)
    if running is None or not running.alive or not emulator.healthy(running.port):
        return None
    return _local_aws(running.port, running.region, running.pid, Path(running.log_path))


def stop(state_dir: Path) -> bool:
    """End the local AWS that `start` left running, with its Lambda workers and its data. True if there was one.

    Touches only a process that is provably the one that was started. The log stays.
    """
    running = read(state_dir)
    if running is None:
        return False
    # When another process has the pid now, the whole group is gone: a group keeps its number from being reused.
    ours = process(running.pid) is None or running.alive
    if ours and not end_group(running.pid):
        raise LocalAwsError(f"process group {running.pid} survived SIGKILL; end it by hand, then run this again")
    shutil.rmtree(state_dir / "data", ignore_errors=True)
    clear(state_dir)
    return True


def _running(pid: int, port: int, region: str, log_path: Path) -> Running:
    row = process(pid)
    return Running(
        pid=pid,
        process_started=row.started if row is not None else "",
        port=port,
        region=region,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        log_path=str(log_path),
    )


def _local_aws(port: int, region: str, pid: int, log_path: Path) -> LocalAws:
    return LocalAws(endpoint_url=f"http://{ports.HOST}:{port}", region=region, pid=pid, log_path=log_path)


def _start_guard(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pushlane.local.guard", str(folder)]
    # This process may have found the package through its own sys.path; the guard has to find it too.
    environment = {**os.environ, "PYTHONPATH": str(Path(pushlane.__file__).parent.parent)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    )


def _tell(guard: subprocess.Popen[bytes], group_id: int) -> None:
    if guard.stdin is None:
        raise AssertionError("the guard is started with a pipe")
    _require_alive(guard)
    guard.stdin.write(f"{group_id}\n".encode())
    guard.stdin.flush()


def _require_alive(guard: subprocess.Popen[bytes]) -> None:
    if guard.poll() is not None:
        raise LocalAwsError(
            f"the guard of the local AWS ended with status {guard.returncode}; "
            "see why with: python -c 'import pushlane.local.guard'"
        )


def _end(guard: subprocess.Popen[bytes], child: subprocess.Popen[bytes] | None) -> None:
    """End the emulator by letting its guard do its work; by hand when the guard itself is gone."""
    if guard.stdin is not None:
        guard.stdin.close()
    try:
        guard.wait(timeout=TERM_WAIT_SECONDS + KILL_WAIT_SECONDS + 5)
    finally:
        if child is not None:
            _end_child(child)


def _end_child(child: subprocess.Popen[bytes]) -> None:
    end_group(child.pid)
    child.wait()
