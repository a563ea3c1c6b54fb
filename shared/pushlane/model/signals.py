"""Signals: what somebody outside tells a task while it runs or waits: an answer, an interruption, another direction."""

from typing import Annotated, Any

from msgspec import Meta, Struct

SIGNAL_DATA_BYTES_MAX = 16 * 1024
# To one task, in all of its life: every attempt is told all of them.
SIGNALS_MAX = 100
# The name of the signal that an attached child's end is to its parent.
CHILD_PREFIX = "child:"


class Signal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signal, numbered from 1 in the order of acceptance. `signal_id`: the same for every delivery of it."""

    number: Annotated[int, Meta(ge=1)]
    name: str
    signal_id: str
    sent_at_ms: int
    data: dict[str, Any] = {}
