"""The sweep, wired for Lambda."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from pushlane.aws.schedules import EventBridgeSchedules, SchedulerPlace
from pushlane.model.errors import PushlaneError
from pushlane.ports import Table
from pushlane.router.schedules import settle_unfinished
from pushlane.router.sweep import sweep
from pushlane.router.turn import TurnPorts
from pushlane.settings.environment import load
from pushlane.settings.functions import SweepSettings
from pushlane.state.pools import registered_pools
from pushlane.telemetry.metrics import pool_metrics
from pushlane.telemetry.sampling import sample_pools
from pushlane.wiring import clients
from pushlane.wiring.keys import keyring_reader
from pushlane.wiring.logs import structured_log, write_metrics
from pushlane.wiring.process import environ
from pushlane.wiring.turns import pusher, turn_ports


class SweepIncomplete(PushlaneError):
    """Some pools could not be swept; the next minute tries again, and the alarm on errors tells you if it goes on."""


@cache
def build_sweep() -> Callable[[], dict[str, Any]]:
    """One sweep of every pool, and of changes of schedules that broke off; it raises `SweepIncomplete`."""
    settings = load(SweepSettings, environ())
    turn = turn_ports(settings, {Table.MEASURES: settings.measures_table})
    push = pusher(turn, keyring_reader(settings.signing_secret_arn), settings.outbound_queue_url)
    log = structured_log("sweep")

    def run() -> dict[str, Any]:
        swept = sweep(turn, push, log)
        settled = settle_unfinished(turn.store, _schedules_at, turn.clock.now_ms(), log)
        _sample(turn, settings.stage, log)
        report: dict[str, Any] = {**msgspec.to_builtins(swept), "schedules_settled": settled}
        log("swept", **report)
        if swept.failed:
            raise SweepIncomplete(f"pools not swept: {', '.join(swept.failed)}")
        return report

    return run


def _sample(turn: TurnPorts, stage: str, log: Callable[..., None]) -> None:
    """How every pool stands after its turn."""
    policy = turn.policies.current()
    pools = sorted({*registered_pools(turn.store), *policy.pools})
    sampled = sample_pools(turn.store, pools, policy, turn.clock.now_ms(), log)
    write_metrics(pool_metrics(sampled, stage))


def _schedules_at(place: str) -> EventBridgeSchedules:
    """The scheduling service where an unfinished change says that its entry lies."""
    return EventBridgeSchedules(clients.scheduler(), msgspec.json.decode(place, type=SchedulerPlace))
