"""The attempt as its own agent knows it: what it has stored, what it was told, and how long it may go on."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent.errors import AttemptLost
from pushlane.agent.flow import AttemptEnds
from pushlane.agent.heartbeat import Kept, Report
from pushlane.agent.lease import LeaseRules, limit_margin_ms
from pushlane.agent.payloads import Claims
from pushlane.agent.ports import AgentPorts
from pushlane.agent.steps import Steps
from pushlane.agent.usage import Used
from pushlane.model.attempt import Order, OutcomeKind
from pushlane.model.events import Dispatch
from pushlane.model.signals import Signal
from pushlane.model.trace_context import read_traceparent
from pushlane.ports import Attributes, ConditionFailed, Item, Scalar
from pushlane.state import attempts

# Without a heartbeat an emit checks in when so much of the silence that is allowed has passed.
_CHECK_INS_A_STALL: Final = 4


class Invocation(Struct, frozen=True, kw_only=True):
    """The call that runs an attempt: its id, when it began and when the platform ends it (Unix milliseconds).
    `queued_at_ms`: since when its dispatch lay in the agent's queue, where there is one.
    """

    call_id: str
    started_at_ms: int
    ends_at_ms: int
    queued_at_ms: int | None = None


class LiveAttempt:
    """One started attempt. It outlives the author's function when that runs again in the same invocation."""

    def __init__(self, dispatch: Dispatch, invocation: Invocation, ports: AgentPorts, rules: LeaseRules) -> None:
        self.dispatch = dispatch
        self.invocation = invocation
        self.ports = ports
        self.claims = Claims(dispatch.tenant_id, ports.blobs)
        self.checkpoint: dict[str, Any] | None = dispatch.checkpoint
        self.order = Order.CONTINUE
        self.signals: dict[int, Signal] = {one.number: one for one in dispatch.signals}
        self.signals_known = max(self.signals, default=0)
        self.signals_told = self.signals_known
        self.children: list[str] = []
        self.used = Used()
        self.steps = Steps(dispatch, ports)
        self.emitted = 0
        self.waits = 0
        self.waiting = False
        self.lost = False
        self.rules = rules
        self._kept: Kept | None = None
        self._progress_at_ms = invocation.started_at_ms
        self._key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        limit_ms = invocation.ends_at_ms - invocation.started_at_ms
        self._limit_at_ms = invocation.ends_at_ms - limit_margin_ms(limit_ms)

    @property
    def runner(self) -> str:
        return self.invocation.call_id

    @property
    def trace_header(self) -> str | None:
        """X-Ray's header of the attempt, for its messages, where X-Ray is the tracer."""
        place = read_traceparent(self.dispatch.traceparent)
        wanted = self.ports.tracing is not None and self.ports.tracing.headers
        return place.xray_header if wanted and place is not None else None

    def now_ms(self) -> int:
        return self.ports.clock.now_ms()

    def remaining_ms(self) -> int:
        """Until the platform ends the invocation."""
        return max(0, self.invocation.ends_at_ms - self.now_ms())

    def kept_by(self, kept: Kept | None) -> None:
        """From now on this heart beats for it."""
        self._kept = kept

    def lasts_for_the_invocation(self) -> None:
        """There is no heartbeat: the lease has to last by itself."""
        lease_ms = self.rules.lasts_until_ms - self.invocation.started_at_ms
        self.rules = msgspec.structs.replace(self.rules, lease_ms=lease_ms)

    def say(self, more: Mapping[str, Scalar] | None = None) -> attempts.Orders:
        """Check in: extend the lease, store what is new, learn what was ordered. Raises `AttemptLost`."""
        self.require_current()
        now_ms = self.now_ms()
        said = {"progress_at_ms": now_ms, **(more or {})}
        epoch, runner, key = self.dispatch.epoch, self.runner, self._key
        try:
            after = attempts.within_its_end(
                self.ports.store,
                self.rules.until(now_ms, now_ms),
                lambda until_ms: attempts.check_in(key, epoch, runner, until_ms, said),
            )
        except ConditionFailed as error:
            self.lost = True
            raise self._is_lost() from error
        self._progress_at_ms = now_ms
        if self._kept is not None:
            self._kept.progressed(now_ms)
        return self.learn(after)

    def progressed(self) -> None:
        """The work shows a sign of life: the heartbeat stores it with its next beat; without one a check-in does, now
        and then. Raises `AttemptLost`.
        """
        self.require_current()
        stall_ms = self.rules.stall_ms
        if self._kept is not None:
            self._kept.progressed(self.now_ms())
        elif stall_ms is not None and self.now_ms() >= self._progress_at_ms + stall_ms // _CHECK_INS_A_STALL:
            self.say()

    def require_current(self) -> None:
        """Raises `AttemptLost` when the attempt is known to be somebody else's."""
        for report in self._kept.heard() if self._kept is not None else ():
            self._hear(report)
        if self.lost:
            raise self._is_lost()

    def learn(self, after: Attributes) -> attempts.Orders:
        """Take the orders out of the attributes that a write has left."""
        found = attempts.orders_of(after)
        self.order = found.order
        self.rules = msgspec.structs.replace(self.rules, ends_at_ms=found.ends_at_ms)
        self.signals |= {one.number: one for one in found.new_signals}
        self.signals_known = max(self.signals_known, found.signals)
        return found

    def learn_refusal(self, item: Item | None) -> bool:
        """A write was refused: whether the attempt is still ours, and only did not know of all signals."""
        if item is None or not attempts.is_runners(item.attributes, self.dispatch.epoch, self.runner):
            return False
        before = self.signals_known
        self.learn(item.attributes)
        return self.signals_known > before

    def end_if_ordered(self) -> None:
        """End the attempt here when it was told to, or when its invocation is nearly over."""
        self.end_if_ordered_to_cancel()
        if self.order is Order.PREEMPT or self.near_its_limit():
            raise AttemptEnds(OutcomeKind.YIELDED)

    def end_if_ordered_to_cancel(self) -> None:
        if self.order is Order.CANCEL:
            raise AttemptEnds(OutcomeKind.CANCELLED)

    def near_its_limit(self) -> bool:
        """Too little of the invocation is left to begin anything in it."""
        return self.now_ms() >= self._limit_at_ms

    def news(self) -> Order:
        """The order as the author hears it: a signal is news once."""
        if self.order is not Order.CONTINUE:
            return self.order
        if self.signals_known > self.signals_told:
            self.signals_told = self.signals_known
            return Order.SIGNAL
        return Order.CONTINUE

    def stop(self) -> None:
        """The attempt is over, and its heartbeat with it."""
        if self._kept is not None:
            self._kept.stop()

    def _hear(self, report: Report) -> None:
        self.lost = self.lost or report.lost
        if not report.lost:
            self.order = report.order
            self.rules = msgspec.structs.replace(self.rules, ends_at_ms=report.ends_at_ms)

    def _is_lost(self) -> AttemptLost:
        return AttemptLost(f"attempt {self.dispatch.epoch} of {self.dispatch.task_id} is not current any more")
