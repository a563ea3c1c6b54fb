"""A task's row, each time that it has changed."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from pushlane.client.errors import StillRunning, TaskUnknown

if TYPE_CHECKING:
    from pushlane.client import Client, TaskRecord

WATCH_SECONDS: Final = 0.2
# From a door's yes to the task's row; through the stream it can take a second or two.
APPEAR_SECONDS: Final = 10.0


def transitions(
    client: "Client", task_id: str, timeout_seconds: float, look: Callable[[], None] | None = None
) -> Iterator["TaskRecord"]:
    """The task's record each time that it has changed, the terminal one last; `look` is called once a round. Raises
    `TaskUnknown` when the task does not appear within a few seconds, and `StillRunning` when the time is over.
    """
    started = time.monotonic()
    last: TaskRecord | None = None
    while last is None or not last.at_rest:
        record = client.tasks([task_id]).get(task_id)
        if look is not None:
            look()
        waited = time.monotonic() - started
        if record is None and waited >= min(APPEAR_SECONDS, timeout_seconds):
            raise TaskUnknown(task_id)
        if record is not None and record != last:
            yield record
            last = record
        elif waited >= timeout_seconds:
            raise StillRunning([task_id], timeout_seconds)
        else:
            time.sleep(WATCH_SECONDS)
