"""The installation at this moment, as `pushlane top` and the console show it."""

from typing import Final

from msgspec import Struct

from pushlane.api.operations import OPERATORS, Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.client.live import Live, live
from pushlane.model.ids import Identifier


class LiveQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`pool`: of this one alone; without it, of all."""

    pool: Identifier | None = None


def show(ports: ApiPorts, request: Request) -> Response:
    return Response(body=live(ports.store, request.now_ms, pool=request.query.pool))


OPERATIONS: Final = (
    Operation(
        operation_id="getLive",
        method="GET",
        path="/v1/live",
        roles=OPERATORS,
        of_installation=True,
        summary="What waits, for whom and how long; who runs it; what is left of what is shared.",
        run=show,
        query=LiveQuery,
        responses={200: Live},
        tag="admin",
    ),
)
