"""An attempt that the test itself runs, step by step, in the place of an agent's process."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent.runtime import LEASE_GRACE_MS, AgentPorts
from pushlane.model.attempt import ErrorDetail, Outcome, OutcomeKind, Throttled, Usage
from pushlane.model.events import Dispatch, Nudge
from pushlane.ports import Item, Message
from pushlane.state import attempts
from pushlane.state.items import to_json

LEASE_MS = 900_000


class AttemptByHand:
    """A started attempt. Each ending writes the outcome and then, unless `nudge=False`, sends the nudge.

    Every step raises `ConditionFailed` when the attempt is not the current one any more.
    """

    def __init__(self, message: Message, ports: AgentPorts, lease_ms: int = LEASE_MS) -> None:
        self.dispatch = msgspec.json.decode(message.body, type=Dispatch)
        self.task_id = self.dispatch.task_id
        self._ports = ports
        self._key = attempts.attempt_item(self.dispatch.attempt_pk, self.task_id)
        self._runner = ports.new_call_id()
        self._started_at_ms = now_ms = ports.clock.now_ms()
        lease_until_ms = now_ms + lease_ms + LEASE_GRACE_MS
        ports.store.write(attempts.start(self._key, self.dispatch.epoch, self._runner, now_ms, lease_until_ms))

    @property
    def order_for(self) -> str | None:
        """The waiting task that this attempt was asked to yield for."""
        item: Item | None = self._ports.store.get([self._key]).get(self._key)
        return None if item is None or "order_for" not in item.attributes else str(item.attributes["order_for"])

    def succeed(
        self, result: Mapping[str, Any] | None = None, *, usage: Usage | None = None, nudge: bool = True
    ) -> None:
        self._end(OutcomeKind.SUCCEEDED, nudge, result=dict(result or {}), usage=usage or Usage())

    def fail(self, error: ErrorDetail | None = None, *, nudge: bool = True) -> None:
        said = error or ErrorDetail(error_type="ByHand", message="as the test ordered")
        self._end(OutcomeKind.FAILED, nudge, error=said)

    def give_way(self, checkpoint: Mapping[str, Any] | None = None, *, nudge: bool = True) -> None:
        """Yield: the slot goes back, the task waits in its place."""
        self._end(OutcomeKind.YIELDED, nudge, checkpoint=None if checkpoint is None else dict(checkpoint))

    def throttled(self, resource: str, retry_after_seconds: float, *, nudge: bool = True) -> None:
        """Yield because a provider refused a call: the resource pauses for everyone."""
        said = Throttled(resource=resource, retry_after_seconds=retry_after_seconds)
        self._end(OutcomeKind.YIELDED, nudge, throttled=said)

    def _end(self, kind: OutcomeKind, nudge: bool, **said: Any) -> None:
        now_ms = self._ports.clock.now_ms()
        outcome = Outcome(kind=kind, started_at_ms=self._started_at_ms, finished_at_ms=now_ms, **said)
        finish = attempts.finish(self._key, self.dispatch.epoch, self._runner, outcome, now_ms)
        self._ports.store.write(finish)
        if nudge:
            word = Nudge(token=self.dispatch.token, runner=self._runner, outcome=outcome)
            self._ports.sender.send(self._ports.results_queue_url, [Message(to_json(word))])
