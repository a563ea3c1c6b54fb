"""How a task got to its first start: what the start's measures are split by."""

from msgspec import Struct


class Pickup(Struct, frozen=True, array_like=True, omit_defaults=True):
    """A task that no attempt has started yet. Times are Unix milliseconds.

    `ready_at_ms`: since when it could have run: its door had it, or the last task that it waited for had ended
    (`unblocked`). `decided_ms`: how long after that a turn first decided on it; None: none has. `reason` and
    `parked_at_ms`: why and since when it waits, or waited until its attempt was made; none: it did not.
    """

    ready_at_ms: int
    decided_ms: int | None = None
    reason: str = ""
    parked_at_ms: int = 0
    unblocked: bool = False


class Parts(Struct, frozen=True, kw_only=True):
    """What the time until a first start is made of, in milliseconds; the parts add up to `pickup_ms`.

    `lost_ms`: what went by with attempts that no agent started.
    """

    pickup_ms: int
    decided_ms: int
    parked_ms: int
    dispatch_ms: int

    @property
    def lost_ms(self) -> int:
        return max(0, self.pickup_ms - self.decided_ms - self.parked_ms - self.dispatch_ms)


def parts_of(pickup: Pickup, dispatched_at_ms: int, started_at_ms: int) -> Parts:
    """The parts of a pickup; clocks that disagree make one zero, never negative."""
    started_at_ms = max(started_at_ms, dispatched_at_ms)
    pickup_ms = max(0, started_at_ms - pickup.ready_at_ms)
    dispatch_ms = min(pickup_ms, started_at_ms - dispatched_at_ms)
    parked_ms = max(0, dispatched_at_ms - pickup.parked_at_ms) if pickup.reason else 0
    parked_ms = min(parked_ms, pickup_ms - dispatch_ms)
    decided_ms = min(pickup.decided_ms or 0, pickup_ms - dispatch_ms - parked_ms)
    return Parts(pickup_ms=pickup_ms, decided_ms=decided_ms, parked_ms=parked_ms, dispatch_ms=dispatch_ms)
