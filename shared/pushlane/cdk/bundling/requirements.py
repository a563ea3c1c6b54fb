"""Exact pins of what a closure needs: its distributions, their requirements on the target, the lock's versions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pushlane.cdk.bundling.closure import installed_packages
from pushlane.cdk.bundling.target import Target

LOCK_NAME = "requirements.lock"


class RequirementsError(Exception):
    """A distribution cannot be pinned: it is not in the lock, or not installed where its requirements can be read."""


@dataclass(frozen=True, order=True)
class Pin:
    """One exact version, with the SHA-256 hashes of its files where a lock gave them."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def line(self) -> str:
        """The pin as a line of a requirements file."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={value}" for value in self.hashes)])


def find_lock(folder: Path) -> Path | None:
    """The `requirements.lock` of this folder or the nearest one above it."""
    candidates = (parent / LOCK_NAME for parent in (folder, *folder.parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_lock(lock: Path, target: Target) -> dict[str, Pin]:
    """The pins of a lock file that apply to the target, by canonical name."""
    pins = (_pin(line, target) for line in _logical_lines(lock.read_text()))
    return {pin.name: pin for pin in pins if pin is not None}


def pinned_requirements(top_levels: Iterable[str], target: Target, lock: Path | None) -> tuple[Pin, ...]:
    """Pins of the distributions behind these import names and of all they require on the target.

    Without a lock the versions installed here are pinned, without hashes. Raises `RequirementsError`.
    """
    names = _with_requirements(_distributions(top_levels), target)
    if lock is None:
        return tuple(sorted(Pin(name, metadata.version(name)) for name in names))
    pins = read_lock(lock, target)
    missing = sorted(names - pins.keys())
    if missing:
        raise RequirementsError(f"{lock} does not pin {', '.join(missing)}: add them and lock again")
    return tuple(sorted(pins[name] for name in names))


def _distributions(top_levels: Iterable[str]) -> set[str]:
    known = installed_packages()
    return {canonicalize_name(name) for top_level in top_levels for name in known[top_level]}


def _with_requirements(names: set[str], target: Target) -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = [(name, "") for name in names]
    while waiting:
        wanted = waiting.pop()
        if wanted in found:
            continue
        found.add(wanted)
        waiting += _requirements(*wanted, target)
    return {name for name, _extra in found}


def _requirements(name: str, extra: str, target: Target) -> Iterator[tuple[str, str]]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError as error:
        raise RequirementsError(
            f"{name} is needed on {target.name}; install it here so that it can be pinned"
        ) from error
    environment = {**target.markers, "extra": extra}
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield from ((canonicalize_name(requirement.name), inner) for inner in ("", *requirement.extras))


def _pin(line: str, target: Target) -> Pin | None:
    specification, *hashes = line.split(" --hash=")
    requirement, _, marker = specification.partition(";")
    name, _, version = requirement.strip().partition("==")
    if not version or (marker and not Marker(marker).evaluate(dict(target.markers))):
        return None
    return Pin(canonicalize_name(name.partition("[")[0]), version, tuple(value.strip() for value in hashes))


def _logical_lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        stripped = " ".join(line.split())
        if stripped and not stripped.startswith("#"):
            yield stripped
