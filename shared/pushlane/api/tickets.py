"""Stream tickets: what a browser's EventSource or WebSocket carries, because it cannot set headers."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from pushlane.api.access import caller, scope_of
from pushlane.api.operations import PRODUCERS, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import unknown
from pushlane.model.ids import Identifier
from pushlane.model.ticket import LIFE_SECONDS, LIFE_SECONDS_MAX, TicketClaims, sign_ticket
from pushlane.state import keys
from pushlane.state.items import text
from pushlane.state.workflows import workflow_key

_SHORTEST_SECONDS: Final = 10


class TicketBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`stream`: the one task or workflow that the ticket is for; without it, all that the credential may watch."""

    stream: Identifier | None = None
    life_seconds: Annotated[int, Meta(ge=_SHORTEST_SECONDS, le=LIFE_SECONDS_MAX)] = LIFE_SECONDS


class Ticket(Struct, frozen=True, kw_only=True):
    """Hand it on as the query parameter `ticket`. It ends at `expires_at_ms` (Unix milliseconds) or with the credential
    that it was made with.
    """

    ticket: str
    expires_at_ms: int


def issue(ports: ApiPorts, request: Request) -> Response:
    stream = request.body.stream
    if stream is not None:
        _check_stream(ports, request, stream)
    expires_at_ms = request.now_ms + request.body.life_seconds * 1_000
    claims = TicketClaims(principal=caller(request), expires_at_ms=expires_at_ms, stream=stream)
    return Response(
        status=201, body=Ticket(ticket=sign_ticket(claims, ports.router.keyring()), expires_at_ms=expires_at_ms)
    )


def _check_stream(ports: ApiPorts, request: Request, stream: str) -> None:
    """Raises 404 for what is neither a task nor a workflow, and just so for another tenant's."""
    wanted = (keys.task_key(stream), workflow_key(stream))
    found = ports.store.get(wanted)
    whose = [text(item.attributes, "tenant_id") for item in found.values()]
    if not whose or scope_of(request) not in (None, whose[0]):
        raise unknown("stream")


OPERATIONS: Final = (
    Operation(
        operation_id="issueStreamTicket",
        method="POST",
        path="/v1/stream-tickets",
        roles=PRODUCERS,
        summary="Make a ticket by which a browser may watch.",
        run=issue,
        body=TicketBody,
        responses={201: Ticket},
        problems=frozenset({404}),
        tag="streams",
    ),
)
