"""What one task costs in calls and units: counted over the real handlers, at low load and when slots are short.

What the platform calls for us is counted too: receives and deletes of queues, and invocations. Not counted are empty
receives, which cost by the hour and not by the task (`bench.cost`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from bench.counted_path import CountedPushlane, Ledger, Line, Tally
from pushlane.agent import TaskContext, agent
from pushlane.model.task import Status

TENANTS: Final = tuple(f"tenant-{number:02d}" for number in range(20))
STREAMER: Final = "streamer"
PRODUCER: Final = "producer"
_EVENTS_QUEUE: Final = "events"
_SLOTS: Final = 4
_ROOM: Final = 40  # slots, where none is to be short
_GAP_SECONDS: Final = 0.25
_WARM_UPS: Final = 20
_SWEEPS: Final = 10
_PAYLOAD: Final = {"document": "s3://documents/2026/11/22/statement-0001.pdf", "language": "en"}


class Counted(Struct, frozen=True, kw_only=True):
    """Of one task, or of one idle sweep: everything by line."""

    lines: Mapping[Line, Tally]

    def without_event_log(self) -> "Counted":
        """The same where no event log is written: no streamer, and nothing is sent to it."""
        return Counted(lines={line: tally for line, tally in self.lines.items() if not _of_event_log(line)})

    @property
    def calls(self) -> float:
        """Of AWS, by us and by the platform for us; an invocation is none."""
        return sum(tally.calls for line, tally in self.lines.items() if line.operation != "Invoke")

    @property
    def write_units(self) -> float:
        return sum(tally.write_units for tally in self.lines.values())

    @property
    def index_units(self) -> float:
        return sum(tally.index_units for tally in self.lines.values())

    @property
    def read_units(self) -> float:
        return sum(tally.read_units for tally in self.lines.values())

    def of(self, choose: Callable[[Line], str]) -> dict[str, Tally]:
        """The tallies added up by what `choose` says of each line."""
        sums: dict[str, Tally] = {}
        for line, tally in sorted(self.lines.items()):
            _add(sums.setdefault(choose(line), Tally()), tally, 1.0)
        return sums


def _of_event_log(line: Line) -> bool:
    return line.step == STREAMER or line.target == _EVENTS_QUEUE


def low_load(tasks: int) -> Counted:
    """One task every quarter of a second, with slots free: turns of one."""
    return _of_each(_ready(_ROOM), tasks, _GAP_SECONDS)


def saturated(tasks: int) -> Counted:
    """All at once, of twenty tenants, over four slots: most are parked, and a completion hands its slot on."""
    return _of_each(_ready(_SLOTS), tasks, 0)


def idle_sweep() -> Counted:
    """One sweep of an installation that has nothing to do."""
    pushlane = _ready(_SLOTS)
    _submit(pushlane, 1, 0)
    pushlane.advance_with_sweeps(2)
    pushlane.ledger.lines.clear()
    pushlane.advance_with_sweeps(_SWEEPS)
    return _share(pushlane.ledger, _SWEEPS)


def _ready(slots: int) -> CountedPushlane:
    """Two agents that do nothing share the slots."""

    @agent(task_types=("read",))
    def read(_context: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"characters": len(str(payload))}

    pushlane = CountedPushlane(tenants=TENANTS)
    for agent_id in ("one", "two"):
        pushlane.register(read, agent_id=agent_id, slots=slots // 2)
    return pushlane


def _of_each(pushlane: CountedPushlane, tasks: int, gap_seconds: float) -> Counted:
    _submit(pushlane, _WARM_UPS, gap_seconds)
    pushlane.ledger.lines.clear()
    ids = _submit(pushlane, tasks, gap_seconds)
    counted = _share(pushlane.ledger, tasks)
    unfinished = [task_id for task_id in ids if pushlane.status(task_id) != Status.SUCCEEDED]
    if unfinished:
        raise RuntimeError(f"{len(unfinished)} of {tasks} counted tasks did not succeed: the counts would be too low")
    return counted


def _submit(pushlane: CountedPushlane, count: int, gap_seconds: float) -> list[str]:
    """Through the event door: a call of the bus, and its rule's message to the intake queue."""
    ids: list[str] = []
    for number in range(count):
        with pushlane.ledger.during(PRODUCER):
            _add(pushlane.ledger.at("PutEvents", "intake bus"), Tally(calls=1, entries=1, requests=1), 1)
            ids.append(pushlane.submit(tenant_id=TENANTS[number % len(TENANTS)], task_type="read", payload=_PAYLOAD))
        if gap_seconds:
            pushlane.advance(gap_seconds)
    pushlane.advance(1)
    return ids


def _share(ledger: Ledger, parts: int) -> Counted:
    lines: dict[Line, Tally] = {}
    for line, tally in ledger.lines.items():
        _add(lines.setdefault(line, Tally()), tally, 1 / parts)
    return Counted(lines=lines)


def _add(to: Tally, tally: Tally, times: float) -> None:
    for name in Tally.__struct_fields__:
        setattr(to, name, getattr(to, name) + getattr(tally, name) * times)
