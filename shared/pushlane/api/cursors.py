"""Cursors: opaque to callers. None holds a tenant: in another's hands one reads that one's own things."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from pushlane.api.problems import Problem, invalid

CURSOR_CHARACTERS_MAX = 2_048

Place = TypeVar("Place")


def cursor_of(place: Any) -> str:
    """The cursor that says where a list goes on."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def place_of(cursor: str, kind: type[Place]) -> Place:
    """The place that a cursor says; raises the 422 problem for one that is none."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise no_cursor() from error


def no_cursor() -> Problem:
    """422 for a cursor that names no place."""
    return invalid("query.cursor", "is no cursor of a page before")
