"""Dead-letter queues as infrastructure declares them and operators find them: what lies there, and where it goes back.

A stack puts its dead-letter queues out as one text: entries apart by commas, the fields of an entry by spaces.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

_SEPARATOR: Final = " "


class DeadLetterKind(StrEnum):
    """What lies in a dead-letter queue, and with that what becomes of it in a redrive."""

    QUEUE = "queue"  # messages that a queue's consumer gave up: back to that queue
    INTAKE = "intake"  # submissions and commands on their way in: back in, as the same ones
    QUARANTINE = "quarantine"  # refused submissions with the reason: back in, to be refused again or not
    STREAM = "stream"  # positions in the intake stream: the records are read again and go in as the same ones
    CHANGES = "changes"  # positions in a table's stream: nothing to send back
    CALL = "call"  # failed asynchronous calls of a function: nothing to send back


class DeadLetterPlace(Struct, frozen=True, kw_only=True):
    """One dead-letter queue. `back_to`: the URL of the one queue that its messages come from, if there is such."""

    name: str
    kind: DeadLetterKind
    url: str
    back_to: str | None = None

    def encoded(self) -> str:
        fields = [self.name, self.kind.value, self.url, *([self.back_to] if self.back_to else [])]
        return _SEPARATOR.join(fields)


def dead_letter_place(text: str) -> DeadLetterPlace:
    """The place that `encoded` wrote; raises `ValueError` for anything else."""
    name, kind, url, *back_to = text.split(_SEPARATOR)
    return DeadLetterPlace(name=name, kind=DeadLetterKind(kind), url=url, back_to=back_to[0] if back_to else None)
