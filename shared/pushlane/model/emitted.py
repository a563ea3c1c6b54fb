"""What an attempt says to those who watch it while it works.

It travels on the `events` FIFO queue: its group is the task, so that one task's events stay in order; its deduplication
id names the attempt and the number, so that one that was sent twice is delivered once. Only the streamer numbers the
events of a task.
"""

from typing import Any, Final, Literal

from msgspec import Struct

# Kinds that the SDK itself emits; every other kind is an author's own.
PROGRESS: Final = "progress"
LOG: Final = "log"


class Emitted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Agent -> streamer. `number` counts the attempt's emits from 1; `token` proves who says it, and is checked. `data`
    is any JSON value of at most 64 KB.
    """

    token: str
    task_id: str
    epoch: int
    runner: str
    number: int
    kind: str
    emitted_at_ms: int
    data: Any = None
    v: Literal[1] = 1


def emitted_group(task_id: str) -> str:
    """The FIFO group: one task's events stay in the order in which they were said."""
    return task_id


def emitted_id(one: Emitted) -> str:
    """The deduplication id, the same however often the message is sent (at most 128 characters, as SQS has it)."""
    return f"{one.task_id}/{one.epoch}/{one.runner}/{one.number}"
