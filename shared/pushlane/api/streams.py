"""What happens, as it happens: the event logs of a task, a workflow and a tenant, as Server-Sent Events or pages.

A plain browser EventSource can follow: each answer is a bounded long poll, the browser comes back with
`Last-Event-ID`, and 204 tells it to stop when the end was delivered.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from pushlane.api.access import owned_task, owned_workflow, tenant_of
from pushlane.api.operations import PRODUCERS, Operation, Owned, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import invalid, unavailable, unknown
from pushlane.model.live import OpenFeed, feed_log
from pushlane.model.timeline import LoggedEvent
from pushlane.router.repeating import told
from pushlane.router.snapshots import snapshot_of
from pushlane.state.connections import is_feed_open
from pushlane.state.copied_log import has_all
from pushlane.state.event_log import LogPage, read_events
from pushlane.state.items import number, status_of

EVENT_STREAM: Final = "text/event-stream"
EVENTS_MAX: Final = 500
WAIT_SECONDS: Final = 5.0
WAIT_SECONDS_MAX: Final = 20.0
# After the end of what repeats other logs these may still come in, those that it has not heard of yet within this.
SETTLED_MS: Final = 3_000
# A log begins a moment after its task, and later when the streamer has much to do: only then is it gone.
BEGINS_MS: Final = 15 * 60_000
_LOOK_SECONDS: Final = 0.1
_LOOK_SECONDS_MAX: Final = 0.5
_RETRY_MS: Final = 100
_BYTES_MAX: Final = 2 * 1024 * 1024
# An EventSource has events of its own of these names.
_TAKEN: Final = frozenset({"error", "open"})

After = Annotated[int, Meta(ge=0, le=2**52)]


class EventsQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """From where, how many, and how long to wait for the first. `after` yields to the header `Last-Event-ID`. `ticket`
    is the credential of a browser, which can set no header. `named` false: every event is a plain `message`, for pages
    that take all kinds; an EventSource hears named events only if it was told their names.
    """

    after: After | None = None
    limit: Annotated[int, Meta(ge=1, le=EVENTS_MAX)] = EVENTS_MAX
    wait_seconds: Annotated[float, Meta(ge=0, le=WAIT_SECONDS_MAX)] | None = None
    ticket: str | None = None
    named: bool = True


class EventsPage(Struct, frozen=True, kw_only=True):
    """Part of a log. `last`: where to read on from. `more`: there are further events already. `ended`: nothing more is
    to be expected. `expired`: of what was asked for some is not there any more, and `snapshot` is how it stands.
    """

    stream: str
    events: tuple[LoggedEvent, ...]
    last: int
    more: bool
    ended: bool
    expired: bool = False
    snapshot: dict[str, Any] | None = None


def of_task(ports: ApiPorts, request: Request) -> Response:
    """A task's log, those of the tasks that are attached to it included."""
    stored = owned_task(ports, request)
    over_ms = number(stored, "ended_at_ms") if "ended_at_ms" in stored else number(stored, "accepted_at_ms")
    return _answer(ports, request, request.path["task_id"], over_ms if status_of(stored).terminal else None)


def of_workflow(ports: ApiPorts, request: Request) -> Response:
    """A workflow's log: its own facts and the logs of its tasks."""
    row = owned_workflow(ports, request)
    return _answer(ports, request, row.accepted.workflow_id, row.ended_at_ms)


def of_tenant(ports: ApiPorts, request: Request) -> Response:
    """A tenant's feed: the logs of all of its tasks and workflows that anything happened to since it was opened, which
    is done by asking for it.
    """
    tenant_id = tenant_of(request)
    if tenant_id not in ports.router.tenants.active():
        raise unknown("tenant")
    log = feed_log(tenant_id)
    if not is_feed_open(ports.store, tenant_id, request.now_ms):
        wish = OpenFeed(log=log, tenant_id=tenant_id, request_id=request.request_id)
        if not told(ports.sender, ports.events_queue_url or "", [wish], ports.router.keyring):
            raise unavailable()
    return _answer(ports, request, log, None)


def _answer(ports: ApiPorts, request: Request, log: str, over_ms: int | None) -> Response:
    """`over_ms`: when what the log is about ended; None while it has not."""
    _watchable(request, log)
    query: EventsQuery = request.query
    after, resumed = _after(request)
    plain = _wants_page(request)
    wait_seconds = query.wait_seconds if query.wait_seconds is not None else 0.0 if plain else WAIT_SECONDS
    page = _awaited(ports, log, after, wait_seconds, query.limit, over_ms)
    ended = _is_over(ports, log, page, after if not page.events else page.last, over_ms)
    unwritten = page.head is None and not page.events and ended
    expired = page.expired or (unwritten and not resumed)
    snapshot = snapshot_of(ports.store, log) if expired else None
    events = _bounded(page.events)
    cut = len(events) < len(page.events)
    said = EventsPage(
        stream=log,
        events=events,
        last=events[-1].sequence if cut else page.last,
        more=page.more or cut,
        ended=ended and not cut,
        expired=expired,
        snapshot=snapshot,
    )
    if plain:
        return Response(body=said)
    if ended and not said.events and not expired:
        return Response(status=204)
    return Response(body=server_sent(said, named=query.named), content_type=EVENT_STREAM)


def _watchable(request: Request, log: str) -> None:
    """A ticket for one stream shows that one; any other is unknown to it."""
    only = None if request.principal is None else request.principal.stream
    if only is not None and only != log:
        raise unknown(
            "task" if "task_id" in request.path else "workflow" if "workflow_id" in request.path else "tenant"
        )


def _after(request: Request) -> tuple[int, bool]:
    """From where, and whether that is said at all: then somebody has seen the beginning."""
    said = request.headers.get("last-event-id")
    if said is None or said == "":
        return request.query.after or 0, request.query.after is not None
    if not (said.isascii() and said.isdigit() and int(said) <= 2**52):
        raise invalid("header.Last-Event-ID", "is the `id` of the last event that was received: a number")
    return int(said), True


def _wants_page(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and EVENT_STREAM not in accepted


def _awaited(ports: ApiPorts, log: str, after: int, wait_seconds: float, limit: int, over_ms: int | None) -> LogPage:
    """The first page with anything to say, or the last look when there is nothing for `wait_seconds`."""
    until_ms = ports.clock.now_ms() + round(wait_seconds * 1_000)
    pause_seconds = _LOOK_SECONDS
    while True:
        page = read_events(ports.store, log, after=after, limit=limit)
        now_ms = ports.clock.now_ms()
        if page.events or page.expired or _is_over(ports, log, page, after, over_ms) or now_ms >= until_ms:
            return page
        ports.sleep(min(pause_seconds, (until_ms - now_ms) / 1_000))
        pause_seconds = min(_LOOK_SECONDS_MAX, pause_seconds * 1.5)


def _is_over(ports: ApiPorts, log: str, page: LogPage, seen: int, over_ms: int | None) -> bool:
    """Whether somebody who has seen everything up to `seen` has seen all that there will be."""
    head, now_ms = page.head, ports.clock.now_ms()
    if head is None:
        # A full page says nothing of the end. Without any log: it is gone, or never was written.
        return not page.events and not page.more and over_ms is not None and now_ms > over_ms + BEGINS_MS
    if not head.ended or seen < head.last:
        return False
    since_ms = now_ms - (head.ended_at_ms or 0)
    return not head.copies or since_ms > BEGINS_MS or (since_ms > SETTLED_MS and has_all(ports.store, log))


def _bounded(events: tuple[LoggedEvent, ...]) -> tuple[LoggedEvent, ...]:
    """As many as an answer takes, at least one."""
    size = 0
    for count, event in enumerate(events):
        size += len(msgspec.json.encode(event))
        if count and size > _BYTES_MAX:
            return events[:count]
    return events


def server_sent(page: EventsPage, *, named: bool = True) -> str:
    """A page as Server-Sent Events. `id` is the sequence, `event` the kind (where `named`); a comment when there is
    nothing to say.
    """
    parts = [f"retry: {_RETRY_MS}\n\n"]
    if page.expired:
        before = page.events[0].sequence - 1 if page.events else page.last
        said = {"type": "expired", "stream": page.stream, "snapshot": page.snapshot, "last": before}
        parts.append(_sent(before, "expired", said))
    parts += [_sent(event.sequence, event.kind if named else "message", event) for event in page.events]
    return "".join(parts) if len(parts) > 1 else parts[0] + ": nothing yet\n\n"


def _sent(sequence: int, kind: str, said: object) -> str:
    name = " ".join(kind.split()) or "message"
    return f"id: {sequence}\nevent: {f'agent-{name}' if name in _TAKEN else name}\ndata: {_json(said)}\n\n"


def _json(said: object) -> str:
    return msgspec.json.encode(said).decode()


_DESCRIPTION: Final = (
    "With `Accept: text/event-stream` (or none) a bounded long poll of Server-Sent Events: `id` is the sequence, "
    "`event` the kind, `data` the event as JSON. It ends when there is something, or after `wait_seconds`; an "
    "EventSource comes back with `Last-Event-ID` by itself. 204: everything was delivered. An event `expired` carries "
    "a snapshot when events that were asked for are not kept any more. With `Accept: application/json` a page instead."
)


def _operation(operation_id: str, path: str, summary: str, run: Any, owns: Owned | None) -> Operation:
    return Operation(
        operation_id=operation_id,
        method="GET",
        path=path,
        roles=PRODUCERS,
        summary=summary,
        run=run,
        query=EventsQuery,
        responses={200: EventsPage, 204: None},
        owns=owns,
        tag="streams",
        description=_DESCRIPTION,
        media={200: EVENT_STREAM},
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    _operation("streamTask", "/v1/tasks/{task_id}/events", "Follow a task", of_task, Owned.TASK),
    _operation(
        "streamWorkflow", "/v1/workflows/{workflow_id}/events", "Follow a workflow", of_workflow, Owned.WORKFLOW
    ),
    _operation("streamTenant", "/v1/events", "Follow everything of a tenant", of_tenant, None),
)
