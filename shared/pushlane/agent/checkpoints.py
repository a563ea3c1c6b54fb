"""The stored form of a checkpoint: the author's state, and beside it what the SDK itself has to remember.

The function runs again from its checkpoint. Signals that it took before the checkpoint must not come back to it, those
that it took after must; a wait that was begun since then keeps its end. Both are known by their order since the
checkpoint, which is the same whenever the code from there on is.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.claim_check import FIELD as CLAIM_FIELD

RESERVED: Final = "$pushlane"


class Memory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`taken`: the numbers of the signals that were taken before the checkpoint. `waits`: when the waits since it end,
    in their order (None: never). `bare`: the author has stored no state yet.
    """

    taken: tuple[int, ...] = ()
    waits: tuple[int | None, ...] = ()
    bare: bool = False


class Checkpoint(Struct, frozen=True, kw_only=True):
    """What a function goes on from. `state` is None before the author's first checkpoint."""

    state: dict[str, Any] | None = None
    memory: Memory = Memory()


def stored_form(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """One JSON object; None when there is nothing to remember. Raises `ValueError` for a state that uses our names."""
    state = checkpoint.state or {}
    for name in (RESERVED, CLAIM_FIELD):
        if name in state:
            raise ValueError(f"checkpoint: the name {name!r} is Pushlane's own, choose another")
    memory = msgspec.structs.replace(checkpoint.memory, bare=checkpoint.state is None)
    if memory == Memory():
        return dict(state)
    if memory == Memory(bare=True):
        return None
    return {**state, RESERVED: msgspec.to_builtins(memory)}


def checkpoint_of(stored: Mapping[str, Any] | None) -> Checkpoint:
    """The checkpoint that an earlier attempt stored; raises `msgspec.ValidationError` for what none has."""
    if stored is None:
        return Checkpoint()
    state = {name: value for name, value in stored.items() if name != RESERVED}
    memory = msgspec.convert(stored.get(RESERVED, {}), Memory)
    return Checkpoint(state=None if memory.bare else state, memory=memory)
