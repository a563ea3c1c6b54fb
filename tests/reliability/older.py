"""A state as the version before left it (0.1.0 without checkpoints, signals and workflows): a redeploy in the middle of
work. Recorded from that version, with its messages still on their way.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.ports import Change, Item, Key, Table

_FILE: Final = Path(__file__).parent / "fixtures" / "older.json"


class Older(Struct, frozen=True):
    """Items as (table, pk, sk, attributes), messages as (queue, body, milliseconds until they are visible)."""

    items: list[tuple[str, str, str, dict[str, Any]]]
    messages: list[tuple[str, str, int]]
    now_ms: int


def read() -> Older:
    return msgspec.json.decode(_FILE.read_bytes(), type=Older)


def items_of(older: Older) -> list[Item]:
    return [Item(Key(Table(table), pk, sk), attributes) for table, pk, sk, attributes in older.items]


def changes_of(items: list[Item]) -> list[Change]:
    """For those who follow changes: what is there when they begin."""
    return [Change(item.key, None, item.attributes) for item in items]
