"""Claims over HTTP: the turn runs inside the request, and again after a while when it found nothing."""

from typing import Final

import msgspec

from pushlane.api.access import caller
from pushlane.api.agent_access import agent_of_path, pool_of, require_all_tenants
from pushlane.api.agent_documents import ClaimSaid, DispatchesAsTheyAre
from pushlane.api.operations import Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import conflict, unknown
from pushlane.model.errors import InvalidEvent
from pushlane.router.agent_health import heard
from pushlane.router.claim import NoSuchAgent, claim, pulling_agent

_FIRST_PAUSE_SECONDS: Final = 0.25
_PAUSE_SECONDS_MAX: Final = 1.0


def take(ports: ApiPorts, request: Request) -> Response:
    """Claim tasks, by the same turn that pushes to others; looks again for a while when there are none."""
    said: ClaimSaid = request.body
    pool, agent_id = pool_of(request), agent_of_path(request)
    require_all_tenants(caller(request))
    _require_pulling(ports, pool, agent_id)
    until_ms, pause = request.now_ms + round(said.wait_seconds * 1_000), _FIRST_PAUSE_SECONDS
    while True:
        found = claim(ports.turn, ports.pusher, pool, agent_id, said.claim_id, said.max)
        left_seconds = (until_ms - ports.clock.now_ms()) / 1_000
        if found or left_seconds <= 0:
            documents = tuple(msgspec.Raw(one.document.encode()) for one in found)
            return Response(body=DispatchesAsTheyAre(dispatches=documents))
        ports.sleep(min(pause, left_seconds))
        pause = min(_PAUSE_SECONDS_MAX, 2 * pause)


def _require_pulling(ports: ApiPorts, pool: str, agent_id: str) -> None:
    """A claim is a heartbeat as well. Raises 404 and 409."""
    try:
        agent = pulling_agent(ports.store, pool, agent_id)
    except NoSuchAgent as error:
        raise unknown("agent") from error
    except InvalidEvent as error:
        raise conflict("not-pulling", error.reason) from error
    if agent.heartbeat_ms is not None:
        heard(ports.turn, ports.pusher, pool, agent_id)
