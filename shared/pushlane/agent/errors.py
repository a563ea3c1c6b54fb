"""What an author's function may raise, and what the SDK raises in it."""

import math
from typing import Final

from pushlane.model.errors import PushlaneError

PAUSE_SECONDS_MAX: Final = 86_400.0


class AttemptLost(PushlaneError):
    """This attempt is no longer the current one (its lease ran out, say): stop, its result would not be taken."""


class Permanent(PushlaneError):
    """The task can never succeed, however often it is tried (a malformed document, say): it fails at once."""


class Throttled(PushlaneError):
    """A provider refused a call for now (a 429): nobody draws on `resource` for `retry_after_seconds`, and the task is
    tried again then, at no cost to its retries. What the attempt did not report as used counts as not used.

    Raises `ValueError` for a time that is no number of seconds from 0 on; more than a day counts as a day.
    """

    def __init__(self, resource: str, retry_after_seconds: float) -> None:
        if not 0 <= retry_after_seconds < math.inf:
            raise ValueError(f"retry_after_seconds is {retry_after_seconds}: say how long to wait, in seconds")
        super().__init__(f"{resource}: a provider refused the call; try again after {retry_after_seconds:g} s")
        self.resource = resource
        self.retry_after_seconds = min(float(retry_after_seconds), PAUSE_SECONDS_MAX)


class SignalTimeout(PushlaneError):
    """No signal of this name came in time. Catch it to go on without one; otherwise the attempt fails with it."""

    def __init__(self, name: str, timeout_seconds: float) -> None:
        super().__init__(f"no signal {name!r} came within {timeout_seconds:g} s")
        self.name = name


class ChildFailed(PushlaneError):
    """A submitted child task has ended and has not succeeded; `status` says how (FAILED, CANCELLED, EXPIRED)."""

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(f"child task {task_id} ended as {status}")
        self.task_id = task_id
        self.status = status
