"""The sweep, wired for Lambda."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from pushlane.model.errors import PushlaneError
from pushlane.router.sweep import sweep
from pushlane.settings.environment import load
from pushlane.settings.functions import SweepSettings
from pushlane.wiring.keys import key_reader
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ
from pushlane.wiring.turns import pusher, turn_ports


class SweepIncomplete(PushlaneError):
    """Some pools could not be swept; the next minute tries again, and the alarm on errors tells you if it goes on."""


@cache
def build_sweep() -> Callable[[], dict[str, Any]]:
    """One sweep of every pool as a function without arguments; it raises `SweepIncomplete`."""
    settings = load(SweepSettings, environ())
    turn = turn_ports(settings)
    push = pusher(turn, key_reader(settings.signing_secret_arn))
    log = structured_log("sweep")

    def run() -> dict[str, Any]:
        swept = sweep(turn, push, log)
        report: dict[str, Any] = msgspec.to_builtins(swept)
        log("swept", **report)
        if swept.failed:
            raise SweepIncomplete(f"pools not swept: {', '.join(swept.failed)}")
        return report

    return run
