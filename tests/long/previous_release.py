"""The release that an upgrade starts from: its source out of the history, and programs that run with its code."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

from pushlane.local.endpoint import LocalAws
from tests.e2e.conftest import ROOT

PRODUCER: Final = Path(__file__).with_name("previous_producer.py")
# Where no tag says what was released.
NAMED: Final = Path(__file__).with_name("previous_release.txt")
# Longer than a step of a deployment may take: that one says more when it fails.
_SECONDS: Final = 400.0


class NoHistory(Exception):
    """The checkout has not the commit; says how to get it."""


@dataclass(frozen=True)
class PreviousRelease:
    """The source of a release in a folder of its own, run by this interpreter with the packages that it has."""

    commit: str
    root: Path

    def ask(self, command: str, *arguments: str, aws: LocalAws) -> Any:
        """What a command of `previous_producer.py` prints, run with the release's code. Raises RuntimeError."""
        done = subprocess.run(
            self._line(command, *arguments),
            cwd=self.root,
            env=self._environment(aws),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command} of the previous release failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def running(self, command: str, *arguments: str, aws: LocalAws) -> Iterator["Running"]:
        """A command of it that runs beside the block, until it is told to end or the block is left."""
        child = subprocess.Popen(
            self._line(command, *arguments),
            cwd=self.root,
            env=self._environment(aws),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Running(child)
        finally:
            child.kill()
            child.wait()

    def _line(self, command: str, *arguments: str) -> list[str]:
        return [sys.executable, str(PRODUCER), command, *arguments]

    def _environment(self, aws: LocalAws) -> Mapping[str, str]:
        """Before anything that is installed come the release's own packages."""
        path = os.pathsep.join([str(self.root / "shared"), str(self.root)])
        return {**os.environ, **aws.environment, "PYTHONPATH": path}


class Running:
    """A command under way. It has printed its first line, so what follows happens while it works."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        assert child.stdout is not None
        assert child.stdout.readline(), "the producer of the previous release printed nothing"

    def told_to_end(self) -> Any:
        """What it prints once its input is at its end."""
        output, _ = self._child.communicate(timeout=_SECONDS)
        assert self._child.returncode == 0, "the producer of the previous release failed"
        return json.loads(output.splitlines()[-1])


def unpacked(folder: Path) -> PreviousRelease:
    """The previous release, out of the history of this checkout. Raises NoHistory."""
    commit = previous_commit()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise NoHistory(
            f"the commit {commit} of the previous release is not in this checkout: there is nothing to upgrade from. "
            "Fetch the history (git fetch --unshallow --tags) and run the test again"
        )
    with tarfile.open(fileobj=_bytes(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    # The command line of the CDK is no part of a release.
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    return PreviousRelease(commit=commit, root=folder)


def previous_commit() -> str:
    """The newest version tag before this commit; where there is none, what `previous_release.txt` names."""
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    return tag or NAMED.read_text().strip()


def is_shallow() -> bool:
    """The checkout was made without its history."""
    return _git("rev-parse", "--is-shallow-repository") == "true"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _bytes(content: bytes) -> IO[bytes]:
    return BytesIO(content)
