"""An event log: one partition of the events table, a HEAD and numbered events. Only the streamer writes it.

Logs are those of tasks and workflows, and tenants' feeds (`pushlane.model.live` names them).

The HEAD says what is taken: the last sequence, the last numbers of each speaker, the ids of recent facts. Events and
HEAD are written in one transaction under the HEAD that was read, so two streamers cannot give a number twice, and what
was delivered again, however late, is known. The rules are pure; an emit is recorded as stale when a fact or an emit of
a later attempt is in the log before it, or the task's end.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.timeline import LoggedEvent, Origin
from pushlane.ports import Absent, Attributes, Conditions, Equals, Item, ItemStore, Key, Put, Scalar, Table, Write
from pushlane.state.items import text, to_json

HEAD: Final = "HEAD"
VERSION: Final = 1
# What a HEAD remembers. A stream batch that comes again repeats at most 101 facts of one task; an attempt's emits come
# in order but for those that were sent again one by one.
SPEAKERS_MAX: Final = 16
MISSING_MAX: Final = 64
FACTS_MAX: Final = 128
_FACT_ID_CHARACTERS: Final = 16
# The HEAD outlives its events: what lay in dead letters may come back, and a task may sleep for long.
_HEAD_SECONDS: Final = 30 * 24 * 3600
_LIVE_HEAD_SECONDS: Final = 400 * 24 * 3600
PAGE_MAX: Final = 1_000


class Said(Struct, frozen=True, kw_only=True):
    """One verified thing to record, in the log of what it is about: a task, or a workflow whose id stands as `task_id`.
    `number` is an emit's within its attempt; `ends`: the task has ended with it. `followers`: logs that repeat this
    one, as the acceptance names them.
    """

    tenant_id: str
    task_id: str
    origin: Origin
    kind: str
    at_ms: int
    source_id: str
    epoch: int | None = None
    runner: str = ""
    number: int = 0
    ends: bool = False
    data: Any = None
    followers: tuple[str, ...] = ()


class Speaker(Struct, frozen=True, kw_only=True, array_like=True):
    """One attempt's voice: the highest number taken from it, and the lower ones that have not come (yet)."""

    epoch: int
    runner: str
    highest: int = 0
    missing: tuple[int, ...] = ()


class Head(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the log has taken so far. `epoch`: the latest attempt that anything in it is about. `followers`: logs that
    repeat it; `copies`: it repeats others. `ended_at_ms`: when what it is about ended.
    """

    tenant_id: str
    last: int = 0
    epoch: int = 0
    ended: bool = False
    speakers: tuple[Speaker, ...] = ()
    fact_ids: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()
    copies: bool = False
    ended_at_ms: int | None = None


class Appended(Struct, frozen=True, kw_only=True):
    """A log after more was said: what to write, how much of it was there before, and what is not taken and why."""

    head: Head
    events: tuple[LoggedEvent, ...] = ()
    repeated: int = 0
    refused: tuple[tuple[Said, str], ...] = ()


class LogPage(Struct, frozen=True, kw_only=True):
    """Part of a log. `last`: where to read on from. `more`: there are further events already. `expired`: of the events
    that were asked for some are not there any more; what they led to stands in the task itself. `head`: what the log
    has taken, when the page reaches the log's end.
    """

    events: tuple[LoggedEvent, ...]
    last: int
    more: bool = False
    expired: bool = False
    head: Head | None = None


def head_key(log: str) -> Key:
    return Key(Table.EVENTS, log, HEAD)


def event_key(log: str, sequence: int) -> Key:
    return Key(Table.EVENTS, log, _sort_key(sequence))


def head_of(attributes: Attributes) -> Head:
    return msgspec.json.decode(text(attributes, "head"), type=Head)


def append(before: Head | None, said: Sequence[Said]) -> Appended:
    """Number what is new of `said`, which is of one task, in its order. Pure."""
    done = Appended(head=before or Head(tenant_id=said[0].tenant_id))
    for one in said:
        done = _take(done, one)
    return done


def writes(log: str, before: Head | None, done: Appended, now_ms: int, retention_seconds: int) -> list[Write]:
    """The transaction that makes it so, unless the log has gone on since `before` was read."""
    now_s = now_ms // 1_000
    unchanged: Conditions = (Absent(),) if before is None else (Equals("last", before.last),)
    attributes: dict[str, Scalar] = {
        "v": VERSION,
        "last": done.head.last,
        "head": to_json(done.head),
        "expires_at_s": now_s + kept_seconds(done.head, retention_seconds),
    }
    events = [_put(log, event, now_s + retention_seconds) for event in done.events]
    return [Put(head_key(log), attributes, unchanged), *events]


def kept_seconds(head: Head, retention_seconds: int) -> int:
    """How long what is remembered of a log is kept."""
    return retention_seconds + (_HEAD_SECONDS if head.ended else _LIVE_HEAD_SECONDS)


def read_events(store: ItemStore, log: str, *, after: int = 0, limit: int = 100) -> LogPage:
    """Up to `limit` events (at most 1,000) with a higher sequence than `after`, in order; one consistent query."""
    limit = min(limit, PAGE_MAX)
    # The HEAD sorts behind every event: a page that holds it is the end of the log.
    found = store.query(Table.EVENTS, log, limit=limit + 1, start=_sort_key(after + 1))
    events = tuple(event_of(item) for item in found if item.key.sk != HEAD)[:limit]
    head = next((head_of(item.attributes) for item in found if item.key.sk == HEAD), None)
    if not events:
        last = 0 if head is None else head.last
        return LogPage(events=(), last=last, expired=after != last, head=head)
    return LogPage(
        events=events,
        last=events[-1].sequence,
        more=head is None and len(found) > len(events),
        expired=events[-1].sequence - after != len(events),
        head=head,
    )


def event_of(item: Item) -> LoggedEvent:
    return msgspec.json.decode(text(item.attributes, "event"), type=LoggedEvent)


def _sort_key(sequence: int) -> str:
    return f"{max(0, sequence):012d}"


def _put(log: str, event: LoggedEvent, expires_at_s: int) -> Put:
    attributes: dict[str, Scalar] = {"v": VERSION, "event": to_json(event), "expires_at_s": expires_at_s}
    return Put(event_key(log, event.sequence), attributes)


def _take(done: Appended, said: Said) -> Appended:
    head = done.head
    if said.tenant_id != head.tenant_id:
        return _refused(done, said, "another-tenant")
    if said.origin is Origin.FACT:
        fact_id = said.source_id[:_FACT_ID_CHARACTERS]
        if fact_id in head.fact_ids:
            return msgspec.structs.replace(done, repeated=done.repeated + 1)
        fact_ids = (*head.fact_ids, fact_id)[-FACTS_MAX:]
        return _recorded(done, said, msgspec.structs.replace(head, fact_ids=fact_ids), stale=False)
    return _emitted(done, said)


def _emitted(done: Appended, said: Said) -> Appended:
    head, epoch = done.head, said.epoch or 0
    speaker = next((one for one in head.speakers if (one.epoch, one.runner) == (epoch, said.runner)), None)
    if speaker is None and len(head.speakers) == SPEAKERS_MAX and epoch < head.speakers[0].epoch:
        return _refused(done, said, "attempt-too-old")
    heard = _heard(speaker or Speaker(epoch=epoch, runner=said.runner), said.number)
    if heard is None:
        return msgspec.structs.replace(done, repeated=done.repeated + 1)
    others = (one for one in head.speakers if one is not speaker)
    speakers = tuple(sorted((*others, heard), key=lambda one: one.epoch))[-SPEAKERS_MAX:]
    stale = head.ended or epoch < head.epoch
    return _recorded(done, said, msgspec.structs.replace(head, speakers=speakers), stale=stale)


def _heard(speaker: Speaker, said_number: int) -> Speaker | None:
    """The speaker after one of its numbers; None when that number was taken before."""
    if said_number in speaker.missing:
        missing = tuple(one for one in speaker.missing if one != said_number)
        return msgspec.structs.replace(speaker, missing=missing)
    if said_number <= speaker.highest:
        return None
    skipped = range(max(speaker.highest + 1, said_number - MISSING_MAX), said_number)
    missing = (*speaker.missing, *skipped)[-MISSING_MAX:]
    return msgspec.structs.replace(speaker, highest=said_number, missing=missing)


def _recorded(done: Appended, said: Said, head: Head, *, stale: bool) -> Appended:
    event = LoggedEvent(
        task_id=said.task_id,
        sequence=head.last + 1,
        origin=said.origin,
        kind=said.kind,
        at_ms=said.at_ms,
        source_id=said.source_id,
        epoch=said.epoch,
        data=said.data,
        stale=stale,
    )
    after = msgspec.structs.replace(
        head,
        last=event.sequence,
        epoch=max(head.epoch, said.epoch or 0),
        ended=head.ended or said.ends,
        ended_at_ms=said.at_ms if said.ends else head.ended_at_ms,
        followers=said.followers or head.followers,
    )
    return msgspec.structs.replace(done, head=after, events=(*done.events, event))


def _refused(done: Appended, said: Said, why: str) -> Appended:
    return msgspec.structs.replace(done, refused=(*done.refused, (said, why)))
