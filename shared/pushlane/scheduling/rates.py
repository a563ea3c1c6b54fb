"""Rates as GCRA: one timestamp, the theoretical arrival time, in microseconds (ITU-T I.371, "virtual scheduling").

A draw of `amount` advances it by the time in which the rate earns that much; it is admitted while the timestamp stays
at most `burst` ahead of now. A draw larger than the burst is admitted when the bucket is full, and leaves debt.
"""

from msgspec import Struct

from pushlane.model.policy import Rate

_MINUTE_US = 60_000_000


class Gcra(Struct, frozen=True):
    """One shard of a rate: how long one unit takes to earn, as a fraction, and how far ahead the timestamp may be."""

    us_per_units: int
    units: int
    burst_us: int

    def time_of(self, amount: int) -> int:
        """Microseconds in which the rate earns `amount`, rounded up so that a rate is never exceeded."""
        return -(-amount * self.us_per_units // self.units)

    def admits_at_us(self, tat_us: int, amount: int) -> int:
        """The earliest time at which `amount` may be drawn; at or before now means now."""
        draw_us = self.time_of(amount)
        return tat_us if draw_us > self.burst_us else tat_us + draw_us - self.burst_us


def gcra_of(rule: Rate) -> Gcra:
    """The form of one shard: each has its part of the rate, and of the burst."""
    return gcra(rule.per_minute, rule.burst or rule.per_minute, rule.shards)


def gcra(per_minute: int, burst: int, shards: int = 1) -> Gcra:
    """A rate of `per_minute` whose `burst` may be drawn at once, split over `shards`."""
    return Gcra(us_per_units=_MINUTE_US * shards, units=per_minute, burst_us=burst * _MINUTE_US // per_minute)


def drawn(tat_us: int, now_us: int, draw_us: int) -> int:
    """The timestamp after a draw: from now on if the bucket was full."""
    return max(tat_us, now_us) + draw_us
