"""Signals: what somebody outside tells a task while it runs or waits: an answer, an interruption, another direction."""

from typing import Annotated, Any

from msgspec import Meta, Struct

SIGNAL_DATA_BYTES_MAX = 16 * 1024
# To one task, in all of its life: every attempt is told all of them.
SIGNALS_MAX = 100
# All of them together: they lie on one item, beside the attempt's checkpoint and result.
SIGNALS_BYTES_MAX = 128 * 1024
# The ends of children come into another room, so that no answer is lost for them: small ones within the first half of
# the one above, larger ones as a claim.
CHILDREN_INLINE_BYTES_MAX = 64 * 1024
CHILDREN_BYTES_MAX = 192 * 1024
# The name of the signal that an attached child's end is to its parent.
CHILD_PREFIX = "child:"


class Signal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One signal, numbered from 1 in the order of acceptance. `signal_id`: the same for every delivery of it."""

    number: Annotated[int, Meta(ge=1)]
    name: str
    signal_id: str
    sent_at_ms: int
    data: dict[str, Any] = {}
