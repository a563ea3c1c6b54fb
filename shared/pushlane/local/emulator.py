"""MiniStack as a child process: its environment, its start, and the wait until it answers."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pushlane.local.endpoint import LOCAL_REGION
from pushlane.local.errors import EmulatorFailed
from pushlane.local.logs import tail
from pushlane.local.ports import HOST

HEALTH_PATH = "/_ministack/health"
START_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class EmulatorSettings:
    """What of the emulator is ours to choose. `lambda_concurrency` bounds memory too: a warm worker is some 35 MB."""

    region: str = LOCAL_REGION
    lambda_concurrency: int = 64
    lambda_warm_seconds: int = 300
    # Each running Lambda holds a thread, so API calls need some beyond the concurrency.
    worker_threads: int = 128
    enforce_iam: bool = False
    log_level: str = "INFO"


def environment(settings: EmulatorSettings, port: int, data_path: Path) -> dict[str, str]:
    """The emulator's whole environment. Lambdas inherit it, so nothing of the user's own may be in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        # A folder of its own: the SDKs of Lambdas must not find the user's ~/.aws.
        "HOME": str(data_path),
        "TMPDIR": str(data_path / "tmp"),
        "LANG": "C.UTF-8",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": settings.region,
        "MINISTACK_WORKER_THREADS": str(settings.worker_threads),
        "LAMBDA_ACCOUNT_CONCURRENCY": str(settings.lambda_concurrency),
        "LAMBDA_WARM_TTL_SECONDS": str(settings.lambda_warm_seconds),
        "S3_DATA_DIR": str(data_path / "s3"),
        "STATE_DIR": str(data_path / "state"),
        # Restored state has dead stream mappings, so there is none: a deployment takes seconds.
        "PERSIST_STATE": "0",
        "AUTH": "true" if settings.enforce_iam else "false",
        "LOG_LEVEL": settings.log_level,
        # Both listen on every interface, and two emulators cannot share their fixed ports.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }


def spawn(settings: EmulatorSettings, port: int, data_path: Path, log_path: Path) -> subprocess.Popen[bytes]:
    """Start MiniStack as the leader of a process group (and session) of its own. It does not answer yet."""
    (data_path / "tmp").mkdir(parents=True, exist_ok=True)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=data_path,
            env=environment(settings, port, data_path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_healthy(child: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    """Return when the emulator answers. Raises EmulatorFailed when it ends, or after START_WAIT_SECONDS."""
    deadline = time.monotonic() + START_WAIT_SECONDS
    while not healthy(port):
        if child.poll() is not None:
            raise EmulatorFailed(f"ended at start with status {child.returncode}", log_path, tail(log_path))
        if time.monotonic() >= deadline:
            raise EmulatorFailed(f"did not answer within {START_WAIT_SECONDS:.0f} s", log_path, tail(log_path))
        time.sleep(_POLL_SECONDS)
    # Another server may have answered on a port that ours failed to get.
    if child.poll() is not None:
        raise EmulatorFailed(f"ended at start with status {child.returncode}", log_path, tail(log_path))


def healthy(port: int) -> bool:
    """Whether an emulator answers on this port."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", HEALTH_PATH)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
