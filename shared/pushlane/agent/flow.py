"""How an attempt ends before its function returns: an exception that unwinds the author's code on purpose."""

from pushlane.model.attempt import OutcomeKind


class AttemptEnds(BaseException):
    """Raised by the context, caught by the runtime. No `Exception`, so that an author's `except Exception` lets it
    pass; `finally` blocks and context managers run as always.
    """

    def __init__(self, kind: OutcomeKind, *, resume_at_ms: int | None = None, awaits: str | None = None) -> None:
        super().__init__(f"the attempt ends here as {kind.value}; it goes on from its checkpoint")
        self.kind = kind
        self.resume_at_ms = resume_at_ms
        self.awaits = awaits
