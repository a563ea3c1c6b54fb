"""The streamer: what agents emit and the facts of tasks -> the numbered event log of each task. Nothing else numbers.

Agents may send to its queue, so nothing there is believed unproven: an emit carries its attempt's reservation token, a
fact the lifecycle's signature. What proves nothing is dropped and counted: it would be as wrong the next time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.emitted import Emitted
from pushlane.model.errors import InvalidToken, PushlaneError, StoreUnavailable
from pushlane.model.events import Fact, FactName
from pushlane.model.ids import digest
from pushlane.model.nesting import nests_too_deep
from pushlane.model.timeline import TASK_ENDS, Origin, Recorded, check_fact
from pushlane.ports import Clock, InvalidRequest, ItemStore, TransactionCancelled
from pushlane.state import event_log
from pushlane.state.event_log import Appended, Head, Said
from pushlane.state.items import to_json

APPENDS_MAX: Final = 5
_KIND_CHARACTERS_MAX: Final = 128
_RUNNER_CHARACTERS_MAX: Final = 128
_NUMBER_MAX: Final = 2**52


class StreamerPorts(Struct, frozen=True, kw_only=True):
    """What the streamer needs of the outside. `back_off` waits before the n-th try to append. `measure` is given the
    counts of one batch: `recorded`, `stale` (of those), `repeated` and `refused`.
    """

    store: ItemStore
    clock: Clock
    signing_key: Callable[[], bytes]
    retention_seconds: int
    back_off: Callable[[int], None]
    log: Callable[..., None]
    measure: Callable[[Mapping[str, int]], None]


class Refused(PushlaneError):
    """A message that is dropped; `code` says why for programs."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Form(Struct, frozen=True):
    """Enough of a message to tell a fact from an emit."""

    signature: str | None = None


class _Arrived(Struct, frozen=True):
    message_id: str
    said: Said


class Streamer:
    """Appends batches of the events queue."""

    def __init__(self, ports: StreamerPorts) -> None:
        self._ports = ports

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Append one SQS batch. A task's messages succeed together or come again together, so they stay in order."""
        counts: Counter[str] = Counter()
        by_task: dict[str, list[_Arrived]] = {}
        for record in event["Records"]:
            arrived = self._proven(record, counts)
            if arrived is not None:
                by_task.setdefault(arrived.said.task_id, []).append(arrived)
        again = self._append_all(by_task, counts) if by_task else []
        self._ports.measure(counts)
        self._ports.log("events", inputs=len(event["Records"]), failed=len(again), **counts)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in again]}

    def _proven(self, record: Mapping[str, Any], counts: Counter[str]) -> _Arrived | None:
        try:
            said = said_in(record["body"], self._ports.signing_key(), self._ports.clock.now_ms())
        except Refused as refused:
            counts["refused"] += 1
            self._ports.log("refused", message_id=record["messageId"], code=refused.code, reason=str(refused)[:500])
            return None
        return _Arrived(record["messageId"], said)

    def _append_all(self, by_task: Mapping[str, Sequence[_Arrived]], counts: Counter[str]) -> list[str]:
        """The ids of the messages that have to come again."""
        try:
            heads = self._expected(by_task)
        except StoreUnavailable as error:
            self._ports.log("not-recorded", error=type(error).__name__, reason=str(error)[:500])
            return [one.message_id for arrived in by_task.values() for one in arrived]
        again: list[str] = []
        for task_id, arrived in by_task.items():
            try:
                done = self._append(task_id, heads.get(task_id), [one.said for one in arrived])
            except (StoreUnavailable, InvalidRequest) as error:
                # Five times in vain and it lies in the dead letters, where an alarm is.
                self._ports.log("not-recorded", task_id=task_id, error=type(error).__name__, reason=str(error)[:500])
                again += [one.message_id for one in arrived]
            else:
                self._count(done, counts)
        return again

    def _expected(self, by_task: Mapping[str, Sequence[_Arrived]]) -> dict[str, Head]:
        """The heads of the logs. Where a task's acceptance comes first none is expected and none is read: the write is
        conditional on it, so an emit that was faster, or a delivery again, costs a try.
        """
        begun = [task_id for task_id, arrived in by_task.items() if arrived[0].said.kind != FactName.TASK_ACCEPTED]
        return self._heads(begun) if begun else {}

    def _append(self, task_id: str, head: Head | None, said: Sequence[Said]) -> Appended:
        """Raises `StoreUnavailable` also when somebody else was faster every time."""
        for tried in range(1, APPENDS_MAX + 1):
            done = event_log.append(head, said)
            if not done.events:
                return done
            now_ms, kept = self._ports.clock.now_ms(), self._ports.retention_seconds
            operations = event_log.writes(task_id, head, done, now_ms, kept)
            try:
                self._ports.store.transact(operations, digest(task_id, to_json(operations)))
            except TransactionCancelled:
                self._ports.back_off(tried)
                head = self._heads([task_id]).get(task_id)
            else:
                return done
        raise StoreUnavailable(f"the log of {task_id} was taken {APPENDS_MAX} times by another streamer")

    def _heads(self, task_ids: Sequence[str]) -> dict[str, Head]:
        found = self._ports.store.get([event_log.head_key(task_id) for task_id in task_ids])
        return {key.pk: event_log.head_of(item.attributes) for key, item in found.items()}

    def _count(self, done: Appended, counts: Counter[str]) -> None:
        counts["recorded"] += len(done.events)
        counts["stale"] += sum(one.stale for one in done.events)
        counts["repeated"] += done.repeated
        counts["refused"] += len(done.refused)
        for said, code in done.refused:
            self._ports.log("refused", task_id=said.task_id, epoch=said.epoch, code=code)


def said_in(body: str, key: bytes, now_ms: int) -> Said:
    """What a message says, proven; raises `Refused`."""
    try:
        if msgspec.json.decode(body, type=_Form).signature is not None:
            return _fact(msgspec.json.decode(body, type=Recorded), key)
        return _emit(msgspec.json.decode(body, type=Emitted), key, now_ms)
    except InvalidToken as error:
        raise Refused("unproven", str(error)) from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Refused("unreadable", str(error)) from error


def _fact(recorded: Recorded, key: bytes) -> Said:
    check_fact(recorded, key)
    fact = msgspec.json.decode(recorded.fact, type=Fact)
    data, metadata = fact.data, fact.metadata
    if data.task_id is None or data.tenant_id is None:
        raise Refused("no-task", f"{metadata.name} is about no task")
    return Said(
        tenant_id=data.tenant_id,
        task_id=data.task_id,
        origin=Origin.FACT,
        kind=metadata.name.value,
        at_ms=metadata.occurred_at_ms,
        source_id=metadata.fact_id,
        epoch=data.epoch,
        ends=metadata.name in TASK_ENDS,
        data=msgspec.to_builtins(data),
    )


def _emit(one: Emitted, key: bytes, now_ms: int) -> Said:
    claims = token.verify(one.token, key, now_ms)
    if (claims.task_id, claims.epoch) != (one.task_id, one.epoch):
        raise Refused("another-attempt", "the token is not of the attempt that the emit names")
    _check_form(one)
    return Said(
        tenant_id=claims.tenant_id,
        task_id=one.task_id,
        origin=Origin.AGENT,
        kind=one.kind,
        at_ms=one.emitted_at_ms,
        source_id=f"{one.epoch}/{one.runner}/{one.number}",
        epoch=one.epoch,
        runner=one.runner,
        number=one.number,
        data=one.data,
    )


def _check_form(one: Emitted) -> None:
    if not (0 < len(one.kind) <= _KIND_CHARACTERS_MAX and 0 < len(one.runner) <= _RUNNER_CHARACTERS_MAX):
        raise Refused("form", f"kind and runner have 1 to {_KIND_CHARACTERS_MAX} characters")
    if not (1 <= one.number <= _NUMBER_MAX and 0 <= one.emitted_at_ms <= _NUMBER_MAX):
        raise Refused("form", "number counts from 1, and both it and emitted_at_ms are at most 2**52")
    if nests_too_deep(one.data):
        raise Refused("form", "data nests too deep")
    size = len(msgspec.json.encode(one.data))
    if size > INLINE_BYTES_MAX:
        raise Refused("form", f"data has {size} bytes, at most {INLINE_BYTES_MAX}")
