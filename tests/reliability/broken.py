"""What must never happen, by name."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class Broken(StrEnum):
    """What must never happen."""

    LOST = "lost"
    DOUBLE_EFFECTS = "double_effects"
    STALE_ACCEPTED = "stale_accepted"
    LEAKED = "leaked"
    STUCK = "stuck"


class Violation(Struct, frozen=True):
    """One broken invariant: which, and what was seen."""

    kind: Broken
    what: str


def tally(violations: Iterable[Violation]) -> Counter[str]:
    return Counter(one.kind.value for one in violations)
