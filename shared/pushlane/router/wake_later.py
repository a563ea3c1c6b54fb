"""A wake-up for what is about to be written: should we die before it is carried out, somebody looks soon after."""

import math

from pushlane.model.errors import TurnContended
from pushlane.model.events import WakeUp
from pushlane.ports import Message
from pushlane.router.turn import TurnPorts
from pushlane.scheduling.wake import TELL_AGAIN_MS
from pushlane.state.items import to_json

# No wake-up is recorded under it: this one runs a turn, and the turn arms what the pool needs.
_UNRECORDED = 0


def wake_later(ports: TurnPorts, pool: str) -> None:
    """Have a turn run on the pool in a few seconds. Sent before the write that makes it necessary; raises
    `TurnContended` when the queue does not take it, and then nothing should be written.
    """
    due_ms = ports.clock.now_ms() + TELL_AGAIN_MS
    wake = WakeUp(pool=pool, generation=_UNRECORDED, due_ms=due_ms)
    message = Message(to_json(wake), math.ceil(TELL_AGAIN_MS / 1_000))
    if ports.sender.send(ports.wakeups_queue_url, [message]):
        raise TurnContended(f"pool {pool}: the wake-up queue did not accept the wake-up; nothing was written")
