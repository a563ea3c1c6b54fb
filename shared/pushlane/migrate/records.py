"""What a polling fleet is seen doing, as values: one JSON line each, appended to a file."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError


class Polled(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="polled"):
    """A poller looked for work at `at_ms` and found so many tasks."""

    at_ms: int
    poller: str
    found: int


class Picked(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="picked"):
    """A poller began with a task. `enqueued_at_ms`: since when it was waiting, where the queue says so."""

    task_id: str
    tenant_id: str
    at_ms: int
    poller: str
    enqueued_at_ms: int | None = None
    deadline_ms: int | None = None
    task_type: str = "task"
    tier: str = "normal"


class Ended(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="ended"):
    """The task was over, one way or the other."""

    task_id: str
    tenant_id: str
    at_ms: int
    succeeded: bool = True


Record = Polled | Picked | Ended


class UnreadableRecord(PushlaneError):
    """A line is no record; the message names it."""


_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def line_of(record: Record) -> bytes:
    """The record as a line, with its end."""
    return msgspec.json.encode(record) + b"\n"


def records_of(lines: Iterable[bytes | str], name: str = "the file") -> Iterator[Record]:
    """The records of JSON lines; empty lines are passed over, and so is an unfinished last one, which a process that
    was killed leaves behind. Raises `UnreadableRecord` for any other.
    """
    broken: tuple[int, Exception] | None = None
    for number, line in enumerate(lines, start=1):
        if broken is not None:
            at, why = broken
            raise UnreadableRecord(f"{name}, line {at}: {why}; take the line out, and read it again") from why
        if not line.strip():
            continue
        try:
            record = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            broken = (number, error)
            continue
        yield record
