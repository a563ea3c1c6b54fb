"""Which dead-lettered tasks go back by themselves now, and when in the coming minute each of them may compete."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.policy import Redrive

MINUTE_MS: Final = 60_000


class Dead(Struct, frozen=True, kw_only=True):
    """A dead-lettered task: when it died, and how often it went back before."""

    task_id: str
    died_at_ms: int
    redrives: int = 0


class Redriven(Struct, frozen=True, kw_only=True):
    """One that goes back, to compete from `due_ms` on."""

    dead: Dead
    due_ms: int


def old_enough(died_at_ms: int, rule: Redrive, now_ms: int) -> bool:
    """Whether it has lain there as long as the rule wants."""
    return died_at_ms + round(rule.after_seconds * 1_000) <= now_ms


def redriven_now(dead: Sequence[Dead], rule: Redrive, now_ms: int, taken: int = 0) -> list[Redriven]:
    """Of the dead, given oldest first, those that go back in this minute, spread over it; `taken` of the minute's
    places are gone. So a pool that was down for an hour is not hit by an hour's dead at once.
    """
    due = [one for one in dead if one.redrives < rule.max_times and old_enough(one.died_at_ms, rule, now_ms)]
    step_ms = MINUTE_MS / rule.per_minute
    places = enumerate(due[: max(0, rule.per_minute - taken)], start=taken)
    return [Redriven(dead=one, due_ms=now_ms + round(place * step_ms)) for place, one in places]
