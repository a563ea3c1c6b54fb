"""Every place in the code where a port is called, found by reading the code, and who stands there when a port is
called, found by walking up the stack.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from msgspec import Struct

import pushlane

# What a simulated handler is made of.
PACKAGES: Final = ("router", "state", "agent", "telemetry")
# Never deployed (`pushlane agent run` plays the router there), or no part of a task's way: what operators keep (keys,
# principals, hooks, callbacks, schedules), firings, the delivery of callbacks, reports. Their tests are in tests/unit.
LEFT_OUT: Final = frozenset(
    {
        "agent/rehearsal.py",
        *("state/access_keys.py", "state/principals.py", "state/hooks.py", "state/callbacks.py", "state/schedules.py"),
        *("router/schedules.py", "router/callback_delivery.py"),
        *("telemetry/reading.py", "telemetry/sampling.py", "telemetry/task_spans.py"),
    }
)
# What only runs where event logs are kept and followed.
LIVE: Final = frozenset(
    {
        *("router/appending.py", "router/repeating.py", "router/following.py", "router/snapshots.py"),
        *("router/agent_connections.py", "state/connections.py", "state/copied_log.py", "state/event_log.py"),
    }
)
# What only runs where agents claim.
CLAIMING: Final = frozenset({"router/claim.py", "state/mailbox.py"})
# What only runs where dead letters lie.
DEAD: Final = frozenset({"state/dead.py"})
# Reached only while an attempt has given back what it held: there what it asks for again is taken from it.
WAITING: Final = frozenset({"router/giving_back.py"})
METHODS: Final = {
    "store": frozenset({"get", "query", "write", "transact"}),
    "sender": frozenset({"send"}),
    "sink": frozenset({"publish"}),
    "blobs": frozenset({"get", "put"}),
}
MODES: Final = ("before", "error", "after")


class Site(Struct, frozen=True, order=True):
    """One call of a port: file below `pushlane`, line and column where the call begins, what is called."""

    file: str
    line: int
    column: int
    call: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.call}"


class Point(Struct, frozen=True, order=True):
    """A site and what goes wrong there: the handler dies before the call, the call is done and answers with an error,
    the handler dies after it.
    """

    site: Site
    mode: str

    def __str__(self) -> str:
        return f"{self.site} ({self.mode})"


def root() -> Path:
    """The package that is imported: that of the tree, or a changed copy of it."""
    return Path(next(iter(pushlane.__path__)))


@cache
def sites() -> Sequence[Site]:
    """Every call site, in order."""
    base = root()
    files = [path for name in PACKAGES for path in sorted((base / name).rglob("*.py"))]
    named = [(path.relative_to(base).as_posix(), path) for path in files]
    return tuple(
        sorted(site for name, path in named if name not in LEFT_OUT for site in _sites_of(name, path.read_text()))
    )


def points(aim: str = "") -> list[Point]:
    """Every crash point, in order; of a non-empty `aim` only those that it names, separated by `;`."""
    every = [Point(site, mode) for site in sites() for mode in MODES]
    named = set(aim.split(";"))
    return [point for point in every if not aim or str(point) in named]


def _sites_of(name: str, source: str) -> Iterator[Site]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            port = _port(node.func.value)
            if port is not None and node.func.attr in METHODS[port]:
                yield Site(name, node.lineno, node.col_offset, f"{port}.{node.func.attr}")


def _port(receiver: ast.expr) -> str | None:
    """The port that an expression like `self._ports.turn.store` or `ports.blobs()` names."""
    if isinstance(receiver, ast.Call) and not receiver.args:
        receiver = receiver.func
    if isinstance(receiver, ast.Attribute):
        name = receiver.attr
    elif isinstance(receiver, ast.Name):
        name = receiver.id
    else:
        return None
    name = name.lstrip("_")
    return name if name in METHODS else None


class Standing:
    """Tells which site a port was called from."""

    def __init__(self, known: Sequence[Site]) -> None:
        base = root()
        self._prefix = f"{base}/"
        self._known = {(str(base / one.file), one.line, one.column): one for one in known}
        self._found: dict[tuple[CodeType, int], Site | None] = {}
        self._packages = tuple(f"{base / name}/" for name in PACKAGES)
        self.unknown: set[str] = set()

    def site(self) -> Site | None:
        """The nearest site up the stack; None when the call comes from elsewhere (and it is noted when it comes from
        one of the packages: then the code calls a port in a way that was not found).
        """
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and not frame.f_code.co_filename.startswith(self._packages):
            frame = frame.f_back
        if frame is None:
            return None
        place = (frame.f_code, frame.f_lasti)
        if place not in self._found:
            self._found[place] = self._look_up(*place)
        return self._found[place]

    def _look_up(self, code: CodeType, last: int) -> Site | None:
        line, _, column, _ = list(code.co_positions())[last // 2]
        if line is None or column is None:
            return None
        site = self._known.get((code.co_filename, line, column))
        if site is None:
            self.unknown.add(f"{code.co_filename.removeprefix(self._prefix)}:{line}")
        return site
