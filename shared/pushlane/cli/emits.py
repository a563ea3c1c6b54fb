"""What a task's attempts emit, as lines for whoever watches."""

import json
import time
from typing import TYPE_CHECKING, Final

from pushlane.cli import output
from pushlane.model.timeline import Origin

if TYPE_CHECKING:
    from pushlane.client.event_log import EventLog
    from pushlane.model.timeline import LoggedEvent

_DATA_CHARACTERS_MAX: Final = 400
_LOOK_SECONDS: Final = 0.2


class Emits:
    """Follows the log of one task and prints each emit once. The task's own changes are told from its row."""

    def __init__(self, log: "EventLog", task_id: str) -> None:
        self._log = log
        self._task_id = task_id
        self._after = 0
        self._ended = False

    def show(self) -> None:
        """Print what is new."""
        for event in self._log.since(self._task_id, self._after):
            self._after = event.sequence
            self._ended = self._ended or (event.ends and event.task_id == self._task_id)
            if event.origin is Origin.AGENT:
                output.line(emit_line(event))

    def show_rest(self, timeout_seconds: float) -> None:
        """The same until the log tells the task's end, which its row has told already, or the time is over."""
        until = time.monotonic() + timeout_seconds
        self.show()
        while not self._ended and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            self.show()


def emit_line(event: "LoggedEvent") -> str:
    """One emit on one line, in plain ASCII: what an agent says must not drive a terminal."""
    data = "" if event.data is None else json.dumps(event.data)
    shown = data if len(data) <= _DATA_CHARACTERS_MAX else data[:_DATA_CHARACTERS_MAX] + "..."
    parts = [event.task_id, json.dumps(event.kind)[1:-1], f"attempt {event.epoch}", shown, "(stale)" * event.stale]
    return "  ".join(part for part in parts if part)
