"""Trace files: what arrived when, how long it ran, and when it should have been done.

A CSV with the header `arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on`.
Times are seconds from the start of the trace; `deadline_s` is absolute, not relative to the arrival. The last three may
be empty. `depends_on` holds the ids of the tasks that must have finished first, separated by `;` or spaces.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TextIO

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.task import Tier

HEADER: Final = "arrival_s,tenant,tier,tokens_in,tokens_out,runtime_s,deadline_s,task_type,task_id,depends_on"
COLUMNS: Final = tuple(HEADER.split(","))
DEFAULT_TYPE: Final = "task"
_OPTIONAL: Final = frozenset({"task_type", "task_id", "depends_on"})
_SEPARATORS: Final = re.compile(r"[;\s]+")
# Times are kept in whole milliseconds, and a year is longer than any trace: far below what a float holds exactly.
_SECONDS_MAX: Final = 366 * 86_400


class InvalidTrace(PushlaneError):
    """A trace cannot be read; the message names the line and the column."""


class TraceTask(Struct, frozen=True, kw_only=True):
    """One task of a trace. Times are seconds from the trace's start; `deadline_s` is absolute."""

    arrival_s: float
    tenant: str
    tier: Tier
    tokens_in: int
    tokens_out: int
    runtime_s: float
    deadline_s: float
    task_type: str
    task_id: str
    depends_on: tuple[str, ...] = ()


def read_trace(lines: Iterable[str]) -> list[TraceTask]:
    """The tasks of a trace in order of arrival; raises `InvalidTrace`."""
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ()) and name not in _OPTIONAL]
    if missing:
        raise InvalidTrace(f"line 1: the header lacks {', '.join(missing)}; it is {HEADER}")
    numbered = [(number, _task(number, row)) for number, row in enumerate(reader, start=2)]
    _check_ids(numbered)
    tasks = sorted((task for _, task in numbered), key=lambda task: task.arrival_s)
    in_dependency_order(tasks)
    return tasks


def write_trace(tasks: Iterable[TraceTask], file: TextIO) -> None:
    """Write tasks as a trace file that `read_trace` reads; times to the millisecond."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows(_row(task) for task in tasks)


def slots_for_load(trace: Sequence[TraceTask], load: float) -> int:
    """How many slots make the work of the trace `load` times what they can do between its first and last arrival.

    Raises `InvalidTrace` when the trace spans no time or `load` is not positive.
    """
    if not load > 0:
        raise InvalidTrace(f"load is {load}; it is work offered / capacity, e.g. 0.9 or 1.5")
    span_s = trace[-1].arrival_s - trace[0].arrival_s if trace else 0.0
    if span_s <= 0:
        raise InvalidTrace("all tasks arrive at once, so a load has no meaning; give the number of slots instead")
    return max(1, round(sum(task.runtime_s for task in trace) / (span_s * load)))


def in_dependency_order(tasks: Sequence[TraceTask]) -> list[TraceTask]:
    """Parents before children, else in the order given. Raises `InvalidTrace` on an unknown parent or a cycle."""
    waits_for = {task.task_id: len(set(task.depends_on)) for task in tasks}
    children = _children(tasks)
    ordered = [task for task in tasks if not task.depends_on]
    for task in ordered:  # grows while it is read
        for child in children.get(task.task_id, ()):
            waits_for[child.task_id] -= 1
            if not waits_for[child.task_id]:
                ordered.append(child)
    if len(ordered) < len(tasks):
        stuck = sorted(task_id for task_id, count in waits_for.items() if count)
        raise InvalidTrace(f"depends_on: {', '.join(stuck[:5])} wait for each other in a circle; break it")
    return ordered


def _children(tasks: Sequence[TraceTask]) -> Mapping[str, list[TraceTask]]:
    known = {task.task_id for task in tasks}
    children: dict[str, list[TraceTask]] = {}
    for task in tasks:
        for parent in set(task.depends_on):
            if parent not in known:
                raise InvalidTrace(f"task {task.task_id}: depends_on names {parent!r}, which the trace does not have")
            children.setdefault(parent, []).append(task)
    return children


def _check_ids(numbered: Sequence[tuple[int, TraceTask]]) -> None:
    first: dict[str, int] = {}
    for line, task in numbered:
        if task.task_id in first:
            raise InvalidTrace(f"line {line}: task_id {task.task_id!r} is already that of line {first[task.task_id]}")
        first[task.task_id] = line


def _task(line: int, row: Mapping[str, Any]) -> TraceTask:
    if None in row.values() or None in row:
        raise InvalidTrace(f"line {line}: it has more or fewer columns than the header")
    values: dict[str, Any] = {name: row.get(name) or "" for name in COLUMNS}
    values["task_type"] = values["task_type"] or DEFAULT_TYPE
    values["task_id"] = values["task_id"] or f"line-{line}"
    values["depends_on"] = tuple(part for part in _SEPARATORS.split(values["depends_on"]) if part)
    try:
        task = msgspec.convert(values, TraceTask, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidTrace(f"line {line}: {error}") from error
    for problem in _problems(task):
        raise InvalidTrace(f"line {line}: {problem}")
    return task


def _problems(task: TraceTask) -> Iterator[str]:
    if not task.tenant:
        yield "tenant is empty; every task belongs to one"
    for name in ("arrival_s", "runtime_s", "deadline_s"):
        value = getattr(task, name)
        if not 0 <= value <= _SECONDS_MAX:
            yield f"{name} is {value}; it cannot be negative or above {_SECONDS_MAX} seconds (a year)"
    for name in ("tokens_in", "tokens_out"):
        if getattr(task, name) < 0:
            yield f"{name} is {getattr(task, name)}; it cannot be negative"
    if task.task_id in task.depends_on:
        yield f"depends_on: {task.task_id} waits for itself"


def _row(task: TraceTask) -> list[object]:
    return [
        f"{task.arrival_s:.3f}",
        task.tenant,
        task.tier.value,
        task.tokens_in,
        task.tokens_out,
        f"{task.runtime_s:.3f}",
        f"{task.deadline_s:.3f}",
        "" if task.task_type == DEFAULT_TYPE else task.task_type,
        task.task_id,
        ";".join(task.depends_on),
    ]
