"""How long a lease may be: pure arithmetic on Unix milliseconds."""

from typing import Final

from msgspec import Struct

# The lease may outlive the invocation by this much, so that a slow last write still finds its attempt.
LEASE_GRACE_MS: Final = 5_000
# Before an invocation ends, an attempt that checkpoints is ended to go on in a new one: so long before, or a quarter
# of a short invocation.
_LIMIT_MARGIN_MS: Final = 10_000


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


def limit_margin_ms(invocation_ms: int) -> int:
    """How long before its end an invocation of this length takes on nothing more."""
    return min(_LIMIT_MARGIN_MS, invocation_ms // 4)
