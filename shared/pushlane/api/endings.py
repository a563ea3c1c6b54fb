"""The last words of attempts over HTTP: one conditional write, then the very turn that a nudge would run."""

from typing import Any

import msgspec

from pushlane.api.attempt_documents import Complete, Ending, Fail, GiveWay, Pause, Stop, Suspend, Taken, UsageSaid
from pushlane.api.kept_values import kept
from pushlane.api.operations import Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, invalid
from pushlane.api.reservation import Proven, current, proven, refused
from pushlane.model.attempt import Attempt, ErrorDetail, Outcome, OutcomeKind, Throttled, Usage
from pushlane.model.events import Back, Nudge, Waits
from pushlane.ports import ConditionFailed
from pushlane.router.results import Results
from pushlane.state import attempts, keys
from pushlane.state.items import optional_number, to_json


def complete(ports: ApiPorts, request: Request) -> Response:
    """The task is done."""
    body: Complete = request.body
    said = proven(ports, request)
    result = kept(ports, said.claims.tenant_id, body.result, "result")
    return _end(ports, request, said, OutcomeKind.SUCCEEDED, {"result": result})


def fail(ports: ApiPorts, request: Request) -> Response:
    """The attempt failed."""
    body: Fail = request.body
    said = proven(ports, request)
    error = ErrorDetail(error_type=body.error_type, message=body.message, retryable=body.retryable)
    more = {"error": error, "throttled": _throttled(body.throttled), **_checkpoint(ports, said, body)}
    return _end(ports, request, said, OutcomeKind.FAILED, more)


def give_way(ports: ApiPorts, request: Request) -> Response:
    """The attempt gives its slot back."""
    body: GiveWay = request.body
    said = proven(ports, request)
    more = {"throttled": _throttled(body.throttled), **_checkpoint(ports, said, body)}
    return _end(ports, request, said, OutcomeKind.YIELDED, more)


def stop(ports: ApiPorts, request: Request) -> Response:
    """The attempt ends because it was cancelled."""
    said = proven(ports, request)
    return _end(ports, request, said, OutcomeKind.CANCELLED, _checkpoint(ports, said, request.body))


def suspend(ports: ApiPorts, request: Request) -> Response:
    """The attempt ends, and the task goes on later."""
    body: Suspend = request.body
    said = proven(ports, request)
    if body.resume_at_ms is None and body.awaits is None:
        raise invalid("$.resume_at_ms", "say when the task goes on, or which signal it awaits")
    more = {"resume_at_ms": body.resume_at_ms, "awaits": body.awaits, "signals_seen": body.signals_seen}
    return _end(ports, request, said, OutcomeKind.SUSPENDED, {**more, **_checkpoint(ports, said, body)})


def tell(ports: ApiPorts, request: Request, word: Nudge | Waits | Back) -> None:
    """Run what a message on the results queue would set in motion. What a fault leaves undone here is found on the
    attempt itself, by the next wake-up or the sweep.
    """
    message = {"messageId": request.request_id, "body": to_json(word)}
    if Results(ports.router).handle([message]):
        ports.log("nudge-lost", task_id=request.path["task_id"], next="the sweep completes it")


def usage_of(said: UsageSaid) -> Usage:
    return Usage(tokens=said.tokens, resources=said.resources)


def _end(ports: ApiPorts, request: Request, said: Proven, kind: OutcomeKind, more: dict[str, Any]) -> Response:
    body: Ending = request.body
    try:
        attempt = current(ports, said, body.runner)
    except Problem:
        if _taken_before(ports, said, body):
            return _taken(said, repeated=True)
        raise
    outcome = _outcome(attempt, body, kind, request.now_ms, more)
    try:
        ports.store.write(attempts.finish(said.key, said.claims.epoch, body.runner, outcome, request.now_ms))
    except ConditionFailed as error:
        raise refused(error, said, body.runner) from error
    tell(ports, request, Nudge(token=said.token, runner=body.runner, outcome=outcome, waits=body.waits))
    return _taken(said, repeated=attempt.outcome is not None)


def _outcome(attempt: Attempt, body: Ending, kind: OutcomeKind, now_ms: int, more: dict[str, Any]) -> Outcome:
    """The outcome; of a repeat without times the one that stands there, if it says the same."""
    began_ms = attempt.started_at_ms or now_ms
    if attempt.checkpoint_json is not None and kind is not OutcomeKind.SUCCEEDED:
        # Who ends without a checkpoint leaves the one that it stored by a check-in.
        more = {"checkpoint": msgspec.json.decode(attempt.checkpoint_json), **more}
    made = Outcome(
        kind=kind,
        started_at_ms=began_ms if body.started_at_ms is None else body.started_at_ms,
        finished_at_ms=max(began_ms, now_ms) if body.finished_at_ms is None else body.finished_at_ms,
        usage=usage_of(body.usage),
        children=body.children or bool(attempt.children),
        **more,
    )
    before = attempt.outcome
    if before is None or body.finished_at_ms is not None:
        return made
    timed = msgspec.structs.replace(made, finished_at_ms=before.finished_at_ms)
    return before if msgspec.json.encode(timed) == msgspec.json.encode(before) else made


def _taken_before(ports: ApiPorts, said: Proven, body: Ending) -> bool:
    """The attempt is gone because this very word was taken: its answer was lost, and it is said again."""
    key = keys.task_key(said.claims.task_id)
    found = ports.store.get([key]).get(key)
    if found is None or body.started_at_ms is None or body.finished_at_ms is None:
        return False
    taken = tuple(optional_number(found.attributes, name) for name in ("epoch", "started_at_ms", "finished_at_ms"))
    return taken == (said.claims.epoch, body.started_at_ms, body.finished_at_ms)


def _checkpoint(ports: ApiPorts, said: Proven, body: Fail | GiveWay | Stop | Suspend) -> dict[str, Any]:
    if body.checkpoint is None:
        return {}
    return {"checkpoint": kept(ports, said.claims.tenant_id, body.checkpoint, "checkpoint")}


def _throttled(said: Pause | None) -> Throttled | None:
    if said is None:
        return None
    return Throttled(resource=said.resource, retry_after_seconds=said.retry_after_seconds)


def _taken(said: Proven, *, repeated: bool) -> Response:
    return Response(body=Taken(task_id=said.claims.task_id, epoch=said.claims.epoch, repeated=repeated))
