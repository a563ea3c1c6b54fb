"""`Schedules` in memory: entries fire when they are asked to, as far as the clock has come."""

from typing import Final

from msgspec import Struct

from pushlane.model.errors import InvalidEvent
from pushlane.model.occurrences import At, Timing, local_to_ms, parse_expression, zone_of
from pushlane.model.schedule import iso_time
from pushlane.ports import Clock, Message, MessageSender, ScheduleEntry, ScheduleRefused

_TIME: Final = "{time}"
_FIRINGS_MAX: Final = 10_000


class _Kept(Struct):
    entry: ScheduleEntry
    timing: Timing
    seen_ms: int  # what was due up to then has fired, or never will


class InMemorySchedules:
    """See `Schedules`. `fire_due` plays the service: it sends what fell due since the last time, oldest first."""

    def __init__(self, clock: Clock, sender: MessageSender, queue_url: str) -> None:
        self._clock = clock
        self._sender = sender
        self._queue_url = queue_url
        self._kept: dict[str, _Kept] = {}

    def put(self, entry: ScheduleEntry) -> None:
        now_ms = self._clock.now_ms()
        try:
            timing = Timing(
                expression=parse_expression(entry.expression),
                zone=zone_of(entry.timezone).key,
                anchor_ms=now_ms if entry.starts_at_ms is None else entry.starts_at_ms,
                starts_at_ms=entry.starts_at_ms,
                ends_at_ms=entry.ends_at_ms,
            )
        except InvalidEvent as error:
            raise ScheduleRefused(str(error)) from error
        self._kept[entry.name] = _Kept(_in_utc(entry, timing), timing, now_ms)

    def delete(self, name: str) -> None:
        self._kept.pop(name, None)

    def get(self, name: str) -> ScheduleEntry | None:
        kept = self._kept.get(name)
        return None if kept is None else kept.entry

    def next_due_ms(self) -> int | None:
        """When something fires next; None when nothing does."""
        found = (one.timing.next_after(one.seen_ms) for one in self._kept.values() if one.entry.enabled)
        return min((at for at in found if at is not None), default=None)

    def fire_due(self) -> int:
        """Send what is due; returns how many firings that were."""
        now_ms, fired = self._clock.now_ms(), 0
        due: list[tuple[int, str]] = []
        for name, kept in self._kept.items():
            due += [(at, name) for at in _between(kept, now_ms)] if kept.entry.enabled else []
            kept.seen_ms = now_ms
        for at_ms, name in sorted(due):
            body = self._kept[name].entry.message.replace(_TIME, iso_time(at_ms))
            fired += not self._sender.send(self._queue_url, [Message(body)])
        return fired


def _between(kept: _Kept, until_ms: int) -> list[int]:
    found: list[int] = []
    at_ms = kept.timing.next_after(kept.seen_ms)
    while at_ms is not None and at_ms <= until_ms and len(found) < _FIRINGS_MAX:
        found.append(at_ms)
        at_ms = kept.timing.next_after(at_ms)
    return found


def _in_utc(entry: ScheduleEntry, timing: Timing) -> ScheduleEntry:
    """As the adapter on AWS keeps it: a single time in UTC."""
    expression = timing.expression
    at_ms = local_to_ms(expression.local, zone_of(timing.zone)) if isinstance(expression, At) else None
    if at_ms is None:
        return entry
    text = f"at({iso_time(at_ms).removesuffix('Z')})"
    return ScheduleEntry(
        name=entry.name,
        expression=text,
        timezone="UTC",
        message=entry.message,
        enabled=entry.enabled,
        window_minutes=entry.window_minutes,
        starts_at_ms=entry.starts_at_ms,
        ends_at_ms=entry.ends_at_ms,
    )
