"""Dead-lettered tasks: list, look at, redrive, discard."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.api.access import IDENTIFIER, owned_task, scope_of
from pushlane.api.cursors import CURSOR_CHARACTERS_MAX, cursor_of, no_cursor, place_of
from pushlane.api.operations import OPERATORS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, conflict, unknown
from pushlane.client.dead_tasks import DeadTask, DeadTasks
from pushlane.client.errors import NotDead, TaskUnknown
from pushlane.model.commands import DiedEpoch, Reason
from pushlane.model.ids import Identifier
from pushlane.model.task import Status
from pushlane.ports import ItemStore, Table
from pushlane.router.redrive import REDRIVEN, discard, redrive
from pushlane.state import keys
from pushlane.state.dead import Grave, graves
from pushlane.state.items import text

LISTED_MAX: Final = 100
# Graves that are looked at for one page, whosever they are; then the cursor goes on.
LOOKED_AT_MAX: Final = 1_000
_WINDOW: Final = 100
_POOLS_MAX: Final = 1_000
_TAG: Final = "dead letters"
_PLACE: Final = re.compile(r"\d{1,16}#[A-Za-z0-9._-]{1,64}\Z")


class DeadQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which dead tasks; what is left out does not matter."""

    pool: Identifier | None = None
    task_type: Identifier | None = None
    limit: Annotated[int, Meta(ge=1, le=LISTED_MAX)] = 50
    cursor: Annotated[str, Meta(max_length=CURSOR_CHARACTERS_MAX)] | None = None


class DeadPage(Struct, frozen=True, kw_only=True):
    """Part of the dead tasks, pool by pool, the oldest first. `next_cursor`: null at the end. A page can be short, or
    empty, and not be the last.
    """

    tasks: tuple[DeadTask, ...]
    next_cursor: str | None


class RedriveBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`epoch`: only the death of this attempt is meant; a later one is left alone."""

    epoch: DiedEpoch | None = None


class DiscardBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`epoch`: as of a redrive. `reason`: what its facts say."""

    epoch: DiedEpoch | None = None
    reason: Reason | None = None


class Risen(Struct, frozen=True, kw_only=True):
    """What the task is now."""

    task_id: str
    status: Status


def listed(ports: ApiPorts, request: Request) -> Response:
    asked, scope = request.query, scope_of(request)
    found: list[DeadTask] = []
    place = ("", "") if asked.cursor is None else place_of(asked.cursor, tuple[str, str])
    if asked.cursor is not None and not (IDENTIFIER.match(place[0]) and _PLACE.match(place[1])):
        raise no_cursor()
    reader, looked_at, ended = DeadTasks(ports.store), 0, True
    for one in _graves(ports.store, asked.pool, *place):
        if len(found) == asked.limit or looked_at == LOOKED_AT_MAX:
            ended = False
            break
        looked_at, place = looked_at + 1, (one.pool, one.place)
        if scope in (None, one.entry.tenant_id):
            found += _read(reader, one, asked.task_type)
    return Response(body=DeadPage(tasks=tuple(found), next_cursor=None if ended else cursor_of(place)))


def _graves(store: ItemStore, only: str | None, from_pool: str, behind: str) -> Iterator[Grave]:
    """The graves of all pools from a place on."""
    registered = [item.key.sk for item in store.query(Table.SCHEDULER, keys.POOLS, limit=_POOLS_MAX)]
    for pool in sorted(registered if only is None else [only]):
        if pool < from_pool:
            continue
        after = behind if pool == from_pool else ""
        while page := graves(store, pool, _WINDOW, after):
            yield from page
            after = page[-1].place


def _read(reader: DeadTasks, grave: Grave, task_type: str | None) -> list[DeadTask]:
    try:
        task = reader.one(grave.entry.task_id)
    except (NotDead, TaskUnknown):
        return []  # it has gone on meanwhile
    return [task] if task_type in (None, task.task_type) else []


def show(ports: ApiPorts, request: Request) -> Response:
    owned_task(ports, request)
    try:
        return Response(body=DeadTasks(ports.store).one(request.path["task_id"]))
    except TaskUnknown as error:
        raise unknown("task") from error
    except NotDead as error:
        raise _not_dead(str(error)) from error


def bring_back(ports: ApiPorts, request: Request) -> Response:
    task_id, body = request.path["task_id"], request.body
    tenant_id = text(owned_task(ports, request), "tenant_id")
    said = redrive(ports.turn, ports.pusher, tenant_id, task_id, body.epoch)
    if said != REDRIVEN:
        raise _not_dead(f"the task is {said}: only a dead-lettered one (of that epoch) can be redriven")
    return Response(status=202, body=_now(ports, request))


def give_up(ports: ApiPorts, request: Request) -> Response:
    task_id, body = request.path["task_id"], request.body
    tenant_id = text(owned_task(ports, request), "tenant_id")
    reason = body.reason or "discarded on request"
    said = discard(ports.turn, ports.pusher, tenant_id, task_id, reason, body.epoch)
    if said != Status.FAILED:
        raise _not_dead(f"the task is {said}: only a dead-lettered one (of that epoch) can be discarded")
    return Response(body=_now(ports, request))


def _now(ports: ApiPorts, request: Request) -> Risen:
    return Risen(task_id=request.path["task_id"], status=Status(text(owned_task(ports, request), "status")))


def _not_dead(detail: str) -> Problem:
    return conflict("not-dead", detail)


OPERATIONS: Final = (
    Operation(
        operation_id="listDeadLetters",
        method="GET",
        path="/v1/dead-letters",
        roles=OPERATORS,
        summary="Dead-lettered tasks: of the tenant, or of all for an operator of the installation.",
        run=listed,
        query=DeadQuery,
        responses={200: DeadPage},
        tag=_TAG,
    ),
    Operation(
        operation_id="getDeadLetter",
        method="GET",
        path="/v1/dead-letters/{task_id}",
        roles=OPERATORS,
        summary="A dead-lettered task with its error and the history of its attempts.",
        run=show,
        responses={200: DeadTask},
        problems=frozenset({409}),
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="redriveDeadLetter",
        method="POST",
        path="/v1/dead-letters/{task_id}/redrive",
        roles=OPERATORS,
        summary="Bring a dead-lettered task back, through admission like a retry.",
        run=bring_back,
        body=RedriveBody,
        responses={202: Risen},
        problems=frozenset({409}),
        owns=Owned.TASK,
        tag=_TAG,
    ),
    Operation(
        operation_id="discardDeadLetter",
        method="POST",
        path="/v1/dead-letters/{task_id}/discard",
        roles=OPERATORS,
        summary="Give a dead-lettered task up: it ends as FAILED.",
        run=give_up,
        body=DiscardBody,
        responses={200: Risen},
        problems=frozenset({409}),
        owns=Owned.TASK,
        tag=_TAG,
    ),
)
