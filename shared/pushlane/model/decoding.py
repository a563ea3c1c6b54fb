"""What msgspec says of a value that does not fit, with the field as a path that a person can find.

msgspec knows an entry of a table only as `[...]`; here the entry gets its name: `$.tenants.atlas.weight`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, get_origin

import msgspec
from msgspec import Struct

_AT: Final = re.compile(r" - at (?P<key>`key` in )?`(?P<path>[^`]+)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_ENTRY: Final = re.compile(r"^\$\.(?P<table>\w+)(?:\[\.\.\.\]|$)")
_QUOTED_MAX: Final = 80
NO_SUCH_FIELD: Final = "no field of this name is known"


class Misfit(Struct, frozen=True):
    """One value that does not fit: its field (`$.tenants.atlas.weight`) and why."""

    field: str
    reason: str


def misfit(error: msgspec.ValidationError, said: object, kind: type[Struct]) -> Misfit:
    """The misfit that made `said` be refused as a `kind`."""
    found = _AT.search(str(error))
    entry = _ENTRY.match(found["path"]) if found else None
    inside = None if entry is None else _inside(entry["table"], said, kind)
    return inside or _plain(str(error))


def _inside(table: str, said: object, kind: type[Struct]) -> Misfit | None:
    """The misfit within one entry of a table, found by trying them one by one."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    entries = said.get(table) if isinstance(said, Mapping) else None
    if not isinstance(entries, Mapping) or get_origin(types.get(table)) is not dict:
        return None
    for name, value in entries.items():
        try:
            msgspec.convert({name: value}, types[table])
        except msgspec.ValidationError as error:
            return _of_entry(f"$.{table}", name, str(error))
    return None


def _of_entry(table: str, name: str, message: str) -> Misfit:
    found = _AT.search(message)
    if found and found["key"]:
        return Misfit(table, f"{name[:_QUOTED_MAX]!r}: {message[: found.start()]}")
    one = _plain(message)
    return Misfit(one.field.replace("$[...]", f"{table}.{name}", 1), one.reason)


def _plain(message: str) -> Misfit:
    found = _AT.search(message)
    path, reason = (found["path"], message[: found.start()]) if found else ("$", message)
    unknown: Any = _UNKNOWN.match(reason)
    if unknown is None:
        return Misfit(path, reason)
    return Misfit(f"{path}.{unknown['name'][:_QUOTED_MAX]}", NO_SUCH_FIELD)
