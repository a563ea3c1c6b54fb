"""Who the caller is to this API: what a page shows, and which of its views it offers, follows from that."""

from typing import Final

from msgspec import Struct

from pushlane.api.access import caller
from pushlane.api.operations import EVERYBODY, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.model.principal import Role


class CallerView(Struct, frozen=True, kw_only=True):
    """What the credential stands for. `tenant_id` null: of the installation, or an agent's of its pool. `now_ms`: the
    API's clock, in Unix milliseconds, by which all of its times are meant.
    """

    principal_id: str
    role: Role
    tenant_id: str | None
    of_installation: bool
    now_ms: int


def show(_ports: ApiPorts, request: Request) -> Response:
    principal = caller(request)
    view = CallerView(
        principal_id=principal.principal_id,
        role=principal.role,
        tenant_id=principal.tenant_id,
        of_installation=principal.of_installation,
        now_ms=request.now_ms,
    )
    return Response(body=view)


OPERATIONS: Final = (
    Operation(
        operation_id="getCaller",
        method="GET",
        path="/v1/caller",
        roles=EVERYBODY,
        summary="Who the credential stands for.",
        run=show,
        responses={200: CallerView},
        tag="api",
    ),
)
