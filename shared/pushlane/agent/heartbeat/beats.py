"""When a lease is to be extended, how far, and what the answer says. Without clock or process: all beat by it."""

import msgspec
from msgspec import Struct

from pushlane.agent.lease import BEATS_A_LEASE, LeaseRules
from pushlane.model.attempt import Order
from pushlane.ports import ConditionFailed, Item, ItemStore, Key
from pushlane.state import attempts
from pushlane.state.items import number


class Watch(Struct, frozen=True, kw_only=True):
    """An attempt to keep alive: where its item is, whose it is, and the lease that was written last."""

    attempt_pk: str
    task_id: str
    epoch: int
    runner: str
    rules: LeaseRules
    progress_at_ms: int
    written_at_ms: int
    lease_until_ms: int

    @property
    def key(self) -> Key:
        return attempts.attempt_item(self.attempt_pk, self.task_id)


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a beat found. `lost`: the attempt is not its runner's any more. `signals`: how many the task ever got."""

    order: Order = Order.CONTINUE
    signals: int = 0
    ends_at_ms: int | None = None
    lost: bool = False


class Beats:
    """The beats of one attempt."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._rules = watch.rules
        self._progress_at_ms = watch.progress_at_ms
        self._written_at_ms = watch.written_at_ms
        self._lease_until_ms = watch.lease_until_ms
        self._said = Report()
        self.over = False

    def progressed(self, at_ms: int) -> None:
        """See `Kept.progressed`; what is told late changes nothing."""
        self._progress_at_ms = max(self._progress_at_ms, at_ms)

    def due_ms(self) -> int | None:
        """When the next beat is due; None while none would make the lease any longer (the work is silent, or its end
        is set).
        """
        due_ms = self._written_at_ms + (self._lease_until_ms - self._written_at_ms) // BEATS_A_LEASE
        helps = self._rules.until(due_ms, self._progress_at_ms) > self._lease_until_ms
        return due_ms if helps and not self.over else None

    def beat(self, store: ItemStore, now_ms: int) -> Report | None:
        """Extend the lease; returns what is new to tell the agent, if anything. Raises what the store raises, except
        that a refused write is an answer: the attempt is lost.
        """
        try:
            found = self._write(store, now_ms)
        except ConditionFailed as error:
            if error.item is None or not self._is_ours(error.item):
                self.over = True
                found = Report(lost=True)
            else:
                # It is ours: the work itself has told of newer progress meanwhile, and extended its lease by that.
                self._adopt(error.item, now_ms)
                return None
        before, self._said = self._said, found
        return found if found != before else None

    def _write(self, store: ItemStore, now_ms: int) -> Report:
        watch, progress_at_ms = self._watch, self._progress_at_ms
        after = attempts.within_its_end(
            store,
            self._rules.until(now_ms, progress_at_ms),
            lambda until_ms: attempts.beat(watch.key, watch.epoch, watch.runner, until_ms, progress_at_ms),
        )
        found = attempts.orders_of(after)
        self._rules = msgspec.structs.replace(self._rules, ends_at_ms=found.ends_at_ms)
        self._written_at_ms = now_ms
        self._lease_until_ms = self._rules.until(now_ms, progress_at_ms)
        return Report(order=found.order, signals=found.signals, ends_at_ms=found.ends_at_ms)

    def _adopt(self, item: Item, now_ms: int) -> None:
        self.progressed(attempts.orders_of(item.attributes).progress_at_ms)
        self._written_at_ms = now_ms
        self._lease_until_ms = number(item.attributes, "lease_until_ms")

    def _is_ours(self, item: Item) -> bool:
        return attempts.is_runners(item.attributes, self._watch.epoch, self._watch.runner)
