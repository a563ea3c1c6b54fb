"""Whether and when a failed call is sent again. It never sleeps itself: it says how long to wait."""

from collections.abc import Callable

from msgspec import Struct

from pushlane.client.api.errors import ApiError, DeadlineExceeded, RateLimited, Unavailable
from pushlane.client.api.exchange import Call


class Retrying(Struct, frozen=True, kw_only=True):
    """The rules. `deadline_seconds`: for the call with all its repeats; `answer_seconds`: for one answer. Pauses grow
    from `base_seconds` with full jitter, and are at least what the API asks for.
    """

    deadline_seconds: float = 30.0
    answer_seconds: float = 15.0
    sends_max: int = 8
    base_seconds: float = 0.1
    pause_seconds_max: float = 5.0


class Sending:
    """One call on its way. `now`: monotonic seconds; `random`: from 0 to 1."""

    def __init__(self, call: Call, rules: Retrying, now: Callable[[], float], random: Callable[[], float]) -> None:
        self._call = call
        self._rules = rules
        self._now = now
        self._random = random
        self._until = now() + rules.deadline_seconds
        self.sends = 0

    def answer_seconds(self) -> float:
        """How long to wait for the next answer; counts the sending."""
        self.sends += 1
        return max(0.001, min(self._rules.answer_seconds, self._until - self._now()))

    def pause_after(self, error: ApiError) -> float:
        """How many seconds to wait before the call is sent again; raises the error when it is not."""
        if not self._may_repeat(error) or self.sends >= self._rules.sends_max:
            raise error
        ceiling = min(self._rules.pause_seconds_max, self._rules.base_seconds * 2.0 ** (self.sends - 1))
        pause = max(self._random() * ceiling, error.retry_after_seconds or 0.0)
        if self._now() + pause >= self._until:
            raise self._too_late(error) from error
        return pause

    def _may_repeat(self, error: ApiError) -> bool:
        """What was refused for want of room did nothing; what failed may have."""
        return isinstance(error, RateLimited) or (isinstance(error, Unavailable) and self._call.repeatable)

    def _too_late(self, error: ApiError) -> ApiError:
        if isinstance(error, RateLimited):
            return error  # its own words are the better ones: when to come again
        detail = f"{self._rules.deadline_seconds:g} s are over after {self.sends} attempts: {error.detail}"
        return DeadlineExceeded(
            error.status,
            error.code,
            detail,
            request_id=error.request_id,
            retry_after_seconds=error.retry_after_seconds,
        )
