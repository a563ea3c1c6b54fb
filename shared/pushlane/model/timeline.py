"""The timeline of a task: its facts and what its attempts emit, as one sequence.

Facts reach the streamer on the same queue as what agents emit, and agents may send to that queue: so a fact is signed
with a key that agents do not have, under a prefix that no reservation token begins with.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken
from pushlane.model.events import FactName
from pushlane.model.keyring import FIRST_KID, KeyRing

TASK_ENDS: Final = frozenset(
    {FactName.TASK_SUCCEEDED, FactName.TASK_FAILED, FactName.TASK_CANCELLED, FactName.TASK_EXPIRED}
)
ENDS: Final = TASK_ENDS | {FactName.WORKFLOW_ENDED}
_PURPOSE: Final = b"pushlane.fact\n"


class Origin(StrEnum):
    """Who said it: the platform (a fact) or an attempt (what it emitted)."""

    FACT = "fact"
    AGENT = "agent"


class LoggedEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a task's log. `sequence` counts from 1 without gaps, in the order of arrival at the streamer.

    `at_ms` is when it happened, by the clock of who said it (Unix milliseconds). `kind`: the fact's name, or what the
    agent called it. `data`: the fact's data, or the agent's. `stale`: an emit that came when its attempt was known
    to be over, because a later one, or the task's end, was in the log already. `task_id`: whom it is about; in a log
    that repeats others (a parent's, a workflow's, a tenant's feed) not always the log's own, and of a workflow's own
    facts the workflow. `hops`: over how many logs it was repeated.
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
    hops: int = 0
    v: Literal[1] = 1

    @property
    def ends(self) -> bool:
        """The task (or workflow) that it is about has ended with it: later events can only be about what came too
        late.
        """
        return self.origin is Origin.FACT and self.kind in ENDS


class Recorded(Struct, frozen=True, kw_only=True):
    """Lifecycle -> streamer: a fact of a task, verbatim as it was signed under the key `kid`."""

    signature: str
    fact: msgspec.Raw
    kid: str = FIRST_KID
    v: Literal[1] = 1


def sign_fact(fact: bytes, ring: KeyRing) -> Recorded:
    """An encoded fact with its signature, 64 hex digits. It is secret until sent: nobody else can use it first."""
    kid, key = ring.signing()
    return Recorded(signature=_mac(fact, key), fact=msgspec.Raw(fact), kid=kid)


def check_fact(recorded: Recorded, ring: KeyRing) -> None:
    """Raises `InvalidToken` unless a holder of the ring signed just these bytes (compared in constant time)."""
    expected = _mac(bytes(recorded.fact), ring.key(recorded.kid))
    if not hmac.compare_digest(recorded.signature.encode(), expected.encode()):
        raise InvalidToken("fact: signature does not match")


def _mac(fact: bytes, key: bytes) -> str:
    return hmac.new(key, _PURPOSE + fact, hashlib.sha256).hexdigest()
