"""The router, wired for Lambda."""

from functools import cache

from pushlane.router.app import Router
from pushlane.router.held import HeldTenants
from pushlane.router.ports import RouterPorts
from pushlane.router.quarantine import Quarantine
from pushlane.router.tenants import TenantDirectory
from pushlane.settings.environment import load
from pushlane.settings.functions import RouterSettings
from pushlane.wiring.keys import key_reader
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ
from pushlane.wiring.turns import pusher, turn_ports


@cache
def build_router() -> Router:
    """The router of this process, from its environment."""
    settings = load(RouterSettings, environ())
    turn = turn_ports(settings)
    read_key = key_reader(settings.signing_secret_arn)
    return Router(
        RouterPorts(
            turn=turn,
            pusher=pusher(turn, read_key),
            tenants=TenantDirectory(turn.store, turn.clock),
            quarantine=Quarantine(turn.store, turn.sender, turn.clock, settings.quarantine_queue_url),
            held=HeldTenants(),
            signing_key=read_key,
            accept_unsigned_tenant=settings.accept_unsigned_tenant,
            results_queue_arn=settings.results_queue_arn,
            wakeups_queue_arn=settings.wakeups_queue_arn,
            held_queue_arn=settings.held_queue_arn,
            held_queue_url=settings.held_queue_url,
            log=structured_log("router"),
        )
    )
