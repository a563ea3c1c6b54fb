"""From a handler's name to the zip that Lambda runs."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pushlane.cdk.bundling.archive import Entry, write_archive
from pushlane.cdk.bundling.closure import Closure, import_closure
from pushlane.cdk.bundling.requirements import pinned_requirements
from pushlane.cdk.bundling.sources import Sources
from pushlane.cdk.bundling.target import Target
from pushlane.cdk.bundling.vendor import vendored_archive


@dataclass(frozen=True, kw_only=True)
class BundlePlan:
    """How the bundles of an app are made. Without `vendor` no third-party code and no network."""

    vendor: bool
    target: Target
    build_folder: Path
    requirements_lock: Path | None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A finished zip and what it was made of."""

    archive: Path
    closure: Closure


def build_bundle(
    entry: str, sources: Sources, aws_services: tuple[str, ...], plan: BundlePlan, include: tuple[str, ...] = ()
) -> Bundle:
    """The zip of one function. The same sources, pins and platform give the same bytes under the same name.

    Raises `ClosureError`, `RequirementsError` or `VendorError`.
    """
    closure = import_closure(entry, sources, include)
    base = _third_party(closure, aws_services, plan) if plan.vendor else None
    entries = [Entry(name, path) for name, path in closure.files.items()]
    archive = plan.build_folder / "functions" / f"{entry}-{_digest(entries, base)}.zip"
    if not archive.is_file():
        write_archive(archive, entries, base)
    return Bundle(archive=archive, closure=closure)


def _third_party(closure: Closure, aws_services: tuple[str, ...], plan: BundlePlan) -> Path:
    pins = pinned_requirements(closure.third_party, plan.target, plan.requirements_lock)
    return vendored_archive(pins, plan.target, aws_services, plan.build_folder / "vendor")


def _digest(entries: list[Entry], base: Path | None) -> str:
    hasher = sha256((base.name if base else "").encode())
    for entry in entries:
        hasher.update(f"\0{entry.name}\0".encode())
        hasher.update(sha256(entry.source.read_bytes()).digest())
    return hasher.hexdigest()[:20]
