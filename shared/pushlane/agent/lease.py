"""How long a lease may be: pure arithmetic on Unix milliseconds."""

from typing import Final

from msgspec import Struct

# The lease may outlive the invocation by this much, so that a slow last write still finds its attempt.
LEASE_GRACE_MS: Final = 5_000
# Before an invocation ends, an attempt that checkpoints is ended to go on in a new one: so long before, or a quarter
# of a short invocation.
_LIMIT_MARGIN_MS: Final = 10_000
# A lease is extended when a third of it is over: two beats may fail before it runs out.
BEATS_A_LEASE: Final = 3
# A lease that is not longer may outlive a finish: it is when the finish is found whose nudge was lost.
_LEFT_LEASE_MAX_MS: Final = 30_000


class LeaseRules(Struct, frozen=True, kw_only=True):
    """`lease_ms`: without a sign of the process. `stall_ms`: without a sign of the work (None: for ever).
    `lasts_until_ms`: when the platform has ended the invocation for certain. `ends_at_ms`: the end that the router has
    set, if any.
    """

    lease_ms: int
    stall_ms: int | None
    lasts_until_ms: int
    ends_at_ms: int | None = None

    def until(self, now_ms: int, progress_at_ms: int) -> int:
        """Until when the lease may reach, said now, with the last progress then."""
        ends = [now_ms + self.lease_ms, self.lasts_until_ms]
        if self.stall_ms is not None:
            ends.append(progress_at_ms + self.stall_ms)
        if self.ends_at_ms is not None:
            ends.append(self.ends_at_ms)
        return min(ends)

    def beats(self, started_at_ms: int) -> bool:
        """Whether a heartbeat is needed: the lease, or the work's silence, may end before the invocation does."""
        return self.stall_ms is not None or self.lease_ms < self.lasts_until_ms - started_at_ms

    def leaves_at_start(self, granted_ms: int | None, started_at_ms: int) -> bool:
        """Whether the lease that the router has granted does for the start: beats extend it, it is no longer than a
        new one would be, and shorter by less than a beat. The attempts' index is keyed by the lease, and a lease that
        moves costs a write of it more.
        """
        if granted_ms is None or not self.beats(started_at_ms):
            return False
        shorter_ms = self.until(started_at_ms, started_at_ms) - granted_ms
        return 0 <= shorter_ms <= self.lease_ms // BEATS_A_LEASE

    @property
    def leaves_at_finish(self) -> bool:
        """Whether the lease is over soon by itself."""
        return self.lease_ms <= _LEFT_LEASE_MAX_MS


def limit_margin_ms(invocation_ms: int) -> int:
    """How long before its end an invocation of this length takes on nothing more."""
    return min(_LIMIT_MARGIN_MS, invocation_ms // 4)
