"""An attempt that the test itself runs, step by step, in the place of an agent's process."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pushlane.agent.attempt import Invocation
from pushlane.agent.heartbeat import Kept, Watch
from pushlane.agent.lease import LEASE_GRACE_MS
from pushlane.agent.ports import AgentPorts
from pushlane.agent.runtime import lease_rules
from pushlane.model.attempt import ErrorDetail, Order, Outcome, OutcomeKind, Throttled, Usage
from pushlane.model.events import Back, Dispatch, Nudge, Waits
from pushlane.ports import Item, Message, Scalar
from pushlane.state import attempts
from pushlane.state.items import to_json

LEASE_MS: Final = 900_000


class AttemptByHand:
    """A started attempt. Each ending writes the outcome and then, unless `nudge=False`, sends the nudge.

    Its lease is `lease_ms` from the start and from each check-in; or, with `heartbeat=True`, as the dispatch message
    says, extended by the ports' heartbeat until `kept` (see `InMemoryHeartbeats`) is stopped, frozen or dead.
    Every step raises `ConditionFailed` when the attempt is not the current one any more.
    """

    def __init__(
        self, message: Message, ports: AgentPorts, lease_ms: int = LEASE_MS, *, heartbeat: bool = False
    ) -> None:
        self.dispatch = msgspec.json.decode(message.body, type=Dispatch)
        self.task_id = self.dispatch.task_id
        self.runner = ports.new_call_id()
        self.kept: Kept | None = None
        self._waits = 0
        self._ports = ports
        self._lease_ms = lease_ms + LEASE_GRACE_MS
        self._key = attempts.attempt_item(self.dispatch.attempt_pk, self.task_id)
        self._started_at_ms = now_ms = ports.clock.now_ms()
        invocation = Invocation(call_id=self.runner, started_at_ms=now_ms, ends_at_ms=now_ms + lease_ms)
        rules = lease_rules(self.dispatch, None, invocation)
        self._rules = rules if heartbeat else None
        lease_until_ms = self._lease_until_ms(now_ms)
        more: dict[str, Scalar] = {"progress_at_ms": now_ms}
        if heartbeat and rules.stall_ms is not None:
            more["stall_ms"] = rules.stall_ms
        after = attempts.within_its_end(
            ports.store,
            lease_until_ms,
            lambda until_ms: attempts.start(self._key, self.dispatch.epoch, self.runner, now_ms, until_ms, more),
        )
        self.orders = attempts.orders_of(after)
        if heartbeat:
            self.kept = ports.heartbeat.keep(
                Watch(
                    attempt_pk=self.dispatch.attempt_pk,
                    task_id=self.task_id,
                    epoch=self.dispatch.epoch,
                    runner=self.runner,
                    rules=rules,
                    progress_at_ms=now_ms,
                    written_at_ms=now_ms,
                    lease_until_ms=lease_until_ms,
                )
            )

    @property
    def order_for(self) -> str | None:
        """The waiting task that this attempt was asked to yield for."""
        item: Item | None = self._ports.store.get([self._key]).get(self._key)
        return None if item is None or "order_for" not in item.attributes else str(item.attributes["order_for"])

    def check_in(self, *, checkpoint: Mapping[str, Any] | None = None, **more: Scalar) -> Order:
        """Extend the lease, store the checkpoint and whatever else is given; returns the order that stands."""
        now_ms = self._ports.clock.now_ms()
        said: dict[str, Scalar] = {"progress_at_ms": now_ms, **more}
        if checkpoint is not None:
            said["checkpoint"] = to_json(checkpoint)
        after = attempts.within_its_end(
            self._ports.store,
            self._lease_until_ms(now_ms),
            lambda until_ms: attempts.check_in(self._key, self.dispatch.epoch, self.runner, until_ms, said),
        )
        if self.kept is not None:
            self.kept.progressed(now_ms)
        self.orders = attempts.orders_of(after)
        return self.orders.order

    def _lease_until_ms(self, now_ms: int) -> int:
        return now_ms + self._lease_ms if self._rules is None else self._rules.until(now_ms, now_ms)

    def begin_wait(self, number: int = 1, *, usage: Usage | None = None, tell: bool = True) -> None:
        """Give slot and resources back, as `ctx.waiting()` does when it is entered. `usage`: all of it so far."""
        self._waits = number
        self.check_in(waits=number, waiting=True)
        if tell:
            self._send(Waits(token=self.dispatch.token, runner=self.runner, number=number, usage=usage or Usage()))

    def end_wait(self, number: int = 1, *, tell: bool = True) -> bool:
        """The wait is over; says whether anything was given back, and so is asked for again."""
        self.check_in(waiting=False)
        gave_back = self.orders.gave_back >= number
        if gave_back and tell:
            self._send(Back(token=self.dispatch.token, runner=self.runner, number=number))
        return gave_back

    def is_granted(self, number: int = 1) -> bool:
        """Whether it holds slot and resources again, as a check-in finds it."""
        self.check_in()
        return self.orders.granted >= number

    def succeed(
        self, result: Mapping[str, Any] | None = None, *, usage: Usage | None = None, nudge: bool = True
    ) -> None:
        self._end(OutcomeKind.SUCCEEDED, nudge, result=dict(result or {}), usage=usage or Usage())

    def fail(
        self, error: ErrorDetail | None = None, *, checkpoint: Mapping[str, Any] | None = None, nudge: bool = True
    ) -> None:
        said = error or ErrorDetail(error_type="ByHand", message="as the test ordered")
        self._end(OutcomeKind.FAILED, nudge, error=said, checkpoint=_plain(checkpoint))

    def give_way(self, checkpoint: Mapping[str, Any] | None = None, *, nudge: bool = True) -> None:
        """Yield: the slot goes back, the task waits in its place."""
        self._end(OutcomeKind.YIELDED, nudge, checkpoint=_plain(checkpoint))

    def suspend(
        self,
        checkpoint: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
        awaits: str | None = None,
        signals_seen: int = 0,
        nudge: bool = True,
    ) -> None:
        """Go on `seconds` later, or when the signal `awaits` comes; refused when a signal came that was not seen."""
        resume_at_ms = None if seconds is None else self._ports.clock.now_ms() + round(seconds * 1_000)
        self._end(
            OutcomeKind.SUSPENDED,
            nudge,
            checkpoint=_plain(checkpoint),
            resume_at_ms=resume_at_ms,
            awaits=awaits,
            signals_seen=signals_seen,
        )

    def stop_as_told(self, checkpoint: Mapping[str, Any] | None = None, *, nudge: bool = True) -> None:
        """End because it was cancelled."""
        self._end(OutcomeKind.CANCELLED, nudge, checkpoint=_plain(checkpoint))

    def throttled(self, resource: str, retry_after_seconds: float, *, nudge: bool = True) -> None:
        """Yield because a provider refused a call: the resource pauses for everyone."""
        said = Throttled(resource=resource, retry_after_seconds=retry_after_seconds)
        self._end(OutcomeKind.YIELDED, nudge, throttled=said)

    def _end(self, kind: OutcomeKind, nudge: bool, **said: Any) -> None:
        now_ms = self._ports.clock.now_ms()
        outcome = Outcome(kind=kind, started_at_ms=self._started_at_ms, finished_at_ms=now_ms, **said)
        finish = attempts.finish(self._key, self.dispatch.epoch, self.runner, outcome, now_ms)
        self._ports.store.write(finish)
        if self.kept is not None:
            self.kept.stop()
        if nudge:
            self._send(Nudge(token=self.dispatch.token, runner=self.runner, outcome=outcome, waits=self._waits))

    def _send(self, word: Nudge | Waits | Back) -> None:
        self._ports.sender.send(self._ports.results_queue_url, [Message(to_json(word))])


def _plain(checkpoint: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if checkpoint is None else dict(checkpoint)
