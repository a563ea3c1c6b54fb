"""Logs that repeat others: a parent's has those of its attached tasks in it, a workflow's those of its nodes, a feed
all of its tenant's.

Whoever appends to a log tells its followers, through the streamer's own queue in their groups; a follower then reads
on in its source from where it is. So nudges may come twice, late, in another order, or get lost before a later one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.keyring import KeyRing
from pushlane.model.live import Copy, Word, feed_log, is_feed, sign_word
from pushlane.model.timeline import LoggedEvent
from pushlane.ports import Clock, ItemStore, Message, MessageSender
from pushlane.router.appending import APPENDS_MAX, LogPorts, committed, heads_of, taken_every_time
from pushlane.router.snapshots import subject_of
from pushlane.state import connections
from pushlane.state.copied_log import Repeated, places_of, repeat, repeat_writes
from pushlane.state.event_log import Head
from pushlane.state.items import text, to_json

PASSES_MAX: Final = 20
FEEDS_KNOWN_MS: Final = 1_000
_FEEDS_REMEMBERED: Final = 1_000


class Followed(Struct, frozen=True):
    """A log that was appended to, as it is now. `own`: what is its own, and not repeated from another. `events`: what
    it has just got, as far as that is at hand.
    """

    log: str
    head: Head
    own: bool
    events: tuple[LoggedEvent, ...] = ()


class ReadOn(Struct, frozen=True, kw_only=True):
    """A log after it has read on in its sources: as it is now, and how many events it got. `unfinished`: there is more
    than one call should do. `refused`: not its tenant's.
    """

    head: Head | None
    count: int = 0
    unfinished: tuple[Copy, ...] = ()
    refused: tuple[Copy, ...] = ()


class Feeds:
    """Which tenants' feeds are open, as of at most a second ago."""

    def __init__(self, store: ItemStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[int, bool]] = {}

    def open(self, tenant_ids: Iterable[str]) -> frozenset[str]:
        """Those whose feeds are open; raises `StoreUnavailable`."""
        wanted, now_ms = set(tenant_ids), self._clock.now_ms()
        unknown = [one for one in wanted if self._known.get(one, (0, False))[0] <= now_ms]
        found = connections.open_feeds(self._store, unknown, now_ms) if unknown else frozenset[str]()
        if len(self._known) > _FEEDS_REMEMBERED:
            self._known.clear()
        for one in unknown:
            self._known[one] = (now_ms + FEEDS_KNOWN_MS, one in found)
        return frozenset(one for one in wanted if one in found or self._known.get(one, (0, False))[1])


def followers_of(one: Followed, open_feeds: frozenset[str]) -> list[str]:
    """The logs that repeat this one."""
    if is_feed(one.log):
        return []
    feed = [feed_log(one.head.tenant_id)] if one.own and one.head.tenant_id in open_feeds else []
    return [*one.head.followers, *feed]


def nudges(appended: Iterable[Followed], open_feeds: frozenset[str]) -> list[Copy]:
    """What the followers of these logs are told."""
    return [
        Copy(log=follower, source=one.log, tenant_id=one.head.tenant_id, upto=one.head.last)
        for one in appended
        for follower in followers_of(one, open_feeds)
    ]


def told(sender: MessageSender, queue_url: str, words: Sequence[Word], ring: Callable[[], KeyRing]) -> bool:
    """Send words to the streamer, each in its log's group; says whether all were accepted."""
    return not (words and sender.send(queue_url, [message_of(word, ring()) for word in words]))


def message_of(word: Word, ring: KeyRing) -> Message:
    """A word as a message of the streamer's queue. The same word twice within five minutes is one message."""
    signed = sign_word(word, ring)
    # The signature: what could be foretold, an agent could use up.
    return Message(to_json(signed), group=word.log, deduplication_id=signed.signature)


def read_on(ports: LogPorts, log: str, head: Head | None, copies: Sequence[Copy]) -> ReadOn:
    """Bring a log forward in the sources that it was told of; raises `StoreUnavailable`."""
    tenant_id = head.tenant_id if head is not None else _tenant_of(ports.store, log, copies)
    mine = {one.source: one for one in copies if one.tenant_id == tenant_id}
    refused = tuple(one for one in copies if one.tenant_id != tenant_id)
    count, more = 0, bool(mine)
    for _ in range(PASSES_MAX):
        if not more or tenant_id is None:
            break
        read = _pass(ports, log, head or Head(tenant_id=tenant_id), list(mine), began=head is not None)
        head, count, more = read.done.head, count + len(read.done.events), read.more
    left = tuple(msgspec.structs.replace(one, start=head.last) for one in mine.values()) if more and head else ()
    return ReadOn(head=head, count=count, unfinished=left, refused=refused)


def _pass(ports: LogPorts, log: str, head: Head, sources: Sequence[str], *, began: bool) -> Repeated:
    """One transaction's worth of the sources; `began`: the log has a HEAD."""
    for tried in range(1, APPENDS_MAX + 1):
        read = repeat(ports.store, log, head, places_of(ports.store, log, sources))
        now_ms, kept_seconds = ports.clock.now_ms(), ports.retention_seconds
        operations = repeat_writes(log, head if began else None, read, now_ms, kept_seconds)
        if not operations or committed(ports, log, operations, tried):
            return read
        if (found := heads_of(ports, [log]).get(log)) is not None:
            head, began = found, True
    raise taken_every_time(log)


def _tenant_of(store: ItemStore, log: str, copies: Sequence[Copy]) -> str | None:
    """Whose a log is that has not begun yet. A task names its parent, and may name one of another tenant's, or none."""
    if is_feed(log):
        return next((one.tenant_id for one in copies if feed_log(one.tenant_id) == log), None)
    found = subject_of(store, log)
    return None if found is None else text(found.attributes, "tenant_id")
