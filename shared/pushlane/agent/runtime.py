"""Runs one attempt: start, work, finish, nudge. Dying between any two of them loses nothing.

Before start: the message comes again. After start: the lease runs out and the attempt is reclaimed. After finish: the
sweep completes from the attempt what the nudge would have told.
"""

from enum import Enum, auto
from typing import Final

import msgspec

from pushlane.agent.attempt import Invocation, LiveAttempt
from pushlane.agent.context import TaskContext
from pushlane.agent.definition import AgentDefinition
from pushlane.agent.errors import AttemptLost, Permanent, Throttled
from pushlane.agent.flow import AttemptEnds
from pushlane.agent.heartbeat import Watch
from pushlane.agent.lease import LEASE_GRACE_MS, LeaseRules
from pushlane.agent.payloads import Claims
from pushlane.agent.ports import AgentPorts
from pushlane.model.attempt import ErrorDetail, Outcome, OutcomeKind
from pushlane.model.attempt import Throttled as Pause
from pushlane.model.events import Dispatch, Nudge
from pushlane.model.trace_context import trace_id_in
from pushlane.ports import Attributes, ConditionFailed, Message, Scalar
from pushlane.state import attempts
from pushlane.state.items import optional_number, to_json

_MESSAGE_MAX: Final = 2_000
# How often one invocation begins again because a signal came just when it was about to wait for it.
_RUNS_MAX: Final = 20


class _Said(Enum):
    FINISHED = auto()
    LOST = auto()
    SIGNALLED = auto()


class AgentRuntime:
    """Runs the attempts that are pushed to one agent."""

    def __init__(self, definition: AgentDefinition, ports: AgentPorts) -> None:
        self._definition = definition
        self._ports = ports

    def run(self, body: str | bytes, remaining_ms: int, queued_at_ms: int | None = None) -> bool:
        """Run the attempt of one dispatch message within `remaining_ms`; False when it was not ours to run, or is not
        ours any more. `queued_at_ms`: since when the message lay in the agent's queue.

        Raises `msgspec.DecodeError` for a body that is no dispatch, and `StoreUnavailable` before anything happened.
        """
        dispatch = self._whole(msgspec.json.decode(body, type=Dispatch))
        now_ms = self._ports.clock.now_ms()
        invocation = Invocation(
            call_id=self._ports.new_call_id(),
            started_at_ms=now_ms,
            ends_at_ms=now_ms + remaining_ms,
            queued_at_ms=queued_at_ms,
        )
        rules = lease_rules(dispatch, self._definition.stall_seconds, invocation)
        live = LiveAttempt(dispatch, invocation, self._ports, rules)
        try:
            started = self._start(dispatch, invocation, rules)
        except ConditionFailed:
            self._ports.log("not-started", task_id=dispatch.task_id, epoch=dispatch.epoch, reason="duplicate or stale")
            return False
        live.learn(started)
        try:
            self._keep_alive(live, rules, optional_number(started, "lease_until_ms"))
            return self._run_started(live)
        finally:
            live.stop()
            if self._ports.tracing is not None and live.steps.spans:
                self._ports.tracing.exporter.export(live.steps.spans)

    def _whole(self, dispatch: Dispatch) -> Dispatch:
        """The dispatch itself, where it was too large for the agent's endpoint and travelled as a claim check."""
        if dispatch.whole is None:
            return dispatch
        return msgspec.convert(Claims(dispatch.tenant_id, self._ports.blobs).redeem(dispatch.whole), Dispatch)

    def _start(self, dispatch: Dispatch, invocation: Invocation, rules: LeaseRules) -> Attributes:
        key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        started_at_ms, call_id = invocation.started_at_ms, invocation.call_id
        more: dict[str, Scalar] = {"progress_at_ms": started_at_ms}
        if rules.stall_ms is not None:
            more["stall_ms"] = rules.stall_ms
        granted_ms = dispatch.lease_until_ms if rules.leaves_at_start(dispatch.lease_until_ms, started_at_ms) else None
        return attempts.within_its_end(
            self._ports.store,
            rules.until(started_at_ms, started_at_ms) if granted_ms is None else granted_ms,
            lambda until_ms: attempts.start(
                key, dispatch.epoch, call_id, started_at_ms, until_ms, more, leaves_lease=until_ms == granted_ms
            ),
        )

    def _keep_alive(self, live: LiveAttempt, rules: LeaseRules, lease_until_ms: int | None) -> None:
        """Have the lease extended, if it is shorter than the invocation."""
        started_at_ms = live.invocation.started_at_ms
        if not rules.beats(started_at_ms):
            return
        watch = Watch(
            attempt_pk=live.dispatch.attempt_pk,
            task_id=live.dispatch.task_id,
            epoch=live.dispatch.epoch,
            runner=live.runner,
            rules=rules,
            progress_at_ms=started_at_ms,
            written_at_ms=started_at_ms,
            lease_until_ms=lease_until_ms or rules.until(started_at_ms, started_at_ms),
        )
        kept = self._ports.heartbeat.keep(watch)
        if kept is None:
            live.lasts_for_the_invocation()
            live.say()
        else:
            live.kept_by(kept)

    def _run_started(self, live: LiveAttempt) -> bool:
        """Run the function, again if a signal came just before it would have waited for it."""
        for _ in range(_RUNS_MAX):
            outcome = self._work(live)
            if outcome is None:
                break
            said = self._finish(live, outcome)
            if said is not _Said.SIGNALLED:
                return said is _Said.FINISHED
            if live.near_its_limit():
                break
        if not live.lost:
            return self._finish(live, self._outcome(live, OutcomeKind.YIELDED)) is _Said.FINISHED
        self._ports.log(
            "not-finished", task_id=live.dispatch.task_id, epoch=live.dispatch.epoch, reason="attempt is lost"
        )
        return False

    def _work(self, live: LiveAttempt) -> Outcome | None:
        """The author's function and everything that can go wrong around it, as an outcome; None when it was lost."""
        dispatch = live.dispatch
        try:
            live.end_if_ordered()
            if dispatch.task_type not in self._definition.task_types:
                raise Permanent(f"this agent takes {', '.join(self._definition.task_types)}, not {dispatch.task_type}")
            result = self._definition(TaskContext(live), live.claims.redeem(dispatch.payload))
            said = self._outcome(live, OutcomeKind.SUCCEEDED)
            return msgspec.structs.replace(said, result=live.claims.bounded(result, "result"), checkpoint=None)
        except AttemptEnds as end:
            said = self._outcome(live, end.kind)
            if end.kind is not OutcomeKind.SUSPENDED:
                return said
            return msgspec.structs.replace(
                said, resume_at_ms=end.resume_at_ms, awaits=end.awaits, signals_seen=live.signals_known
            )
        except Exception as error:  # the author's code may raise anything; each is the attempt's outcome
            if live.lost:
                return None
            return _failed(error, self._outcome(live, OutcomeKind.FAILED))

    def _outcome(self, live: LiveAttempt, kind: OutcomeKind) -> Outcome:
        started_at_ms = live.invocation.started_at_ms
        return Outcome(
            kind=kind,
            started_at_ms=started_at_ms,
            finished_at_ms=max(started_at_ms, self._ports.clock.now_ms()),
            usage=live.used.usage,
            checkpoint=live.checkpoint,
            children=bool(live.children),
            queued_at_ms=live.invocation.queued_at_ms,
        )

    def _finish(self, live: LiveAttempt, outcome: Outcome) -> _Said:
        dispatch = live.dispatch
        key = attempts.attempt_item(dispatch.attempt_pk, dispatch.task_id)
        finish = attempts.finish(
            key,
            dispatch.epoch,
            live.runner,
            outcome,
            outcome.finished_at_ms,
            leaves_lease=live.rules.leaves_at_finish,
        )
        try:
            self._ports.store.write(finish)
        except ConditionFailed as error:
            if outcome.kind is OutcomeKind.SUSPENDED and live.learn_refusal(error.item):
                return _Said.SIGNALLED
            self._ports.log("not-finished", task_id=dispatch.task_id, epoch=dispatch.epoch, reason="attempt is lost")
            return _Said.LOST
        said = Nudge(
            token=dispatch.token,
            runner=live.runner,
            outcome=outcome,
            waits=live.waits,
            traceparent=dispatch.traceparent,
        )
        nudge = Message(to_json(said), trace_header=live.trace_header)
        if self._ports.sender.send(self._ports.results_queue_url, [nudge]):
            self._ports.log("nudge-lost", task_id=dispatch.task_id, epoch=dispatch.epoch, next="the sweep completes it")
        self._ports.log(
            "attempt",
            task_id=dispatch.task_id,
            tenant_id=dispatch.tenant_id,
            epoch=dispatch.epoch,
            trace_id=trace_id_in(dispatch.traceparent),
            outcome=outcome.kind.value,
            run_ms=outcome.finished_at_ms - outcome.started_at_ms,
        )
        return _Said.FINISHED


def lease_rules(dispatch: Dispatch, stall_seconds: float | None, invocation: Invocation) -> LeaseRules:
    """The rules of an attempt's lease; the author's `stall_seconds` counts where the policy has none."""
    stall = dispatch.stall_seconds if dispatch.stall_seconds is not None else stall_seconds
    return LeaseRules(
        lease_ms=round(dispatch.lease_seconds * 1_000),
        stall_ms=None if stall is None else round(stall * 1_000),
        lasts_until_ms=invocation.ends_at_ms + LEASE_GRACE_MS,
        ends_at_ms=dispatch.ends_at_ms,
    )


def _failed(error: Exception, said: Outcome) -> Outcome:
    """The outcome of an attempt that ended with an exception."""
    detail = ErrorDetail(
        error_type=type(error).__name__,
        # A file name that is no UTF-8, say, comes with surrogates, and those cannot be stored.
        message=str(error)[:_MESSAGE_MAX].encode(errors="replace").decode(),
        retryable=not isinstance(error, Permanent | AttemptLost),
    )
    if not isinstance(error, Throttled):
        return msgspec.structs.replace(said, error=detail)
    # What was refused was not used: a provider that is busy for hours must not eat the tenant's budget.
    usage = msgspec.structs.replace(said.usage, tokens=said.usage.tokens or 0)
    pause = Pause(resource=error.resource, retry_after_seconds=error.retry_after_seconds)
    return msgspec.structs.replace(said, error=detail, usage=usage, throttled=pause)


__all__ = ["LEASE_GRACE_MS", "AgentPorts", "AgentRuntime", "lease_rules"]
