"""Third-party code for a bundle: installed once per set of pins and platform, pruned, and kept as one zip."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import uv

from pushlane.cdk.bundling.archive import Entry, write_archive
from pushlane.cdk.bundling.requirements import Pin
from pushlane.cdk.bundling.target import Target

_FORMAT: Final = "2"  # part of every cache key: raise it when what is pruned changes
_KEPT_METADATA: Final = frozenset({"METADATA", "entry_points.txt", "top_level.txt"})
_INSTALL_SECONDS_MAX: Final = 600


class VendorError(Exception):
    """The installer failed; the message ends with what it said."""


def vendored_archive(pins: tuple[Pin, ...], target: Target, aws_services: tuple[str, ...], cache: Path) -> Path:
    """A zip of the installed pins, with botocore's data cut down to `aws_services`. Made once per content of both."""
    installed = installed_pins(pins, target, cache)
    services = sha256("\n".join(sorted(aws_services)).encode()).hexdigest()[:8]
    archive = cache / f"{installed.name}-{services}.zip"
    if not archive.is_file():
        write_archive(archive, _entries(installed, frozenset(aws_services)))
    return archive


def installed_pins(pins: tuple[Pin, ...], target: Target, cache: Path) -> Path:
    """A folder with exactly these pins. It appears whole or not at all: an interrupted install leaves nothing."""
    lines = [pin.line() for pin in pins]
    digest = sha256("\n".join([_FORMAT, target.name, *lines]).encode()).hexdigest()[:20]
    folder = cache / digest
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".partial-") as partial:
        requirements, site = Path(partial, "requirements.txt"), Path(partial, "site")
        requirements.write_text("\n".join(lines) + "\n")
        site.mkdir()
        if pins:
            _install(requirements, site, target, hashed=all(pin.hashes for pin in pins))
        _publish(site, folder)
    return folder


def _publish(site: Path, folder: Path) -> None:
    try:
        site.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process made the same content first, which is as good
            raise


def _install(requirements: Path, site: Path, target: Target, *, hashed: bool) -> None:
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--no-config", "--only-binary", ":all:"]
    command += [*target.uv_arguments, *(["--require-hashes"] if hashed else [])]
    command += ["--link-mode", "copy", "--target", str(site), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False)
    if result.returncode != 0:
        shutil.rmtree(site, ignore_errors=True)
        raise VendorError(f"installing the bundle's packages for {target.name} failed: {result.stderr.strip()[-2000:]}")


def _entries(installed: Path, services: frozenset[str]) -> Iterable[Entry]:
    for path in sorted(installed.rglob("*")):
        relative = path.relative_to(installed)
        if path.is_file() and _is_kept(relative, services):
            yield Entry(relative.as_posix(), path)


def _is_kept(relative: Path, services: frozenset[str]) -> bool:
    parts = relative.parts
    if len(parts) == 1 and relative.name.startswith((".", "uv_")):
        return False
    if parts[0] == "bin" or "__pycache__" in parts or "tests" in parts[:-1] or relative.suffix in {".pyc", ".pyi"}:
        return False
    if parts[0].endswith(".dist-info"):
        return relative.name in _KEPT_METADATA or "licenses" in parts or relative.name.startswith(("LICENSE", "NOTICE"))
    return _is_kept_data(parts, services)


def _is_kept_data(parts: tuple[str, ...], services: frozenset[str]) -> bool:
    """boto3 and botocore describe every AWS service in `data/<service>/`; files right in `data/` are for all."""
    if len(parts) < 4 or parts[0] not in {"boto3", "botocore"} or parts[1] != "data":
        return True
    return parts[2] in services and not parts[-1].startswith("examples-")
