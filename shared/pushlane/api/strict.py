"""Strict JSON: what parsers read differently, or not at all further on, is refused here with the field's name."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from pushlane.api.problems import Problem, invalid
from pushlane.model.decoding import misfit
from pushlane.model.nesting import NESTING_MAX

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_AT: Final = re.compile(r" - at (?:`key` in )?`(?P<path>[^`]+)`$")
_NAME_MAX: Final = 80
# What DynamoDB's numbers and other languages' integers hold.
_INTEGER_BITS_MAX: Final = 63
_CHARACTERS_QUOTED: Final = 300


class _Twice(dict[str, Any]):
    """An object in which `name` stood more than once."""

    name: str = ""


def read_json(raw: bytes) -> Any:
    """The JSON value; raises the 422 problem that names the field: of an object with a name twice, of NaN or a number
    out of range, of a lone surrogate, of what nests deeper than 64 levels.
    """
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_float, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise invalid("$", f"not UTF-8: byte {error.start}", "not_json") from error
    except RecursionError as error:
        raise invalid("$", f"nests deeper than {NESTING_MAX} levels", "too_deep") from error
    except json.JSONDecodeError as error:
        raise invalid("$", f"not JSON: {error.msg} at character {error.pos}", "not_json") from error
    _check(value, "$", 1)
    return value


def decode(raw: bytes, kind: Any) -> Any:
    """The JSON value as a `kind`; raises the 422 problem that names the field. `kind` may be a `OneOf`."""
    value = read_json(raw)
    chosen = kind.of(value) if isinstance(kind, OneOf) else kind
    try:
        return msgspec.json.decode(raw, type=chosen)
    except msgspec.ValidationError as error:
        raise _misfit(error, value, chosen) from error


def convert_query(said: Mapping[str, str], kind: type[Struct]) -> Any:
    """Query parameters as a `kind`, numbers and booleans read from their text; raises the 422 problem."""
    try:
        return msgspec.convert(said, kind, strict=False)
    except msgspec.ValidationError as error:
        found = misfit(error, said, kind)
        raise invalid(found.field.replace("$", "query", 1), found.reason) from error


class OneOf(Struct, frozen=True):
    """A body of one of several types. The first type that has a field of `marks` with the body's name is meant, the
    last one when none does.
    """

    types: tuple[type[Struct], ...]
    marks: tuple[str, ...]

    def of(self, value: object) -> type[Struct]:
        """The type that `value` is to be read as."""
        names = value.keys() if isinstance(value, dict) else frozenset[str]()
        for kind, mark in zip(self.types, self.marks, strict=False):
            if mark in names:
                return kind
        return self.types[-1]


def _misfit(error: msgspec.ValidationError, value: object, kind: Any) -> Problem:
    if isinstance(kind, type) and issubclass(kind, Struct):
        found = misfit(error, value, kind)
        return invalid(found.field, found.reason[:_CHARACTERS_QUOTED])
    at = _AT.search(str(error))
    return invalid(at["path"] if at else "$", _AT.sub("", str(error))[:_CHARACTERS_QUOTED])


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    twice = _Twice(made)
    names = [name for name, _ in pairs]
    twice.name = next(name for place, name in enumerate(names) if name in names[:place])
    return twice


class _NotFinite(float):
    """A number that JSON does not have, or that a double does not hold."""


class _TooLarge(int):
    """An integer of more bits than programs agree on."""


def _no_constant(said: str) -> _NotFinite:
    return _NotFinite("nan" if said == "NaN" else "inf")


def _float(said: str) -> float:
    value = float(said)
    return value if math.isfinite(value) else _NotFinite("inf")


def _integer(said: str) -> int:
    value = int(said) if len(said) <= _INTEGER_BITS_MAX else 1 << 64
    return value if value.bit_length() <= _INTEGER_BITS_MAX else _TooLarge(1)


def _check(value: object, path: str, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            _refuse(path, "a lone surrogate is no character", "surrogate")
    elif isinstance(value, _NotFinite | _TooLarge):
        _refuse(path, "the number is out of range: finite, integers within 64 bits", "out_of_range")
    elif isinstance(value, dict | list):
        if depth > NESTING_MAX:
            _refuse(path, f"nests deeper than {NESTING_MAX} levels", "too_deep")
        _check_inside(value, path, depth)


def _check_inside(value: dict[str, Any] | list[Any], path: str, depth: int) -> None:
    if isinstance(value, list):
        for place, one in enumerate(value):
            _check(one, f"{path}[{place}]", depth + 1)
        return
    if isinstance(value, _Twice):
        _refuse(f"{path}.{value.name}", "the name stands twice in its object", "duplicate_key")
    for name, one in value.items():
        if _SURROGATE.search(name):
            _refuse(path, "a name in it holds a lone surrogate, which is no character", "surrogate")
        _check(one, f"{path}.{name[:_NAME_MAX]}", depth + 1)


def _refuse(path: str, reason: str, code: str) -> NoReturn:
    # A path is quoted from the request; what is no character in it cannot be sent back.
    raise invalid(path.encode(errors="replace").decode()[:_CHARACTERS_QUOTED], reason, code)
