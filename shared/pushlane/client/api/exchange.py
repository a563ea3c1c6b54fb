"""A call and its answer as values: nothing here opens a connection."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Call(Struct, frozen=True, kw_only=True):
    """One call of the API. `path` begins with `/` and is encoded. `body` is JSON. `repeatable`: sent again it does
    nothing more.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    repeatable: bool = True


class Answer(Struct, frozen=True, kw_only=True):
    """What came back. `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Ask(Struct, Generic[T], frozen=True, kw_only=True):
    """A call and how its answer is read. `gone_is_done`: a repeat that finds nothing left has met its own effect."""

    call: Call
    read: Callable[[Answer], T]
    gone: Callable[[], T] | None = None


def path_of(*segments: str, query: Mapping[str, Any] | None = None) -> str:
    """A path of segments, each encoded, with the query parameters that are not None."""
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    said = [(name, _text(value)) for name, value in (query or {}).items() if value is not None]
    return f"{path}?{urlencode(said)}" if said else path


def json_call(method: str, path: str, body: object, *, repeatable: bool = True) -> Call:
    """A call with a JSON body."""
    headers = {"content-type": "application/json"}
    return Call(method=method, path=path, body=msgspec.json.encode(body), headers=headers, repeatable=repeatable)


def read_as(kind: type[T]) -> Callable[[Answer], T]:
    """Reads an answer's body as `kind`; fields that this version does not know are passed over."""
    decoder = msgspec.json.Decoder(kind)

    def read(answer: Answer) -> T:
        return decoder.decode(answer.body)

    return read


def nothing(_answer: Answer) -> None:
    """Reads nothing."""


def _text(value: object) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
