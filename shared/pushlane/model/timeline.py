"""The timeline of a task: its facts and what its attempts emit, as one sequence.

Facts reach the streamer on the same queue as what agents emit, and agents may send to that queue: so a fact is signed
with the key that agents do not have, under a prefix that no reservation token begins with.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken
from pushlane.model.events import FactName

TASK_ENDS: Final = frozenset(
    {FactName.TASK_SUCCEEDED, FactName.TASK_FAILED, FactName.TASK_CANCELLED, FactName.TASK_EXPIRED}
)
_PURPOSE: Final = b"pushlane.fact\n"


class Origin(StrEnum):
    """Who said it: the platform (a fact) or an attempt (what it emitted)."""

    FACT = "fact"
    AGENT = "agent"


class LoggedEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a task's log. `sequence` counts from 1 without gaps, in the order of arrival at the streamer.

    `at_ms` is when it happened, by the clock of who said it (Unix milliseconds). `kind`: the fact's name, or what the
    agent called it. `data`: the fact's data, or the agent's. `stale`: an emit that came when its attempt was known
    to be over, because a later one, or the task's end, was in the log already.
    """

    task_id: str
    sequence: int
    origin: Origin
    kind: str
    at_ms: int
    source_id: str
    epoch: int | None = None
    data: Any = None
    stale: bool = False
    v: Literal[1] = 1

    @property
    def ends(self) -> bool:
        """The task has ended with it: later events can only be about what came too late."""
        return self.origin is Origin.FACT and self.kind in TASK_ENDS


class Recorded(Struct, frozen=True, kw_only=True):
    """Lifecycle -> streamer: a fact of a task, verbatim as it was signed."""

    signature: str
    fact: msgspec.Raw
    v: Literal[1] = 1


def sign_fact(fact: bytes, key: bytes) -> str:
    """The signature of an encoded fact, 64 hex digits. It is secret until sent: nobody else can use it first."""
    return hmac.new(key, _PURPOSE + fact, hashlib.sha256).hexdigest()


def check_fact(recorded: Recorded, key: bytes) -> None:
    """Raises `InvalidToken` unless the holder of the key signed just these bytes (compared in constant time)."""
    if not hmac.compare_digest(recorded.signature.encode(), sign_fact(bytes(recorded.fact), key).encode()):
        raise InvalidToken("fact: signature does not match")
