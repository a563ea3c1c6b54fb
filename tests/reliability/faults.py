"""What goes wrong, by name; and what goes wrong at which call of a port."""

from collections import Counter
from enum import StrEnum
from typing import Final

from pushlane.ports import Cancelled, CancelReason, TransactionCancelled
from tests.reliability.chance import Chance
from tests.reliability.points import Point, Site, Standing


class Fault(StrEnum):
    """Every kind of fault, as the report counts it."""

    CRASH_BEFORE = "crash-before-call"
    CRASH_AFTER = "crash-after-call"
    ANSWER_LOST = "answer-lost"  # done, and the caller is told that the store is unavailable
    SENT_TWICE = "sent-twice"  # done, the answer lost on the wire, and sent again by the client underneath
    THROTTLED = "store-throttled"
    TRANSACTION_THROTTLED = "transaction-throttled"
    CONFLICT = "transaction-conflict"
    SLIPPED_IN = "slipped-in"  # another handler runs between two calls of this one
    STALLED = "handler-stalled"  # a handler stands still between two calls, for seconds or minutes
    SEND_REFUSED = "send-refused"
    SEND_PARTLY_REFUSED = "send-partly-refused"
    SEND_UNACKNOWLEDGED = "send-unacknowledged"  # sent, and reported as not accepted
    FACTS_REFUSED = "facts-refused"
    FACTS_UNACKNOWLEDGED = "facts-unacknowledged"
    BLOB_FAILED = "blob-failed"
    BLOB_UNACKNOWLEDGED = "blob-unacknowledged"
    DUPLICATED = "delivery-duplicated"
    DELAYED = "delivery-delayed"
    REORDERED = "delivery-reordered"
    DROPPED = "delivery-dropped"  # the function dies before it begins; the queue shows the batch again later
    MESSAGE_LOST = "message-lost"  # a wake-up, a nudge or a push that never comes
    STALE_MEMORY = "stale-memory"  # a warm router uses what it remembers although others have committed since
    MEMORY_LOST = "memory-lost"
    CLOCK_SKEWED = "agent-clock-skewed"
    AGENT_SILENT = "agent-silent"
    AGENT_FROZEN = "agent-frozen"  # it stands still beyond its lease and then goes on
    AGENT_CHANGED = "agent-changed"
    POLICY_CHANGED = "policy-changed"
    POLICY_UNREADABLE = "policy-unreadable"
    ITEM_UNREADABLE = "item-unreadable"
    HEARTBEATS_LOST = "agent-heartbeats-lost"
    COUNTER_DRIFTED = "counter-drifted"
    REDEPLOYED = "redeployed"
    OLDER_ITEM = "older-item"  # written by the version before
    ROGUE_FINISH = "rogue-finish"  # an invocation that is not the runner says that it has finished
    ROGUE_NUDGE = "rogue-nudge"  # a nudge that says something else than the attempt's own word


Counts = Counter[Fault]

_READ: Final = (
    (Fault.CRASH_BEFORE, 3.0),
    (Fault.CRASH_AFTER, 3.0),
    (Fault.THROTTLED, 3.0),
    (Fault.ANSWER_LOST, 2.0),
    (Fault.SLIPPED_IN, 6.0),
    (Fault.STALLED, 4.0),
)
_WRITE: Final = (*_READ, (Fault.SENT_TWICE, 4.0))
_TRANSACT: Final = (
    *_READ,
    (Fault.SLIPPED_IN, 9.0),
    (Fault.ANSWER_LOST, 3.0),
    (Fault.SENT_TWICE, 4.0),
    (Fault.CONFLICT, 6.0),
    (Fault.TRANSACTION_THROTTLED, 3.0),
)
_SEND: Final = (
    (Fault.CRASH_BEFORE, 3.0),
    (Fault.CRASH_AFTER, 3.0),
    (Fault.SEND_REFUSED, 3.0),
    (Fault.SEND_PARTLY_REFUSED, 3.0),
    (Fault.SEND_UNACKNOWLEDGED, 3.0),
    (Fault.SLIPPED_IN, 3.0),
    (Fault.STALLED, 4.0),
)
_PUBLISH: Final = (
    (Fault.CRASH_BEFORE, 2.0),
    (Fault.CRASH_AFTER, 2.0),
    (Fault.FACTS_REFUSED, 3.0),
    (Fault.FACTS_UNACKNOWLEDGED, 3.0),
)
_BLOB: Final = (
    (Fault.CRASH_BEFORE, 2.0),
    (Fault.CRASH_AFTER, 2.0),
    (Fault.BLOB_FAILED, 3.0),
    (Fault.BLOB_UNACKNOWLEDGED, 3.0),
)
OPTIONS: Final = {
    "store.get": _READ,
    "store.query": _READ,
    "store.write": _WRITE,
    "store.transact": _TRANSACT,
    "sender.send": _SEND,
    "sink.publish": _PUBLISH,
    "blobs.get": _BLOB,
    "blobs.put": _BLOB,
}
# Done, and answered as if it were not: the middle one of the three moments of a call.
_ERRORS: Final = {
    "store": Fault.ANSWER_LOST,
    "sender": Fault.SEND_UNACKNOWLEDGED,
    "sink": Fault.FACTS_UNACKNOWLEDGED,
    "blobs": Fault.BLOB_UNACKNOWLEDGED,
}
_TARGETS_A_WORLD: Final = 24
_CALLS_BEFORE_TARGET_MAX: Final = 4


def fault_of(point: Point) -> Fault:
    """The fault that is a point's."""
    if point.mode == "before":
        return Fault.CRASH_BEFORE
    if point.mode == "after":
        return Fault.CRASH_AFTER
    return _ERRORS[point.site.call.partition(".")[0]]


_MODES: Final = {
    Fault.CRASH_BEFORE: "before",
    Fault.CRASH_AFTER: "after",
    **dict.fromkeys(_ERRORS.values(), "error"),
}


class Injector:
    """Chooses the faults of one world's port calls, and counts every fault. `points`: all there are in the code; each
    world aims at a few of them by its seed, beside what chance brings.
    """

    def __init__(self, seed: int, chance: Chance, standing: Standing, points: list[Point]) -> None:
        self._chance = chance
        self._standing = standing
        self.counts: Counts = Counter()
        self.covered: set[Point] = set()
        self.active = False
        self.rate = chance.pick((0.0, 0.02, 0.04, 0.05, 0.06, 0.08, 0.12))
        self.calls = 0
        self._targets = self._aims(seed, points)

    def _aims(self, seed: int, points: list[Point]) -> dict[Site, list[tuple[Fault, int]]]:
        targets: dict[Site, list[tuple[Fault, int]]] = {}
        for number in range(_TARGETS_A_WORLD if points else 0):
            point = points[(seed * _TARGETS_A_WORLD + number) % len(points)]
            calls = self._chance.pick((0, 0, 1, _CALLS_BEFORE_TARGET_MAX))
            targets.setdefault(point.site, []).append((fault_of(point), calls))
        return targets

    def aims_at(self, files: frozenset[str]) -> bool:
        """Whether this world aims at a call in one of these files."""
        return any(site.file in files for site in self._targets)

    def choose(self, call: str) -> Fault | None:
        """What goes wrong with this call of a port, if anything."""
        self.calls += 1
        if not self.active:
            return None
        site = self._standing.site()
        fault = self._aimed(site) if site in self._targets else None
        if fault is None and self._chance.hit(self.rate):
            fault = self._chance.weighted(OPTIONS[call])
        if fault is not None and site is not None and fault in _MODES:
            self.covered.add(Point(site, _MODES[fault]))
        return fault

    def _aimed(self, site: Site | None) -> Fault | None:
        aims = self._targets.get(site, []) if site is not None else []
        for index, (fault, calls) in enumerate(aims):
            if calls > 0:
                aims[index] = (fault, calls - 1)
            else:
                del aims[index]
                return fault
        return None

    def count(self, fault: Fault, times: int = 1) -> None:
        self.counts[fault] += times


def conflict(operations: int, chance: Chance, reason: CancelReason) -> TransactionCancelled:
    """What DynamoDB says when another transaction, or nobody's capacity, is in the way of one of the operations."""
    return TransactionCancelled((Cancelled(chance.between(0, operations - 1), reason),))
