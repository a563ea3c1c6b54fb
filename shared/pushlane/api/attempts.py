"""Attempts of agents outside Lambda: the same words, on the same item, under the same fence, said over HTTP."""

from typing import Any, Final

import msgspec

from pushlane.api import endings
from pushlane.api.attempt_claims import CLAIM_BYTES_MAX, get_claim, put_claim
from pushlane.api.attempt_documents import (
    Back,
    CheckIn,
    Child,
    ChildView,
    Complete,
    Emit,
    Fail,
    GiveWay,
    OrdersView,
    Start,
    Stop,
    Suspend,
    Taken,
    Wait,
)
from pushlane.api.children import submit_child
from pushlane.api.kept_values import kept
from pushlane.api.operations import AGENTS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, unavailable
from pushlane.api.reservation import Proven, proven, stale
from pushlane.model import events
from pushlane.model.emitted import Emitted, emitted_group, emitted_id
from pushlane.ports import Attributes, ConditionFailed, Message, Scalar
from pushlane.state import attempts
from pushlane.state.items import optional_number, to_json

_TAG: Final = "attempts"
_EMIT_BYTES_MAX: Final = 64 * 1024
_WORD: Final = frozenset({409})


def start(ports: ApiPorts, request: Request) -> Response:
    """Become the attempt's runner."""
    body: Start = request.body
    said, now_ms = proven(ports, request), request.now_ms
    stall_ms = None if body.stall_seconds is None else _ms(body.stall_seconds)
    more: dict[str, Scalar] = {"progress_at_ms": now_ms}
    if stall_ms is not None:
        more["stall_ms"] = stall_ms
    lease_ms = min(_ms(body.lease_seconds), stall_ms or _ms(body.lease_seconds))
    epoch = said.claims.epoch
    try:
        after = attempts.within_its_end(
            ports.store,
            now_ms + lease_ms,
            lambda until_ms: attempts.start(said.key, epoch, body.runner, now_ms, until_ms, more),
        )
    except ConditionFailed as error:
        raise stale() from error
    return Response(body=_orders(after, now_ms))


def check_in(ports: ApiPorts, request: Request) -> Response:
    """Extend the lease, store what is new, hear what is ordered."""
    body: CheckIn = request.body
    said = proven(ports, request)
    quiet = body.quiet_seconds > 0 and body.checkpoint is None and body.progress is None
    try:
        after = _beat(ports, request, said) if quiet else _check_in(ports, request, said)
    except ConditionFailed as error:
        if error.item is None or not attempts.is_runners(error.item.attributes, said.claims.epoch, body.runner):
            raise stale() from error
        after = error.item.attributes  # the work itself has told of newer progress meanwhile
    return Response(body=_orders(after, request.now_ms))


def _check_in(ports: ApiPorts, request: Request, said: Proven) -> Attributes:
    body: CheckIn = request.body
    more: dict[str, Scalar] = {"progress_at_ms": request.now_ms}
    if body.checkpoint is not None:
        more["checkpoint"] = to_json(kept(ports, said.claims.tenant_id, body.checkpoint, "checkpoint"))
    if body.progress is not None:
        more["progress"] = to_json(body.progress)
    if body.waits is not None:
        more["waits"] = body.waits
    if body.waiting is not None:
        more["waiting"] = body.waiting
    epoch = said.claims.epoch
    return attempts.within_its_end(
        ports.store,
        request.now_ms + _ms(body.lease_seconds),
        lambda until_ms: attempts.check_in(said.key, epoch, body.runner, until_ms, more),
    )


def _beat(ports: ApiPorts, request: Request, said: Proven) -> Attributes:
    """The process lives, and its work is silent: that must not take back what newer work has said."""
    body: CheckIn = request.body
    progress_at_ms, epoch = request.now_ms - _ms(body.quiet_seconds), said.claims.epoch
    return attempts.within_its_end(
        ports.store,
        request.now_ms + _ms(body.lease_seconds),
        lambda until_ms: attempts.beat(said.key, epoch, body.runner, until_ms, progress_at_ms),
    )


def emit(ports: ApiPorts, request: Request) -> Response:
    """Tell those who watch the task."""
    body: Emit = request.body
    said = proven(ports, request)
    if len(msgspec.json.encode(body.data)) > _EMIT_BYTES_MAX:
        raise Problem(413, "too-large", f"$.data: at most {_EMIT_BYTES_MAX} bytes: store it and emit where it lies")
    one = Emitted(
        token=said.token,
        task_id=said.claims.task_id,
        epoch=said.claims.epoch,
        runner=body.runner,
        number=body.number,
        kind=body.kind,
        data=body.data,
        emitted_at_ms=request.now_ms,
    )
    message = Message(to_json(one), group=emitted_group(one.task_id), deduplication_id=emitted_id(one))
    if ports.events_queue_url is not None and ports.sender.send(ports.events_queue_url, [message]):
        raise unavailable()
    return Response(status=202)


def wait(ports: ApiPorts, request: Request) -> Response:
    """Give back slot and resources while the attempt waits."""
    said = proven(ports, request)
    usage = endings.usage_of(request.body.usage)
    word = events.Waits(token=said.token, runner=request.body.runner, number=request.body.number, usage=usage)
    endings.tell(ports, request, word)
    return Response(status=202)


def back(ports: ApiPorts, request: Request) -> Response:
    """Ask again for what the wait gave back."""
    said = proven(ports, request)
    endings.tell(ports, request, events.Back(token=said.token, runner=request.body.runner, number=request.body.number))
    return Response(status=202)


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)


def _orders(after: Attributes, now_ms: int) -> OrdersView:
    found = attempts.orders_of(after)
    return OrdersView(
        order=found.order,
        lease_until_ms=optional_number(after, "lease_until_ms") or now_ms,
        now_ms=now_ms,
        started_at_ms=optional_number(after, "started_at_ms"),
        ends_at_ms=found.ends_at_ms,
        signals=found.new_signals,
        signals_known=found.signals,
        gave_back=found.gave_back,
        granted=found.granted,
        progress_at_ms=found.progress_at_ms,
    )


def _word(name: str, path: str, summary: str, run: Any, body: Any, responses: dict[int, Any], **more: Any) -> Operation:
    return Operation(
        operation_id=name,
        method="POST",
        path=f"/v1/attempts/{{task_id}}/{path}",
        roles=AGENTS,
        summary=summary,
        run=run,
        body=body,
        responses=responses,
        problems=more.pop("problems", _WORD),
        owns=Owned.ATTEMPT,
        tag=_TAG,
        **more,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    _word("startAttempt", "start", "Start a dispatched attempt", start, Start, {200: OrdersView}),
    _word("checkInAttempt", "check-in", "Extend the lease and hear orders", check_in, CheckIn, {200: OrdersView}),
    _word("completeAttempt", "complete", "The task is done", endings.complete, Complete, {200: Taken}),
    _word("failAttempt", "fail", "The attempt failed", endings.fail, Fail, {200: Taken}),
    _word("yieldAttempt", "yield", "Give the slot back and go on later", endings.give_way, GiveWay, {200: Taken}),
    _word("suspendAttempt", "suspend", "Go on at a time or by a signal", endings.suspend, Suspend, {200: Taken}),
    _word("stopAttempt", "stop", "End as cancelled", endings.stop, Stop, {200: Taken}),
    _word("emitEvent", "emit", "Tell those who watch the task", emit, Emit, {202: None}, problems=frozenset({413})),
    _word("beginWait", "wait", "Give slot and resources back while waiting", wait, Wait, {202: None}),
    _word("endWait", "back", "Ask for them again", back, Back, {202: None}),
    _word(
        "submitChild",
        "children",
        "Submit a task of the same tenant",
        submit_child,
        Child,
        {202: ChildView},
        problems=frozenset({409, 429}),
    ),
    Operation(
        operation_id="putClaim",
        method="PUT",
        path="/v1/attempts/{task_id}/claims/{name}",
        roles=AGENTS,
        summary="Keep a large value",
        run=put_claim,
        responses={204: None},
        owns=Owned.ATTEMPT,
        opaque=True,
        body_bytes_max=CLAIM_BYTES_MAX,
        tag=_TAG,
    ),
    Operation(
        operation_id="getClaim",
        method="GET",
        path="/v1/attempts/{task_id}/claims/{name}",
        roles=AGENTS,
        summary="Read a large value",
        run=get_claim,
        responses={200: dict[str, Any]},
        problems=frozenset({413}),
        owns=Owned.ATTEMPT,
        tag=_TAG,
    ),
)
