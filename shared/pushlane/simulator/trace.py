"""Trace files: what arrived when, how long it ran, and when it should have been done.

A CSV with the header `arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on`;
seconds from the start of the trace; the last three may be empty. `depends_on` is not simulated yet and must be empty.
"""

import csv
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.task import Tier

HEADER: Final = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on"
COLUMNS: Final = tuple(HEADER.split(","))


class InvalidTrace(PushlaneError):
    """A trace cannot be read; the message names the line and the column."""


class TraceTask(Struct, frozen=True, kw_only=True):
    """One task of a trace. Times are seconds from the trace's start."""

    arrival_s: float
    tenant: str
    tier: Tier
    tokens_in: int
    tokens_out: int
    runtime_s: float
    deadline_s: float
    task_type: str
    task_id: str


def read_trace(lines: Iterable[str]) -> list[TraceTask]:
    """The tasks of a trace in order of arrival; raises `InvalidTrace`."""
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidTrace(f"line 1: the header lacks {', '.join(missing)}; it is {HEADER}")
    tasks = [_task(number, row) for number, row in enumerate(reader, start=2)]
    return sorted(tasks, key=lambda task: task.arrival_s)


def _task(line: int, row: dict[str, Any]) -> TraceTask:
    if row["depends_on"]:
        raise InvalidTrace(f"line {line}: depends_on is set, and dependencies are not simulated yet")
    values = {name: row[name] for name in COLUMNS if name != "depends_on"}
    values["task_type"] = values["task_type"] or "task"
    values["task_id"] = values["task_id"] or f"line-{line}"
    try:
        task = msgspec.convert(values, TraceTask, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidTrace(f"line {line}: {error}") from error
    if task.runtime_s < 0 or task.arrival_s < 0:
        raise InvalidTrace(f"line {line}: arrival_s and runtime_s cannot be negative")
    return task
