"""A changed copy of the package for a process to import."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct


class DoesNotApply(Exception):
    """The text that a defect replaces is not there exactly once: the code has moved on, and the defect with it."""


class Edit(Struct, frozen=True):
    """In one file below `pushlane`, `old`, which stands there once, becomes `new`."""

    file: str
    old: str
    new: str


class Defect(Struct, frozen=True, kw_only=True):
    """One defect: one edit, and `also` what has to go with it where two places guard the same."""

    name: str
    file: str
    old: str
    new: str
    also: tuple[Edit, ...] = ()

    @property
    def edits(self) -> tuple[Edit, ...]:
        return (Edit(self.file, self.old, self.new), *self.also)


def apply(defect: Defect, package: Path) -> None:
    """Change the files of a package; raises `DoesNotApply`."""
    for edit in defect.edits:
        path = package / edit.file
        source = path.read_text()
        times = source.count(edit.old)
        if times != 1:
            raise DoesNotApply(f"{defect.name}: what it replaces in {edit.file} is there {times} times, not once")
        path.write_text(source.replace(edit.old, edit.new))
        compile(path.read_text(), str(path), "exec")


@contextmanager
def sabotaged(defect: Defect, shared: Path) -> Iterator[Path]:
    """A folder to import the changed package from, while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        copy = Path(folder)
        # With the bytecode of what stays as it is: to compile all anew takes longer than the world that is run.
        shutil.copytree(shared / "pushlane", copy / "pushlane")
        apply(defect, copy / "pushlane")
        yield copy
