"""Deterministic zips: the same entries give the same bytes, whenever and wherever they are written."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_READABLE: Final = 0o100644
_EXECUTABLE: Final = 0o100755


@dataclass(frozen=True, order=True)
class Entry:
    """One file of an archive: the name it gets and the file it is read from."""

    name: str
    source: Path


def write_archive(archive: Path, entries: Iterable[Entry], base: Path | None = None) -> None:
    """Write `entries` on top of the archive `base`. The file appears whole or not at all."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=archive.parent, prefix=".partial-")
    os.close(handle)
    partial = Path(name)
    try:
        if base is not None:
            shutil.copyfile(base, partial)
        with zipfile.ZipFile(partial, "a" if base else "w", zipfile.ZIP_DEFLATED) as opened:
            for entry in entries:
                opened.writestr(_header(entry), entry.source.read_bytes())
        partial.chmod(0o644)  # a temporary file is its owner's alone; a cache may be shared
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)


def _header(entry: Entry) -> zipfile.ZipInfo:
    header = zipfile.ZipInfo(entry.name, _EPOCH)
    header.create_system = _UNIX
    header.compress_type = zipfile.ZIP_DEFLATED
    header.external_attr = (_EXECUTABLE if os.access(entry.source, os.X_OK) else _READABLE) << 16
    return header
