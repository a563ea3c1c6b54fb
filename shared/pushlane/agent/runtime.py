"""Runs one attempt: start, work, finish, nudge. Dying between any two of them loses nothing.

Before start: the message comes again. After start: the lease runs out and the attempt is reclaimed. After finish: the
sweep completes from the attempt what the nudge would have told.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.agent.context import AttemptLost, TaskContext
from pushlane.agent.definition import AgentDefinition, Permanent, Throttled
from pushlane.model import claim_check
from pushlane.model.attempt import ErrorDetail, Outcome, OutcomeKind, Usage
from pushlane.model.attempt import Throttled as Pause
from pushlane.model.events import Dispatch, Nudge
from pushlane.model.nesting import NESTING_MAX, nests_too_deep
from pushlane.ports import BlobStore, Clock, ConditionFailed, ItemStore, Message, MessageSender
from pushlane.state import attempts
from pushlane.state.items import to_json

# The lease outlives the invocation by this much, so that a slow last write still finds its attempt.
LEASE_GRACE_MS: Final = 5_000
_MESSAGE_MAX: Final = 2_000


class AgentPorts(Struct, frozen=True, kw_only=True):
    """What the runtime needs of the outside. `new_call_id` names an invocation. `blobs` is called only for a large
    payload or result, so that most invocations never pay for its client.
    """

    store: ItemStore
    sender: MessageSender
    blobs: Callable[[], BlobStore]
    clock: Clock
    results_queue_url: str
    new_call_id: Callable[[], str]
    log: Callable[..., None]


class AgentRuntime:
    """Runs the attempts that are pushed to one agent."""

    def __init__(self, definition: AgentDefinition, ports: AgentPorts) -> None:
        self._definition = definition
        self._ports = ports

    def run(self, body: str | bytes, remaining_ms: int) -> bool:
        """Run the attempt of one dispatch message within `remaining_ms`; False when it was not ours to run.

        Raises `msgspec.DecodeError` for a body that is no dispatch, and `StoreUnavailable` before anything happened.
        """
        dispatch = msgspec.json.decode(body, type=Dispatch)
        call_id = self._ports.new_call_id()
        started_at_ms = self._ports.clock.now_ms()
        ends_at_ms = started_at_ms + remaining_ms
        key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        try:
            lease_until_ms = ends_at_ms + LEASE_GRACE_MS
            self._ports.store.write(attempts.start(key, dispatch.epoch, call_id, started_at_ms, lease_until_ms))
        except ConditionFailed:
            self._ports.log("not-started", task_id=dispatch.task_id, epoch=dispatch.epoch, reason="duplicate or stale")
            return False
        ctx = TaskContext(
            dispatch,
            call_id,
            store=self._ports.store,
            clock=self._ports.clock,
            ends_at_ms=ends_at_ms,
            lease_grace_ms=LEASE_GRACE_MS,
            log=self._ports.log,
        )
        outcome = self._work(ctx, dispatch, started_at_ms)
        return self._finish(dispatch, call_id, outcome)

    def _work(self, ctx: TaskContext, dispatch: Dispatch, started_at_ms: int) -> Outcome:
        """The author's function and everything that can go wrong around it, as an outcome."""
        try:
            if dispatch.task_type not in self._definition.task_types:
                raise Permanent(f"this agent takes {', '.join(self._definition.task_types)}, not {dispatch.task_type}")
            result = self._definition.work(ctx, self._payload(dispatch))
            stored = self._result(dispatch, result)
        except Exception as error:  # the author's code may raise anything; each is the attempt's outcome
            said = _failed(error, ctx.usage, started_at_ms)
        else:
            said = Outcome(
                kind=OutcomeKind.SUCCEEDED,
                started_at_ms=started_at_ms,
                finished_at_ms=started_at_ms,
                result=stored,
                usage=ctx.usage,
            )
        return msgspec.structs.replace(said, finished_at_ms=max(started_at_ms, self._ports.clock.now_ms()))

    def _finish(self, dispatch: Dispatch, call_id: str, outcome: Outcome) -> bool:
        key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        try:
            self._ports.store.write(attempts.finish(key, dispatch.epoch, call_id, outcome, outcome.finished_at_ms))
        except ConditionFailed:
            self._ports.log("not-finished", task_id=dispatch.task_id, epoch=dispatch.epoch, reason="attempt is lost")
            return False
        nudge = Message(to_json(Nudge(token=dispatch.token, runner=call_id, outcome=outcome)))
        if self._ports.sender.send(self._ports.results_queue_url, [nudge]):
            self._ports.log("nudge-lost", task_id=dispatch.task_id, epoch=dispatch.epoch, next="the sweep completes it")
        self._ports.log(
            "attempt",
            task_id=dispatch.task_id,
            tenant_id=dispatch.tenant_id,
            epoch=dispatch.epoch,
            outcome=outcome.kind.value,
            run_ms=outcome.finished_at_ms - outcome.started_at_ms,
        )
        return True

    def _payload(self, dispatch: Dispatch) -> Mapping[str, Any]:
        claim = claim_check.as_claim_check(dispatch.payload)
        if claim is None:
            return dispatch.payload
        body = self._ports.blobs().get(claim.key)
        if hashlib.sha256(body).hexdigest() != claim.sha256:
            raise Permanent(f"claim check {claim.key}: the stored object is not the one that was claimed")
        value = msgspec.json.decode(body)
        if not isinstance(value, dict):
            raise Permanent(f"claim check {claim.key}: the stored JSON is not an object")
        return value

    def _result(self, dispatch: Dispatch, result: object) -> dict[str, Any]:
        if not isinstance(result, Mapping):
            raise Permanent(f"an agent returns a JSON object, this one returned {type(result).__name__}")
        body = msgspec.json.encode(result)
        if len(body) <= claim_check.INLINE_BYTES_MAX:
            # Decoded again, so that what is stored and fingerprinted is what every reader will see.
            plain: dict[str, Any] = msgspec.json.decode(body)
            if nests_too_deep(plain):
                raise Permanent(f"the result nests deeper than {NESTING_MAX} levels")
            return plain
        sha256 = hashlib.sha256(body).hexdigest()
        claim = claim_check.ClaimCheck(
            key=claim_check.claim_key(dispatch.tenant_id, sha256), bytes=len(body), sha256=sha256
        )
        self._ports.blobs().put(claim.key, body)
        return claim_check.as_value(claim)


def _failed(error: Exception, usage: Usage, started_at_ms: int) -> Outcome:
    """The outcome of an attempt that ended with an exception; it ends when it began until its end is filled in."""
    detail = ErrorDetail(
        error_type=type(error).__name__,
        # A file name that is no UTF-8, say, comes with surrogates, and those cannot be stored.
        message=str(error)[:_MESSAGE_MAX].encode(errors="replace").decode(),
        retryable=not isinstance(error, Permanent | AttemptLost),
    )
    throttled = None
    if isinstance(error, Throttled):
        # What was refused was not used: a provider that is busy for hours must not eat the tenant's budget.
        usage = msgspec.structs.replace(usage, tokens=usage.tokens or 0)
        throttled = Pause(resource=error.resource, retry_after_seconds=error.retry_after_seconds)
    return Outcome(
        kind=OutcomeKind.FAILED,
        started_at_ms=started_at_ms,
        finished_at_ms=started_at_ms,
        error=detail,
        usage=usage,
        throttled=throttled,
    )
