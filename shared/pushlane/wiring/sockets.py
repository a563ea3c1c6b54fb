"""The WebSocket API, wired for Lambda."""

from functools import cache

from pushlane.api import tasks
from pushlane.api.app import Api
from pushlane.api.sockets import Sockets
from pushlane.router.following import Following
from pushlane.settings.edge import SocketsSettings
from pushlane.settings.environment import load
from pushlane.wiring.api import api_ports
from pushlane.wiring.logs import structured_log
from pushlane.wiring.posting import poster
from pushlane.wiring.process import environ


@cache
def build_sockets() -> Sockets:
    """The WebSocket application of this process, from its environment."""
    settings = load(SocketsSettings, environ())
    ports = api_ports(settings, structured_log("sockets"))
    following = Following(ports.store, poster(), ports.log)
    return Sockets(ports, Api(ports, tasks.OPERATIONS).handle, following)
