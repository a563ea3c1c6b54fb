"""The import closure of a handler, computed from source: nothing is imported to find out what would be imported."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

from pushlane.cdk.bundling.sources import Sources

_WEB: Final = frozenset({".html", ".css", ".js", ".svg"})


class ClosureError(Exception):
    """A handler imports something that is neither first-party, nor installed, nor in the standard library."""


@dataclass(frozen=True)
class Import:
    """An imported module. `optional`: it stands under `except ImportError`. `member`: it may be no module at all."""

    module: str
    optional: bool = False
    member: bool = False


@dataclass(frozen=True, kw_only=True)
class Closure:
    """`files`: path in the archive -> first-party source. `third_party`: top-level names of distributions."""

    files: Mapping[str, Path]
    third_party: frozenset[str]


def import_closure(entry: str, sources: Sources, include: tuple[str, ...] = ()) -> Closure:
    """Everything that `import entry` may load, lazy imports included, `if TYPE_CHECKING:` excluded; and the files of
    web pages that lie in its packages.

    `include` names modules that are imported by computed names. Raises `ClosureError` that names importer and module.
    """
    files: dict[str, Path] = {}
    third_party: set[str] = set()
    waiting = [(Import(name), "the function's entry") for name in (entry, *include)]
    seen: set[str] = set()
    while waiting:
        wanted, importer = waiting.pop()
        for name in _with_parents(wanted.module):
            if name in seen:
                continue
            if not sources.owns(name):
                third_party |= _third_party(wanted, importer)
                break
            path = _first_party(name, sources, wanted, importer)
            if path is None:
                break
            seen.add(name)
            if path.is_file():
                files[_archive_path(name, path)] = path
                files |= _web_files(name, path)
                waiting += [(found, str(path)) for found in imports_of(path, name)]
    return Closure(files=dict(sorted(files.items())), third_party=frozenset(third_party))


def _web_files(name: str, path: Path) -> dict[str, Path]:
    """What a package serves lies beside its modules, and nothing imports it."""
    if path.name != "__init__.py":
        return {}
    folder = name.replace(".", "/")
    return {f"{folder}/{one.name}": one for one in path.parent.iterdir() if one.suffix in _WEB}


@cache
def installed_packages() -> Mapping[str, list[str]]:
    """Top-level import names of this environment -> the distributions that hold them. A walk over all: done once."""
    return packages_distributions()


@lru_cache(maxsize=2048)
def _parsed(path: Path, modified_ns: int) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def imports_of(path: Path, module: str) -> Iterator[Import]:
    """The imports that stand in a source file, at any depth."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from _imports(_parsed(path, path.stat().st_mtime_ns), package, optional=False)


def _imports(node: ast.AST, package: str, *, optional: bool) -> Iterator[Import]:
    for child in _runtime_children(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, optional) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from _imported_from(child, package, optional)
        else:
            guarded = optional or (isinstance(child, ast.Try) and _expects_import_error(child))
            yield from _imports(child, package, optional=guarded)


def _imported_from(node: ast.ImportFrom, package: str, optional: bool) -> Iterator[Import]:
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join(filter(None, [*parents[: len(parents) - node.level + 1], base]))
    yield Import(base, optional)
    yield from (Import(f"{base}.{alias.name}", optional, member=True) for alias in node.names)


def _runtime_children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        yield from node.orelse
    else:
        yield from ast.iter_child_nodes(node)


def _expects_import_error(node: ast.Try) -> bool:
    caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
    return "ImportError" in caught or "ModuleNotFoundError" in caught


def _first_party(name: str, sources: Sources, wanted: Import, importer: str) -> Path | None:
    path = sources.locate(name)
    may_be_absent = wanted.optional or (wanted.member and name == wanted.module)
    if path is None and not may_be_absent:
        raise ClosureError(f"{importer} needs {wanted.module}, and there is no module {name}")
    return path


def _third_party(wanted: Import, importer: str) -> set[str]:
    name = wanted.module.partition(".")[0]
    if name in sys.stdlib_module_names:
        return set()
    if name in installed_packages():
        return {name}
    if wanted.optional:
        return set()
    raise ClosureError(f"{importer} imports {name}, which is not installed here: install it, or correct the import")


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: length + 1]) for length in range(len(parts))]


def _archive_path(module: str, path: Path) -> str:
    folder = module.replace(".", "/")
    return f"{folder}/__init__.py" if path.name == "__init__.py" else f"{folder}.py"
