"""A token budget under the virtual clock: GCRA, the same rule that the product keeps, written apart from it."""

from typing import Final

from pushlane.simulator.setting import RateSetting

_MINUTE_MS: Final = 60_000


class Bucket:
    """One timestamp, in token-milliseconds to stay exact: when everything that was charged will have been refilled.

    A charge above the burst fits when the bucket is full, and leaves a debt.
    """

    def __init__(self, setting: RateSetting) -> None:
        self._per_minute = setting.tokens_per_minute
        self._window = setting.burst_tokens * _MINUTE_MS
        self._full_at = 0

    def fits_at_ms(self, tokens: int, now_ms: int) -> int:
        """The earliest time from now on at which the charge fits, if nothing else is charged before."""
        spare = self._window - min(tokens * _MINUTE_MS, self._window)
        return max(now_ms, -((spare - self._full_at) // self._per_minute))

    def charge(self, tokens: int, now_ms: int) -> None:
        """Charge tokens, whether they fit or not."""
        self._full_at = max(self._full_at, now_ms * self._per_minute) + tokens * _MINUTE_MS

    def correct(self, tokens: int, now_ms: int) -> None:
        """True up at completion: more than estimated is a debt, less comes back as far as it is still outstanding."""
        if tokens >= 0:
            self.charge(tokens, now_ms)
        else:
            self._full_at += tokens * _MINUTE_MS
