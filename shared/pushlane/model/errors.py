"""One exception root. An error's message says what is wrong and, where a person can act, what to do next."""


class PushlaneError(Exception):
    """Root of every error that Pushlane raises on purpose."""


class InvalidEvent(PushlaneError):
    """An incoming event cannot become a task. `field` is the JSON path of the offending value (`$.data.tier`)."""

    def __init__(self, field: str, reason: str, code: str = "invalid") -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.code = code


class InvalidToken(PushlaneError):
    """A reservation token is malformed, forged or expired; its bearer's word changes nothing."""


class InvalidSetting(PushlaneError):
    """An environment variable is missing or cannot be read; the message names it and the function's settings class."""


class StoreUnavailable(PushlaneError):
    """The store did not answer within its retries. The outcome may be unknown: repeat the same call with its token."""


class TurnContended(PushlaneError):
    """A turn lost every optimistic attempt. Nothing of the named inputs was committed; deliver them again."""
