"""Those who follow a log live: from where each of them is, everything that there is, frame by frame, in order.

A cursor moves after its frame was handed on, so whoever dies in between posts the frame again: a receiver drops what
it has (`sequence` <= its last) and never misses any. So may two post to one follower at once, the streamer and whoever
begins the subscription: each frame begins right behind the cursor that was read. Who is gone, or takes no more, is
forgotten, and comes back by subscribing after the last sequence that it has.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import StoreUnavailable
from pushlane.model.ids import digest
from pushlane.model.live import Connection, GoOn, Subscribe, is_feed
from pushlane.model.timeline import LoggedEvent
from pushlane.ports import CancelReason, Frame, ItemStore, Posted, Poster, TransactionCancelled
from pushlane.router.snapshots import snapshot_of
from pushlane.state import connections
from pushlane.state.connections import EachOf, Subscription
from pushlane.state.event_log import LogPage, read_events
from pushlane.state.items import to_json

# API Gateway takes 128 KB; the largest event has about 70.
FRAME_BYTES_MAX: Final = 120_000
FRAME_EVENTS_MAX: Final = 100
ROUNDS_MAX: Final = 20
BEGIN_TRIES_MAX: Final = 3


Fresh = Mapping[str, Sequence[LoggedEvent]]


class _Next(Struct, frozen=True, kw_only=True):
    """The next frame of a subscription, where its cursor is after it, and whether more can follow at once."""

    subscription: Subscription
    body: bytes
    cursor: int
    more: bool


class Following:
    """Begins subscriptions and posts to them. `each_of` reads who follows several logs."""

    def __init__(self, store: ItemStore, poster: Poster, log: Callable[..., None], each_of: EachOf = map) -> None:
        self._store = store
        self._each_of = each_of
        self._poster = poster
        self._log = log

    def begin(self, wish: Subscribe, now_ms: int) -> list[GoOn]:
        """Write a subscription down, greet its connection and post what there is; returns what is left to do when that
        is more than one call should do. One that was begun before goes on from where it is; for a connection that is
        closed by now nothing is done. Raises `StoreUnavailable`.
        """
        if is_feed(wish.log):
            connections.open_feed(self._store, wish.tenant_id, now_ms)
        begun = self._begun(wish, now_ms)
        if begun is None:
            self._log("not-subscribed", stream=wish.log, reason="the connection is closed")
            return []
        greeting = {"type": "subscribed", "stream": wish.log, "after": wish.after}
        answers = self._poster.post([Frame(wish.connection, msgspec.json.encode(greeting))])
        self._answered([wish.connection], answers)
        # The log is looked at now that the subscription is there: whoever appends from now on sees it.
        return self._serve([begun], {}, Counter()) if answers[0] is Posted.DELIVERED else []

    def _begun(self, wish: Subscribe, now_ms: int) -> Subscription | None:
        """The subscription as it is stored; None when the connection is closed."""
        found = connections.load_subscription(self._store, wish.log, wish.connection.connection_id)
        if found is not None and found.subscription_id == wish.subscription_id:
            return found
        begun = Subscription(
            log=wish.log, connection=wish.connection, subscription_id=wish.subscription_id, cursor=wish.after
        )
        operations = connections.subscribe_writes(begun, now_ms)
        for _ in range(BEGIN_TRIES_MAX):
            try:
                self._store.transact(operations, digest(wish.subscription_id, to_json(operations)))
            except TransactionCancelled as cancelled:
                if any(one.reason is CancelReason.CONDITION for one in cancelled.cancelled):
                    return None
            else:
                return begun
        raise StoreUnavailable(f"a subscription to {wish.log} met other writes every time: ask again")

    def serve(self, logs: Iterable[str], fresh: Fresh, counts: Counter[str]) -> list[GoOn]:
        """Post to everybody who follows one of these logs what they have not got; returns what is left to do when
        that is more than one call should do. `fresh`: what logs have just got, which need not be read again. Raises
        `StoreUnavailable`.
        """
        return self._serve(connections.subscriptions_of(self._store, sorted(set(logs)), self._each_of), fresh, counts)

    def _serve(self, waiting: Sequence[Subscription], fresh: Fresh, counts: Counter[str]) -> list[GoOn]:
        for _ in range(ROUNDS_MAX):
            due = self._frames(waiting, fresh)
            if not due:
                return []
            waiting = self._round(due, counts)
        return [GoOn(log=one.log, place=f"{one.subscription_id}/{one.cursor}") for one in waiting]

    def _frames(self, waiting: Sequence[Subscription], fresh: Fresh) -> list[_Next]:
        """The next frame of each that is not up to date. Those at the same place share a look at the log."""
        pages: dict[tuple[str, int], LogPage] = {}
        due: list[_Next] = []
        for one in waiting:
            place = (one.log, one.cursor)
            if place not in pages:
                pages[place] = self._page(one, fresh.get(one.log, ()))
            frame = self._next(one, pages[place])
            due += [] if frame is None else [frame]
        return due

    def _page(self, one: Subscription, fresh: Sequence[LoggedEvent]) -> LogPage:
        if fresh and fresh[0].sequence == one.cursor + 1 and len(fresh) <= FRAME_EVENTS_MAX:
            return LogPage(events=tuple(fresh), last=fresh[-1].sequence)
        return read_events(self._store, one.log, after=one.cursor, limit=FRAME_EVENTS_MAX)

    def _next(self, one: Subscription, page: LogPage) -> _Next | None:
        before = _before_a_hole(page, one.cursor)
        if page.expired and before:
            body, cursor = events_frame(one.log, before)
            return _Next(subscription=one, body=body, cursor=cursor, more=True)
        if page.expired:
            last = page.events[0].sequence - 1 if page.events else page.last
            said = {"type": "expired", "stream": one.log, "snapshot": snapshot_of(self._store, one.log), "last": last}
            return _Next(subscription=one, body=msgspec.json.encode(said), cursor=last, more=bool(page.events))
        if not page.events:
            return None
        body, cursor = events_frame(one.log, page.events)
        return _Next(subscription=one, body=body, cursor=cursor, more=page.more or cursor < page.last)

    def _round(self, due: Sequence[_Next], counts: Counter[str]) -> list[Subscription]:
        """Post one frame to each; those that can have another one at once."""
        answers = self._poster.post([Frame(one.subscription.connection, one.body) for one in due])
        delivered = [one for one, answer in zip(due, answers, strict=True) if answer is Posted.DELIVERED]
        connections.move_cursors(self._store, [(one.subscription, one.cursor) for one in delivered])
        counts.update(f"frames_{answer.value}" for answer in answers)
        self._answered([one.subscription.connection for one in due], answers)
        return [msgspec.structs.replace(one.subscription, cursor=one.cursor) for one in delivered if one.more]

    def _answered(self, posted: Sequence[Connection], answers: Sequence[Posted]) -> None:
        """Forget those that did not take it; who is slow is told so by the closing of its connection."""
        for connection, answer in zip(posted, answers, strict=True):
            if answer is not Posted.DELIVERED:
                connections.disconnect(self._store, connection.connection_id)
                self._log("connection-dropped", connection_id=connection.connection_id, reason=answer.value)
            if answer is Posted.SLOW:
                self._poster.close(connection)


def _before_a_hole(page: LogPage, cursor: int) -> list[LoggedEvent]:
    """The events that follow on the cursor without one missing."""
    return [event for place, event in enumerate(page.events, start=cursor + 1) if event.sequence == place]


def events_frame(log: str, events: Sequence[LoggedEvent]) -> tuple[bytes, int]:
    """As many of the events as a frame takes, at least one, and the last one's sequence."""
    taken: list[Any] = []
    size = 0
    for event in events:
        body = msgspec.json.encode(event)
        size += len(body) + 1
        if taken and size > FRAME_BYTES_MAX:
            break
        taken.append(msgspec.Raw(body))
    frame = msgspec.json.encode({"type": "events", "stream": log, "events": taken})
    return frame, events[len(taken) - 1].sequence
