"""How the streamer writes logs: read the HEAD, number what is new under it, and try again when the log has gone on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from pushlane.model.errors import StoreUnavailable
from pushlane.model.ids import digest
from pushlane.ports import Clock, ItemStore, TransactionCancelled, Write
from pushlane.state import event_log
from pushlane.state.event_log import Appended, Head, Said
from pushlane.state.items import to_json

APPENDS_MAX: Final = 5
_OPERATIONS_MAX: Final = 100
_BYTES_MAX: Final = 3 * 1024 * 1024


class LogPorts(Struct, frozen=True, kw_only=True):
    """What writing logs needs. `back_off` waits before the n-th try; events are kept for `retention_seconds`."""

    store: ItemStore
    clock: Clock
    retention_seconds: int
    back_off: Callable[[int], None]


def heads_of(ports: LogPorts, logs: Sequence[str]) -> dict[str, Head]:
    """The HEADs of at most 100 logs, where there are any; raises `StoreUnavailable`."""
    found = ports.store.get([event_log.head_key(log) for log in logs]) if logs else {}
    return {key.pk: event_log.head_of(item.attributes) for key, item in found.items()}


def append(ports: LogPorts, log: str, head: Head | None, said: Sequence[Said]) -> Appended:
    """Record what is new of `said` after `head`. Raises `StoreUnavailable` also when somebody else was faster every
    time.
    """
    for tried in range(1, APPENDS_MAX + 1):
        done = event_log.append(head, said)
        if not done.events:
            return done
        operations = event_log.writes(log, head, done, ports.clock.now_ms(), ports.retention_seconds)
        if committed(ports, log, operations, tried):
            return done
        head = heads_of(ports, [log]).get(log)
    raise taken_every_time(log)


def append_together(
    ports: LogPorts, heads: Mapping[str, Head], said: Mapping[str, Sequence[Said]]
) -> dict[str, Appended]:
    """Record what is new of several logs in one transaction: all of it, or nothing (then each is to be tried alone).
    Raises `StoreUnavailable`.
    """
    done = {log: event_log.append(heads.get(log), of_log) for log, of_log in said.items()}
    now_ms, kept_seconds = ports.clock.now_ms(), ports.retention_seconds
    operations = [
        one
        for log, appended in done.items()
        if appended.events
        for one in event_log.writes(log, heads.get(log), appended, now_ms, kept_seconds)
    ]
    encoded = to_json(operations)
    if not operations or len(operations) > _OPERATIONS_MAX or len(encoded) > _BYTES_MAX:
        return {}
    try:
        ports.store.transact(operations, digest("together", encoded))
    except TransactionCancelled:
        return {}
    return done


def committed(ports: LogPorts, log: str, operations: Sequence[Write], tried: int) -> bool:
    """Commit to a log; False, after a pause, when it has gone on since it was read."""
    try:
        ports.store.transact(operations, digest(log, to_json(operations)))
    except TransactionCancelled:
        ports.back_off(tried)
        return False
    return True


def taken_every_time(log: str) -> StoreUnavailable:
    return StoreUnavailable(f"the log of {log} was taken {APPENDS_MAX} times by another streamer")
