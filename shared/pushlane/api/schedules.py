"""Schedules: make, look at, change (which pauses and resumes them), remove."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.api.access import active_tenant_of, owned, tenant_of
from pushlane.api.operations import PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import conflict, invalid, unavailable, unknown
from pushlane.model.ids import Identifier
from pushlane.model.schedule import (
    MissedRule,
    ScheduleData,
    TaskTemplate,
    WorkflowTemplate,
    check_schedule,
    schedule_id_of,
)
from pushlane.ports import CancelReason, ScheduleRefused, Schedules, TransactionCancelled, Write
from pushlane.router.schedules import settle
from pushlane.state.schedules import Schedule, delete_operations, list_schedules, load_schedule, put_operations

_TAG: Final = "schedules"


class ScheduleChange(ScheduleData, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schedule as it is to be. `expect_revision`: the one that the change was made from; 409 when it is another."""

    expect_revision: Annotated[int, Meta(ge=1)] | None = None


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule. `next_at_ms`: when it is due next, within its window; null when paused or over. `changed_at_ms` and
    `created_at_ms` are Unix milliseconds; `revision` counts its changes from 1.
    """

    schedule_id: str
    tenant_id: str
    revision: int
    created_at_ms: int
    changed_at_ms: int
    next_at_ms: int | None
    name: str
    expression: str
    timezone: str
    starts_at_ms: int | None
    ends_at_ms: int | None
    enabled: bool
    window_minutes: int
    missed: MissedRule
    task: TaskTemplate | None
    workflow: WorkflowTemplate | None


class SchedulePage(Struct, frozen=True, kw_only=True):
    """Part of a tenant's schedules. `next_cursor`: hand it back as `cursor` for what follows; null at the end."""

    schedules: tuple[ScheduleView, ...]
    next_cursor: str | None


class ScheduleQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the list. `tenant`: for principals of the installation."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    cursor: Identifier | None = None


def make(ports: ApiPorts, request: Request) -> Response:
    """Make a schedule; the same again is the same schedule."""
    data: ScheduleData = request.body
    tenant_id = active_tenant_of(ports, request)
    schedule_id = schedule_id_of(tenant_id, data.name)
    before = load_schedule(ports.store, schedule_id)
    if before is not None:
        if before.data != data:
            raise conflict("name-taken", f"schedule {data.name!r} is there and says something else: change it with PUT")
        _settle(ports, before, before)
        return Response(status=200, body=_view(before, request.now_ms))
    check_schedule(data, request.now_ms)
    made = _revision(ports, None, data, tenant_id, request.now_ms)
    _store(ports, None, made)
    return Response(status=201, body=_view(made, request.now_ms), headers={"location": f"/v1/schedules/{schedule_id}"})


def show(ports: ApiPorts, request: Request) -> Response:
    """One schedule."""
    return Response(body=_view(_owned(ports, request), request.now_ms))


def show_all(ports: ApiPorts, request: Request) -> Response:
    """The tenant's schedules, by page."""
    query: ScheduleQuery = request.query
    found, cursor = list_schedules(ports.store, tenant_of(request), after=query.cursor or "", limit=query.limit)
    page = SchedulePage(schedules=tuple(_view(one, request.now_ms) for one in found), next_cursor=cursor)
    return Response(body=page)


def change(ports: ApiPorts, request: Request) -> Response:
    """Replace what a schedule says."""
    said: ScheduleChange = request.body
    before = _owned(ports, request)
    if said.name != before.data.name:
        raise invalid("$.name", f"a schedule keeps its name, {before.data.name!r}: make another one for another name")
    data = ScheduleData(**{name: getattr(said, name) for name in ScheduleData.__struct_fields__})
    if data == before.data:  # a repeat: what an earlier request may have left undone is done now
        _settle(ports, before, before)
        return Response(body=_view(before, request.now_ms))
    if said.expect_revision not in (None, before.revision):
        raise conflict("revision-moved", f"the schedule is at revision {before.revision}: make the change in that one")
    check_schedule(data, request.now_ms)
    made = _revision(ports, before, data, before.tenant_id, request.now_ms)
    _store(ports, before, made)
    return Response(body=_view(made, request.now_ms))


def remove(ports: ApiPorts, request: Request) -> Response:
    """Remove a schedule. What it has submitted stays."""
    before = _owned(ports, request)
    change_id = ports.turn.new_token()
    operations = delete_operations(before, change_id, ports.schedules_place, request.now_ms)
    _transact(ports, operations, change_id)
    settle(ports.store, _service(ports), before.schedule_id, change_id)
    return Response(status=204)


def _owned(ports: ApiPorts, request: Request) -> Schedule:
    found = load_schedule(ports.store, request.path["schedule_id"])
    if found is None:
        raise unknown("schedule")
    owned(request, found.tenant_id, "schedule")
    return found


def _revision(ports: ApiPorts, before: Schedule | None, data: ScheduleData, tenant_id: str, now_ms: int) -> Schedule:
    return Schedule(
        schedule_id=schedule_id_of(tenant_id, data.name),
        tenant_id=tenant_id,
        revision=1 if before is None else before.revision + 1,
        change_id=ports.turn.new_token(),
        created_at_ms=now_ms if before is None else before.created_at_ms,
        changed_at_ms=now_ms,
        data=data,
    )


def _store(ports: ApiPorts, before: Schedule | None, made: Schedule) -> None:
    _transact(ports, put_operations(before, made, ports.schedules_place), made.change_id)
    _settle(ports, before, made)


def _settle(ports: ApiPorts, before: Schedule | None, made: Schedule) -> None:
    """Tell the scheduling service; what it refuses is taken back, and answered with its reason."""
    try:
        settle(ports.store, _service(ports), made.schedule_id, made.change_id)
    except ScheduleRefused as error:
        _take_back(ports, before, made)
        raise invalid("$.expression", str(error)) from error


def _take_back(ports: ApiPorts, before: Schedule | None, made: Schedule) -> None:
    change_id = ports.turn.new_token()
    if before is None or before is made:
        operations = delete_operations(made, change_id, ports.schedules_place, made.changed_at_ms)
    else:
        again = msgspec.structs.replace(before, revision=made.revision + 1, change_id=change_id)
        operations = put_operations(made, again, ports.schedules_place)
    _transact(ports, operations, change_id)
    for one in (change_id, made.change_id):
        settle(ports.store, _service(ports), made.schedule_id, one)


def _transact(ports: ApiPorts, operations: list[Write], change_id: str) -> None:
    try:
        ports.store.transact(operations, change_id)
    except TransactionCancelled as cancelled:
        if any(one.reason is CancelReason.CONDITION for one in cancelled.cancelled):
            raise conflict(
                "revision-moved", "the schedule was changed by another request just now: look again"
            ) from None
        raise unavailable() from cancelled


def _service(ports: ApiPorts) -> Schedules:
    if ports.schedules is None:
        raise unavailable()
    return ports.schedules


def _view(schedule: Schedule, now_ms: int) -> ScheduleView:
    said = {name: getattr(schedule.data, name) for name in ScheduleData.__struct_fields__}
    return ScheduleView(
        schedule_id=schedule.schedule_id,
        tenant_id=schedule.tenant_id,
        revision=schedule.revision,
        created_at_ms=schedule.created_at_ms,
        changed_at_ms=schedule.changed_at_ms,
        next_at_ms=schedule.next_after(now_ms),
        **said,
    )


OPERATIONS: Final = (
    Operation(
        operation_id="makeSchedule",
        method="POST",
        path="/v1/schedules",
        roles=PRODUCERS,
        summary="Make a schedule",
        run=make,
        body=ScheduleData,
        responses={200: ScheduleView, 201: ScheduleView},
        problems=frozenset({409}),
        tag=_TAG,
        description="By its name: the same again is answered with 200 and the schedule that is there.",
    ),
    Operation(
        operation_id="listSchedules",
        method="GET",
        path="/v1/schedules",
        roles=PRODUCERS,
        summary="List the tenant's schedules",
        run=show_all,
        query=ScheduleQuery,
        responses={200: SchedulePage},
        tag=_TAG,
    ),
    Operation(
        operation_id="getSchedule",
        method="GET",
        path="/v1/schedules/{schedule_id}",
        roles=PRODUCERS,
        summary="Look at a schedule",
        run=show,
        responses={200: ScheduleView},
        owns=Owned.SCHEDULE,
        tag=_TAG,
    ),
    Operation(
        operation_id="changeSchedule",
        method="PUT",
        path="/v1/schedules/{schedule_id}",
        roles=PRODUCERS,
        summary="Change, pause or resume a schedule",
        run=change,
        body=ScheduleChange,
        responses={200: ScheduleView},
        problems=frozenset({409}),
        owns=Owned.SCHEDULE,
        tag=_TAG,
        description="Replaces all that it says; `enabled` false pauses it, true lets it go on.",
    ),
    Operation(
        operation_id="removeSchedule",
        method="DELETE",
        path="/v1/schedules/{schedule_id}",
        roles=PRODUCERS,
        summary="Remove a schedule",
        run=remove,
        responses={204: None},
        problems=frozenset({409}),
        owns=Owned.SCHEDULE,
        tag=_TAG,
    ),
)
