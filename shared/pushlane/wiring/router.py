"""The router, wired for Lambda."""

from collections.abc import Callable
from functools import cache, partial

from pushlane.router.app import Router
from pushlane.router.held import HeldTenants
from pushlane.router.ports import RouterPorts
from pushlane.router.quarantine import Quarantine
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.router.turn_spans import TurnSpans
from pushlane.settings.doors import tenant_doors_of
from pushlane.settings.environment import load
from pushlane.settings.functions import RouterSettings
from pushlane.state.access_keys import find_key
from pushlane.state.cached import Cached
from pushlane.wiring.callbacks import callback_binding
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ
from pushlane.wiring.traces import tracing_of
from pushlane.wiring.turns import pusher, turn_ports


@cache
def build_router() -> Router:
    """The router of this process, from its environment."""
    settings, log = load(RouterSettings, environ()), structured_log("router")
    turn, tracing = turn_ports(settings), tracing_of(settings, settings.stage, "router", log)
    spans = None if tracing is None else TurnSpans(tracing, turn.clock)
    return Router(router_ports(settings, turn, log, spans))


def router_ports(
    settings: RouterSettings, turn: TurnPorts, log: Callable[..., None], spans: TurnSpans | None = None
) -> RouterPorts:
    """The ports of every function that takes tasks in and runs turns. `spans`: of the turns, where they are traced."""
    keyring = keyring_reader(settings.signing_secret_arn)
    tenants = TenantDirectory(turn.store, turn.clock)
    return RouterPorts(
        turn=turn,
        pusher=pusher(turn, keyring, settings.outbound_queue_url, spans),
        tenants=tenants,
        quarantine=Quarantine(turn.store, turn.sender, turn.clock, settings.quarantine_queue_url),
        held=HeldTenants(),
        keyring=keyring,
        access_key=Cached(partial(find_key, turn.store), turn.clock).get,
        accept_unsigned_tenant=settings.accept_unsigned_tenant,
        results_queue_arn=settings.results_queue_arn,
        wakeups_queue_arn=settings.wakeups_queue_arn,
        held_queue_arn=settings.held_queue_arn,
        held_queue_url=settings.held_queue_url,
        log=log,
        callbacks=callback_binding(settings.stage, settings.outbound_queue_url, turn, tenants),
        tenant_doors=tenant_doors_of(settings.tenant_doors),
        turn_spans=spans,
    )
