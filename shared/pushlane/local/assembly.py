"""The cloud assembly of a CDK app, synthesised only when something that it is made of has changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

_KEPT: Final = 4
_CONFIGURATION: Final = ("cdk.json", "requirements.lock", "pyproject.toml")
_NOT_SOURCE: Final = frozenset({"build", "cdk.out", "dist", "node_modules", "tests", "docs", "__pycache__"})


def assembly_digest(root: Path, context: Mapping[str, object]) -> str:
    """Fingerprint of all that an assembly depends on: the app's Python files and pins, its context, this Python."""
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update(json.dumps([sys.version, sys.platform, dict(context)], sort_keys=True).encode())
    for file in sorted(_inputs(root)):
        hasher.update(f"\0{file.relative_to(root)}\0".encode())
        hasher.update(hashlib.blake2b(file.read_bytes()).digest())
    return hasher.hexdigest()


def cached_assembly(root: Path, context: Mapping[str, object], synthesise: Callable[[Path], None]) -> Path:
    """The folder of the assembly; `synthesise` writes it into a given folder if it is not there yet.

    An interrupted synthesis leaves nothing behind that would be taken for a whole one.
    """
    folder = root / "build" / "assemblies"
    assembly = folder / assembly_digest(root, context)
    if not assembly.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder, prefix=".partial-"))
        try:
            synthesise(partial)
            _publish(partial, assembly)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _forget_old_ones(folder)
    return assembly


def _publish(partial: Path, assembly: Path) -> None:
    try:
        partial.replace(assembly)
    except OSError:
        if not assembly.is_dir():  # else another process made the same one first, which is as good
            raise


def _inputs(root: Path) -> Iterator[Path]:
    yield from (root / name for name in _CONFIGURATION if (root / name).is_file())
    yield from root.glob("*.py")
    for folder in root.iterdir():
        if folder.is_dir() and folder.name not in _NOT_SOURCE and not folder.name.startswith("."):
            yield from (file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)


def _forget_old_ones(folder: Path) -> None:
    whole = sorted(
        (one for one in folder.iterdir() if not one.name.startswith(".")), key=lambda one: one.stat().st_mtime
    )
    for old in whole[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
