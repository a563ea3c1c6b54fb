"""Turns as the router's sources run them: what a fault leaves undecided is delivered again."""

from collections.abc import Sequence
from typing import Final

from pushlane.model.errors import PushlaneError
from pushlane.ports import InvalidRequest
from pushlane.router.duties import carry_out
from pushlane.router.ports import RouterPorts
from pushlane.router.resolution import Resolved
from pushlane.router.turn import Turn
from pushlane.scheduling.snapshot import Input

# A held record cannot be called back, so it is held for a short time, again and again if need be.
HOLD_MS: Final = 15_000


def run_turn(ports: RouterPorts, pool: str, inputs: Sequence[Input]) -> dict[str, Resolved]:
    """One turn; a failure of infrastructure leaves its inputs unresolved, and they are delivered again."""
    turn, spans = Turn(ports.turn, ports.pusher, pool), ports.turn_spans
    if spans is not None:
        spans.begin()
    try:
        resolved = turn.run(inputs)
    except InvalidRequest as error:
        # One of them can never be stored as it is. Alone it does not hold up its neighbours.
        ports.log("turn-refused", pool=pool, inputs=len(inputs), error=str(error))
        alone = inputs if len(inputs) > 1 else []
        return {key: said for one in alone for key, said in run_turn(ports, pool, [one]).items()}
    except PushlaneError as error:
        ports.log("turn-failed", pool=pool, error=str(error))
        return {}
    ports.log("turn", pool=pool, inputs=len(inputs), replans=turn.replans)
    if spans is not None:
        spans.end(pool, inputs, turn.replans)
    _hold_back(ports, turn)
    _carry_out(ports, turn)
    return resolved


def _hold_back(ports: RouterPorts, turn: Turn) -> None:
    """Further submissions of tenants whose lanes are nearly full step aside for a while."""
    until_ms = ports.turn.clock.now_ms() + HOLD_MS
    for pool, tenant_id, tier in turn.pressed:
        ports.held.note(pool, tenant_id, until_ms, tier)


def _carry_out(ports: RouterPorts, turn: Turn) -> None:
    """What is committed stays so; a duty that cannot be carried out now is found again by the next wake-up."""
    try:
        carry_out(ports.turn, ports.pusher, turn.duties)
    except PushlaneError as error:
        ports.log("duty-postponed", duties=len(turn.duties), error=str(error))
