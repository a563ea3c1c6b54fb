"""What a task's first start will be measured by, carried on what is written anyway: its entry, then its attempt."""

import msgspec

from pushlane.model.pickup import Pickup
from pushlane.model.task import Status
from pushlane.scheduling.decisions import Dispatch, Park
from pushlane.scheduling.entry import Entry
from pushlane.scheduling.snapshot import Arrival, LeaseExpired, Ready, Releasing


def pickup_of_dispatch(made: Dispatch, now_ms: int) -> Pickup | None:
    """What the attempt carries until its start; None when one of its task's attempts was started before."""
    pickup = _begun(made.entry, made.origin)
    return None if pickup is None else _decided(pickup, now_ms)


def parked_entry(parked: Park, now_ms: int) -> Entry:
    """The entry as it waits in its lane, with why and since when."""
    pickup = _begun(parked.entry, parked.origin)
    if pickup is None:
        return parked.entry
    waits = msgspec.structs.replace(_decided(pickup, now_ms), reason=parked.block.reason.value, parked_at_ms=now_ms)
    return msgspec.structs.replace(parked.entry, pickup=waits)


def unstarted(over: Releasing, entry: Entry) -> Entry:
    """The entry of the attempt after one that no agent started: its task's first start is still to come."""
    if not isinstance(over, LeaseExpired) or over.attempt.runner is not None:
        return entry
    return msgspec.structs.replace(entry, pickup=over.attempt.pickup)


def _begun(entry: Entry, origin: object) -> Pickup | None:
    if entry.pickup is not None or entry.epoch or entry.runner is not None:
        return entry.pickup
    if isinstance(origin, Ready) and origin.before is Status.BLOCKED and origin.since_ms is not None:
        return Pickup(origin.since_ms, unblocked=True)
    sent_at_ms = origin.task.sent_at_ms if isinstance(origin, Arrival) else None
    return Pickup(entry.enqueued_at_ms if sent_at_ms is None else sent_at_ms)


def _decided(pickup: Pickup, now_ms: int) -> Pickup:
    if pickup.decided_ms is not None:
        return pickup
    return msgspec.structs.replace(pickup, decided_ms=max(0, now_ms - pickup.ready_at_ms))
