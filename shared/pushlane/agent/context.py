"""What the author's function may ask and say while it works."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import msgspec

from pushlane.agent import emits, giving_back, submits
from pushlane.agent.attempt import LiveAttempt
from pushlane.agent.checkpoints import checkpoint_of, stored_form
from pushlane.agent.payloads import as_state
from pushlane.agent.submits import Child
from pushlane.agent.waits import Waits
from pushlane.model.attempt import Order, Usage
from pushlane.model.signals import Signal
from pushlane.model.trace_context import trace_id_in
from pushlane.model.workflow import ParentResult
from pushlane.ports import Scalar
from pushlane.state.items import to_json


class TaskContext:
    """One attempt, seen from inside. `attempt` counts from 1; `deadline_ms` is Unix milliseconds or None.

    `restored` is the state of the last checkpoint, of this attempt or of one before it; None at the very beginning. A
    function that is resumed is called again: it looks at `restored` and goes on from there.
    """

    def __init__(self, live: LiveAttempt) -> None:
        dispatch = live.dispatch
        self.task_id = dispatch.task_id
        self.tenant_id = dispatch.tenant_id
        self.task_type = dispatch.task_type
        self.attempt = dispatch.epoch
        self.deadline_ms = dispatch.deadline_ms
        self.workflow_id = dispatch.workflow_id
        self.node = dispatch.node
        self._live = live
        stored = None if live.checkpoint is None else live.claims.redeem(live.checkpoint)
        restored = checkpoint_of(stored)
        self.restored: dict[str, Any] | None = restored.state
        self._waits = Waits(live, restored)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Every signal that the task got, as far as is known here; each check-in brings the newest."""
        return tuple(one for _, one in sorted(self._live.signals.items()))

    @cached_property
    def parents(self) -> Mapping[str, ParentResult]:
        """How the tasks that this one depends on have ended, by their names in the workflow."""
        claim = self._live.dispatch.parents_claim
        if claim is None:
            return self._live.dispatch.parents
        return msgspec.convert(self._live.claims.redeem(claim), dict[str, ParentResult])

    def result_of(self, parent: str) -> Mapping[str, Any]:
        """The result of a parent that succeeded, fetched if it is large; raises `KeyError` for any other."""
        result = self.parents[parent].result
        if result is None:
            raise KeyError(f"{parent} has no result: it ended as {self.parents[parent].status}")
        return self._live.claims.redeem(result)

    def remaining_seconds(self) -> float:
        """Time until the platform stops this invocation."""
        return self._live.remaining_ms() / 1_000

    def step(self, key: str) -> str:
        """An idempotency key for what this step does elsewhere: the same in every attempt, and of no other task."""
        return f"{self.task_id}/{key}"

    def span(self, name: str) -> AbstractContextManager[str]:
        """`with ctx.span("charge") as key:` makes the block a step of its own in the task's trace; `key` is the step's
        idempotency key. The name is seen by all who look at traces: never put payloads in it.
        """
        return self._live.steps.step(name)

    @property
    def traceparent(self) -> str | None:
        """W3C trace context for the author's own calls: what they lead to stands under this attempt in its trace."""
        return self._live.dispatch.traceparent

    def check_in(self, *, checkpoint: object = None, progress: object = None) -> Order:
        """Prove that the work goes on, store a checkpoint (an object) or progress (any JSON), and hear what is ordered.

        It never ends the attempt by itself: after `PREEMPT` or `CANCEL`, call `checkpoint` or return soon; `SIGNAL`:
        there is a new one in `signals`. Raises `AttemptLost` when the attempt is not current any more.
        """
        more: dict[str, Scalar] = {}
        if checkpoint is not None:
            more["checkpoint"] = self._store(checkpoint)
        if progress is not None:
            more["progress"] = to_json(progress)
        self._live.say(more)
        return self._live.news()

    def checkpoint(self, state: object) -> Order:
        """Store `state` (an object; above 64 KB it lies in S3): from here the function goes on if it has to run again.

        It ends the attempt here when it was ordered to yield or to cancel, or when the invocation's time is nearly
        over; otherwise it returns `CONTINUE` or `SIGNAL`. Raises `AttemptLost`, and `ValueError` for no object.
        """
        self._live.say({"checkpoint": self._store(state)})
        self._live.end_if_ordered()
        return self._live.news()

    def emit(self, kind: str, data: object = None) -> None:
        """Tell those who watch the task: one event, in order, of at most 64 KB of JSON. An event that no queue takes is
        logged, and the work goes on. Raises `ValueError` for what is too large, and `AttemptLost`.
        """
        emits.emit(self._live, kind, data)

    def progress(self, said: float | Mapping[str, Any]) -> None:
        """Store how far the work is (a fraction from 0 to 1, or an object) and tell those who watch. One write and one
        message: not for every token. Raises `AttemptLost`, and `ValueError` for a fraction that is none.
        """
        emits.progress(self._live, said)

    def waiting(self) -> AbstractContextManager[None]:
        """While the block waits for something (a slow tool, a provider's queue), slot and resources serve others; its
        end waits until they are there again. The attempt runs on: use it for seconds to minutes, `sleep` for longer.

        It may end the attempt at the block's end, to go on from its checkpoint in another invocation. `sleep`,
        `wait_for_signal` and a child's `result` end the invocation themselves, and have no place in the block.
        """
        return giving_back.waiting(self._live)

    def sleep(self, seconds: float) -> None:
        """End the invocation and go on `seconds` later, without any cost in between (up to a second is waited through).

        The function runs again from its checkpoint and comes by here again: then the time is over. So checkpoint
        before it what must not be done twice.
        """
        self._waits.sleep(seconds)

    def wait_for_signal(self, name: str, timeout_seconds: float | None = None) -> Signal:
        """The next signal of this name: at once if there is one, otherwise the invocation ends, and the function runs
        again from its checkpoint when one has come. A signal that was taken before a checkpoint does not come again.

        Raises `SignalTimeout`.
        """
        return self._waits.wait_for_signal(name, timeout_seconds)

    def submit(self, task_type: str, payload: object = None, *, key: str, attached: bool = True, **more: Any) -> Child:
        """Submit a child task of the same tenant; `more` are fields of a submission (`tier`, `deadline_ms`, ...).

        `key` names the step: submitted again by a later attempt it is the same task. An attached child is cancelled
        with this task, and `result()` waits for it; a detached one lives on its own. Raises `Permanent` naming what
        cannot be submitted, `NotSubmitted` when the queue does not take it, and `AttemptLost`.
        """
        said = {} if payload is None else payload
        return submits.submit(self._live, self._waits, task_type, said, key=key, attached=attached, more=more)

    def used(self, *, tokens: int = 0, **resources: int) -> None:
        """Add to what this attempt really used: tokens in all, and so much of resources that the policy names
        (`ctx.used(tokens=850, **{"search-calls": 2})`). What is never reported counts as the task estimated it.

        Raises `ValueError` for less than nothing.
        """
        self._live.used.add(tokens, resources)

    @property
    def usage(self) -> Usage:
        """All that was reported so far."""
        return self._live.used.usage

    def log(self, message: str, **fields: Any) -> None:
        """One structured log line with the ids of task, tenant and trace. Never put payloads in it."""
        self._live.ports.log(
            message,
            task_id=self.task_id,
            tenant_id=self.tenant_id,
            epoch=self.attempt,
            trace_id=trace_id_in(self.traceparent),
            **fields,
        )

    def _store(self, state: object) -> str:
        form = stored_form(self._waits.checkpointed(as_state(state)))
        self._live.checkpoint = self._live.claims.bounded(form or {}, "checkpoint")
        return to_json(self._live.checkpoint)
