"""The agent's words on its attempt, each one conditional update: start, check in, finish.

The fence is (epoch, runner): a duplicate delivery has another call id and cannot start what has a runner; a reclaimed
attempt's item is gone or of a later epoch, so a zombie's word finds no item that fits. The answer to every word are the
attributes after it, and so the router's orders.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model.attempt import Order, Outcome, OutcomeKind, outcome_digest
from pushlane.model.signals import Signal
from pushlane.ports import (
    AnyOf,
    AtLeast,
    AtMost,
    Attributes,
    ConditionFailed,
    Conditions,
    Equals,
    ItemStore,
    Key,
    Missing,
    Scalar,
    Table,
    Update,
)
from pushlane.state.items import number, outcome_attributes, text, to_json

_SIGNAL: str = "signal_"


def attempt_item(attempt_pk: str, task_id: str) -> Key:
    return Key(Table.ATTEMPTS, attempt_pk, task_id)


def start(
    key: Key,
    epoch: int,
    call_id: str,
    started_at_ms: int,
    lease_until_ms: int,
    more: Mapping[str, Scalar] | None = None,
    *,
    leaves_lease: bool = False,
) -> Update:
    """Become the runner, unless another invocation is. Repeating it with the same call id changes nothing more.
    `leaves_lease`: the lease reaches so far already.
    """
    conditions: Conditions = (
        Equals("epoch", epoch),
        AnyOf((Missing("runner"), Equals("runner", call_id))),
        Missing("outcome_digest"),
        _within_its_end(lease_until_ms),
    )
    started: dict[str, Scalar] = {"runner": call_id, "started_at_ms": started_at_ms, **(more or {})}
    lease: dict[str, Scalar] = {} if leaves_lease else {"lease_until_ms": lease_until_ms}
    return Update(key, set={**started, **lease}, conditions=conditions)


def check_in(key: Key, epoch: int, call_id: str, lease_until_ms: int, more: Mapping[str, Scalar]) -> Update:
    """Extend the lease, never beyond the attempt's end, and store what is new (`checkpoint`, `progress`, both JSON)."""
    conditions = (*_fence(epoch, call_id), _within_its_end(lease_until_ms))
    return Update(key, set={"lease_until_ms": lease_until_ms, **more}, conditions=conditions)


def beat(key: Key, epoch: int, call_id: str, lease_until_ms: int, progress_at_ms: int) -> Update:
    """The check-in of the process, not of the work: it must not take back what newer work has said of itself."""
    plain = check_in(key, epoch, call_id, lease_until_ms, {"progress_at_ms": progress_at_ms})
    not_newer = AnyOf((Missing("progress_at_ms"), AtMost("progress_at_ms", progress_at_ms)))
    return Update(key, set=plain.set, conditions=(*plain.conditions, not_newer))


def finish(key: Key, epoch: int, call_id: str, outcome: Outcome, now_ms: int, *, leaves_lease: bool = False) -> Update:
    """FINISHED: from here on the attempt is never reclaimed. If the nudge is lost it is found when its lease is over:
    now, or where that is soon (`leaves_lease`) then. To be suspended it must have seen every signal.
    """
    digest = outcome_digest(outcome)
    said = AnyOf((Missing("outcome_digest"), Equals("outcome_digest", digest)))
    fence: Conditions = (Equals("epoch", epoch), Equals("runner", call_id), said)
    if outcome.kind is OutcomeKind.SUSPENDED:
        # A repeat of this very word, whose first answer was lost, stands even if a signal has come since.
        seen = (Missing("signals"), Equals("signals", outcome.signals_seen), Equals("outcome_digest", digest))
        fence = (*fence, AnyOf(seen))
    lease = {} if leaves_lease else {"lease_until_ms": now_ms}
    return Update(key, set={**outcome_attributes(outcome), **lease}, conditions=fence)


def adopt(key: Key, epoch: int, call_id: str, children: Sequence[str], child_id: str) -> Update:
    """Write a child beside those that the attempt was read with, before it is submitted."""
    as_read = Equals("children", list(children)) if children else Missing("children")
    return Update(key, set={"children": [*children, child_id]}, conditions=(*_fence(epoch, call_id), as_read))


def within_its_end(store: ItemStore, lease_until_ms: int, word: Callable[[int], Update]) -> Attributes:
    """Send `word(lease_until_ms)`, or the same with the attempt's end if the router has set one that is earlier.

    Returns the attributes after it; raises `ConditionFailed` when the attempt is not this runner's (any more).
    """
    try:
        return store.write(word(lease_until_ms))
    except ConditionFailed as error:
        ends_at_ms = None if error.item is None else _end_of(error.item.attributes)
        if ends_at_ms is None or ends_at_ms >= lease_until_ms:
            raise
    return store.write(word(ends_at_ms))


class Orders(Struct, frozen=True, kw_only=True):
    """What the router has written on an attempt since it was reserved. `signals`: how many the task ever got;
    `granted` and `gave_back`: the numbers of the last wait that has got its reservation back, and has given it away.
    """

    order: Order = Order.CONTINUE
    ends_at_ms: int | None = None
    signals: int = 0
    new_signals: tuple[Signal, ...] = ()
    gave_back: int = 0
    granted: int = 0
    progress_at_ms: int = 0


def orders_of(attributes: Attributes) -> Orders:
    """The orders that stand in an attempt's attributes."""
    found = sorted((one for name, value in attributes.items() if (one := _signal(name, value))), key=_number)
    return Orders(
        order=_order(attributes),
        ends_at_ms=_end_of(attributes),
        signals=max(_count(attributes, "signals"), *(one.number for one in found), 0),
        new_signals=tuple(found),
        gave_back=_count(attributes, "gave_back"),
        granted=_count(attributes, "granted"),
        progress_at_ms=_count(attributes, "progress_at_ms"),
    )


def signal_attribute(one: Signal) -> dict[str, Scalar]:
    """How a signal stands on a live attempt, beside the count `signals`."""
    return {f"{_SIGNAL}{one.number}": to_json(one)}


def is_runners(attributes: Attributes, epoch: int, call_id: str) -> bool:
    """Whether the attempt is still this runner's, and not finished."""
    named = attributes.get("epoch") == epoch and attributes.get("runner") == call_id
    return named and "outcome_digest" not in attributes


def _fence(epoch: int, call_id: str) -> Conditions:
    return (Equals("epoch", epoch), Equals("runner", call_id), Missing("outcome_digest"))


def _within_its_end(lease_until_ms: int) -> AnyOf:
    return AnyOf((Missing("ends_at_ms"), AtLeast("ends_at_ms", lease_until_ms)))


def _order(attributes: Attributes) -> Order:
    if "order" in attributes:
        return Order(text(attributes, "order"))
    return Order.PREEMPT if "order_for" in attributes else Order.CONTINUE


def _end_of(attributes: Attributes) -> int | None:
    return number(attributes, "ends_at_ms") if "ends_at_ms" in attributes else None


def _count(attributes: Attributes, name: str) -> int:
    return number(attributes, name) if name in attributes else 0


def _signal(name: str, value: Any) -> Signal | None:
    if not name.startswith(_SIGNAL) or not name.removeprefix(_SIGNAL).isdigit():
        return None
    return msgspec.json.decode(value, type=Signal)


def _number(one: Signal) -> int:
    return one.number
