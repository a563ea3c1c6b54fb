"""Callbacks, wired for the functions that accept tasks."""

from pushlane.model.target_url import TargetRules
from pushlane.router.callbacks import Binding, CallbackDirectory, Callbacks, NoCallbacks
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import TurnPorts
from pushlane.settings.stage import Stage


def callback_binding(stage: str, outbound_queue_url: str, turn: TurnPorts, tenants: TenantDirectory) -> Binding:
    """What gives tasks their callbacks; where no courier is deployed (it has no queue) there are none."""
    if not outbound_queue_url:
        return NoCallbacks()
    return Callbacks(CallbackDirectory(turn.store, turn.clock), tenants, target_rules(stage))


def target_rules(stage: str) -> TargetRules:
    """Which URLs of others are called: public ones by https, at stage local also this machine."""
    return TargetRules(allow_local=stage == Stage.LOCAL.value)
