"""An attempt that gives everything back while it waits, and gets it again: the writes on its own items.

An attempt has one reservation after the other then, numbered by its waits; whatever releases one or counts on it says
which. So none is released twice, and none is lost.
"""

from pushlane.model.attempt import Order, Reservation, Waited
from pushlane.model.task import Status
from pushlane.ports import AnyOf, AtMost, Conditions, Delete, Equals, Missing, Scalar, Update, Write
from pushlane.scheduling.decisions import Dispatch, FromLane
from pushlane.scheduling.settlement import settled_with
from pushlane.scheduling.snapshot import GivesBack
from pushlane.state import keys
from pushlane.state.items import to_json
from pushlane.state.transitions import granted, transition, waits_as_seen


def grant(decision: Dispatch, pool: str, now_ms: int) -> list[Write]:
    """The same attempt gets a reservation again: for this wait, if it is still there and has not got one before."""
    entry, origin = decision.entry, decision.origin
    again: dict[str, Scalar] = {"granted": entry.wait, "reservation": to_json(decision.reservation)}
    as_it_asked: Conditions = (
        Equals("epoch", entry.epoch),
        Equals("runner", entry.runner or ""),
        Missing("outcome_digest"),
        Equals("gave_back", entry.wait),
        AnyOf((Missing("granted"), AtMost("granted", entry.wait - 1))),
    )
    placed: dict[str, Scalar] = {"agent_id": decision.agent_id, "dispatched_at_ms": now_ms}
    asked = isinstance(origin, FromLane)
    left: list[Write] = [Delete(keys.entry_key(pool, entry), waits_as_seen(entry))] if asked else []
    attempt = Update(keys.attempt_key(pool, entry.task_id), set=again, conditions=as_it_asked)
    return [granted(entry, placed, asked=asked), attempt, *left]


def give_back(gives: GivesBack, pool: str, now_ms: int) -> list[Write]:
    """What the attempt held becomes a reservation that holds nothing, while it still says that it waits."""
    attempt, held = gives.attempt, gives.attempt.reservation
    nothing = Reservation(
        agent_id=held.agent_id,
        agent_pool=held.agent_pool,
        tenant_id=held.tenant_id,
        tier=held.tier,
        reserved_at_ms=now_ms,
        tells=held.tells,
        slots=0,
    )
    given: dict[str, Scalar] = {
        "gave_back": attempt.waits,
        "reservation": to_json(nothing),
        "settled": to_json(settled_with(gives, now_ms)),
    }
    # Whoever asked for its slot gets it by this, or has to ask somebody else.
    called_off = ("order", "order_for") if attempt.order is Order.PREEMPT else ()
    as_read: Conditions = (
        Equals("epoch", attempt.epoch),
        Equals("runner", attempt.runner or ""),
        Missing("outcome_digest"),
        Equals("waiting", True),
        Equals("waits", attempt.waits),
        Missing("order") if attempt.order is None else Equals("order", attempt.order.value),
        *reservation_as_read(attempt.waited),
    )
    waits: dict[str, Scalar] = {"changed_at_ms": now_ms}
    if attempt.started_at_ms is not None:
        waits["started_at_ms"] = attempt.started_at_ms  # its next reservation is not when it was dispatched
    return [
        transition(attempt.task_id, attempt.epoch, (Status.DISPATCHED,), Status.WAITING, waits),
        Update(keys.attempt_key(pool, attempt.task_id), set=given, remove=called_off, conditions=as_read),
    ]


def reservation_as_read(waited: Waited) -> Conditions:
    """The attempt has the very reservation that is given back, taken or counted on."""
    if not waited.gave_back:
        return (Missing("gave_back"),)
    granted_as_read = Equals("granted", waited.granted) if waited.granted else Missing("granted")
    return (Equals("gave_back", waited.gave_back), granted_as_read)
