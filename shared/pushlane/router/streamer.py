"""The streamer: what agents emit and the facts of tasks -> the numbered event log of each task, and to those who follow
it. Nothing else numbers.

Agents may send to its queue, so nothing there is believed unproven: an emit carries its attempt's reservation token, a
fact and a word of the platform's a signature. What proves nothing is dropped and counted: it would be as wrong the
next time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import FactName
from pushlane.model.keyring import KeyRing
from pushlane.model.live import Copy, GoOn, OpenFeed, Word
from pushlane.ports import Clock, InvalidRequest, ItemStore, MessageSender, Poster
from pushlane.router import appending, repeating
from pushlane.router.appending import APPENDS_MAX, LogPorts
from pushlane.router.following import Following, Fresh
from pushlane.router.proofs import Refused, proven
from pushlane.router.repeating import Feeds, Followed
from pushlane.state import connections
from pushlane.state.connections import EachOf
from pushlane.state.event_log import Appended, Head, Said

__all__ = ["APPENDS_MAX", "Refused", "Streamer", "StreamerPorts"]


class StreamerPorts(Struct, frozen=True, kw_only=True):
    """What the streamer needs of the outside. `back_off` waits before the n-th try to append. `measure` is given the
    counts of one batch: `recorded`, `stale` (of those), `repeated`, `copied`, `refused`, and `frames_` by what became
    of them. `events_queue_url`: its own queue, where it tells itself which logs repeat others. `poster`: None where
    there are no live connections, and so no feeds.
    """

    store: ItemStore
    clock: Clock
    keyring: Callable[[], KeyRing]
    sender: MessageSender
    events_queue_url: str
    retention_seconds: int
    back_off: Callable[[int], None]
    log: Callable[..., None]
    measure: Callable[[Mapping[str, int]], None]
    poster: Poster | None = None
    each_of: EachOf = map


class _Arrived(Struct, frozen=True):
    message_id: str
    said: Said | Word


class _OfLog(Struct, frozen=True, kw_only=True):
    """The messages of a batch that are about one log, by what is to be done."""

    said: list[Said] = []
    copies: list[Copy] = []
    feeds: list[OpenFeed] = []
    message_ids: list[str] = []


class Streamer:
    """Takes batches of the events queue."""

    def __init__(self, ports: StreamerPorts) -> None:
        self._ports = ports
        self._logs = LogPorts(
            store=ports.store, clock=ports.clock, retention_seconds=ports.retention_seconds, back_off=ports.back_off
        )
        self._feeds = Feeds(ports.store, ports.clock)
        self._following = (
            None if ports.poster is None else Following(ports.store, ports.poster, ports.log, ports.each_of)
        )

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Append one SQS batch. A log's messages succeed together or come again together, so they stay in order."""
        counts: Counter[str] = Counter()
        by_log: dict[str, _OfLog] = {}
        for record in event["Records"]:
            arrived = self._proven(record, counts)
            if arrived is not None:
                _sort_in(by_log, arrived)
        again = self._handle(by_log, counts) if by_log else []
        self._ports.measure(counts)
        self._ports.log("events", inputs=len(event["Records"]), failed=len(again), **counts)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}

    def _proven(self, record: Mapping[str, Any], counts: Counter[str]) -> _Arrived | None:
        try:
            said = proven(record["body"], self._ports.keyring(), self._ports.clock.now_ms())
        except Refused as refused:
            counts["refused"] += 1
            self._ports.log("refused", message_id=record["messageId"], code=refused.code, reason=str(refused)[:500])
            return None
        return _Arrived(record["messageId"], said)

    def _handle(self, by_log: Mapping[str, _OfLog], counts: Counter[str]) -> list[str]:
        """The ids of the messages that have to come again: first all is written, then told on, then posted."""
        failed: set[str] = set()
        try:
            heads = self._expected(by_log)
        except StoreUnavailable as error:
            self._not_done(error, by_log)
            return [one for of_log in by_log.values() for one in of_log.message_ids]
        appended: list[Followed] = []
        words: list[Word] = []
        together = self._together(by_log, heads)
        for log, of_log in by_log.items():
            try:
                appended += self._write(log, of_log, heads.get(log), together.get(log), words, counts)
            except (StoreUnavailable, InvalidRequest) as error:
                # Five times in vain and it lies in the dead letters, where an alarm is.
                self._not_done(error, [log])
                failed.add(log)
        failed |= self._tell_on(appended, words)
        fresh = {one.log: one.events for one in appended if one.own}
        failed |= self._post([log for log in by_log if log not in failed], fresh, counts)
        return [one for log in failed if log in by_log for one in by_log[log].message_ids]

    def _expected(self, by_log: Mapping[str, _OfLog]) -> dict[str, Head]:
        """The heads of the logs. Where a task's acceptance comes first none is expected and none is read: the write is
        conditional on it, so an emit that was faster, or a delivery again, costs a try.
        """
        begun = [
            log
            for log, one in by_log.items()
            if (one.said and one.said[0].kind != FactName.TASK_ACCEPTED) or (one.copies and not one.said)
        ]
        return appending.heads_of(self._logs, begun)

    def _together(self, by_log: Mapping[str, _OfLog], heads: Mapping[str, Head]) -> dict[str, Appended]:
        """One transaction for all, where nobody is in the way; what is not done by it is done log by log."""
        said = {log: one.said for log, one in by_log.items() if one.said}
        try:
            return appending.append_together(self._logs, heads, said) if len(said) > 1 else {}
        except (StoreUnavailable, InvalidRequest) as error:
            self._not_done(error, list(said))
            return {}

    def _write(
        self,
        log: str,
        of_log: _OfLog,
        head: Head | None,
        done: Appended | None,
        words: list[Word],
        counts: Counter[str],
    ) -> list[Followed]:
        """Record what is said about a log and bring it forward in its sources; the log with what it is by now."""
        followed: list[Followed] = []
        if of_log.said:
            done = done or appending.append(self._logs, log, head, of_log.said)
            self._count(log, done, counts)
            head = done.head
            followed.append(Followed(log, head, True, done.events))
        if of_log.copies:
            read = repeating.read_on(self._logs, log, head, of_log.copies)
            counts["copied"] += read.count
            counts["refused"] += len(read.refused)
            for one in read.refused:
                self._ports.log("refused", stream=log, source=one.source, code="another-tenant")
            words += read.unfinished
            followed += [Followed(log, read.head, own=False)] if read.head is not None else []
        for feed in of_log.feeds if self._following is not None else ():
            connections.open_feed(self._ports.store, feed.tenant_id, self._ports.clock.now_ms())
        return followed

    def _tell_on(self, appended: Sequence[Followed], words: Sequence[Word]) -> set[str]:
        """Tell the followers of these logs; the logs whose messages have to come again, because that failed."""
        ports = self._ports
        try:
            tenants = {one.head.tenant_id for one in appended if one.own}
            feeds = self._feeds.open(tenants) if ports.poster is not None and tenants else frozenset[str]()
            nudges = repeating.nudges(appended, feeds)
            if repeating.told(ports.sender, ports.events_queue_url, [*nudges, *words], ports.keyring):
                return set()
        except StoreUnavailable as error:
            self._not_done(error, [one.log for one in appended])
        return {one.log for one in appended} | {one.log for one in words}

    def _post(self, logs: Sequence[str], fresh: Fresh, counts: Counter[str]) -> set[str]:
        """Post to the followers of these logs; those that have to come again, because that failed."""
        if self._following is None or not logs:
            return set()
        ports = self._ports
        try:
            left: list[GoOn] = self._following.serve(logs, fresh, counts)
            if repeating.told(ports.sender, ports.events_queue_url, left, ports.keyring):
                return set()
            return {one.log for one in left}
        except StoreUnavailable as error:
            self._not_done(error, logs)
        return set(logs)

    def _not_done(self, error: Exception, logs: Sequence[str] | Mapping[str, _OfLog]) -> None:
        said = {"error": type(error).__name__, "reason": str(error)[:500]}
        self._ports.log("not-recorded", streams=list(logs)[:10], **said)

    def _count(self, log: str, done: Appended, counts: Counter[str]) -> None:
        counts["recorded"] += len(done.events)
        counts["stale"] += sum(one.stale for one in done.events)
        counts["repeated"] += done.repeated
        counts["refused"] += len(done.refused)
        for said, code in done.refused:
            self._ports.log("refused", task_id=log, epoch=said.epoch, code=code)


def _sort_in(by_log: dict[str, _OfLog], arrived: _Arrived) -> None:
    said = arrived.said
    log = said.task_id if isinstance(said, Said) else said.log
    of_log = by_log.setdefault(log, _OfLog(said=[], copies=[], feeds=[], message_ids=[]))
    of_log.message_ids.append(arrived.message_id)
    match said:
        case Said():
            of_log.said.append(said)
        case Copy():
            of_log.copies.append(said)
        case OpenFeed():
            of_log.feeds.append(said)
        case GoOn():
            pass  # to be looked at is all that it asks for
