"""Duties: what follows from a commit and cannot be part of it, as telling those who wait for a task that it has ended.

A duty is written in the transaction that makes it necessary, carried out right afterwards, and removed when that is
done. Whoever dies in between leaves it to the next wake-up. So every step of carrying one out may be repeated.
"""

from collections.abc import Callable, Iterable, Sequence

from pushlane.ports import Delete
from pushlane.router.push import Pusher
from pushlane.router.resolution import Resolved
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Input
from pushlane.state import keys
from pushlane.state.loading import Duty

# Carries out one duty and returns those that the turns it ran have made necessary.
Fulfil = Callable[[TurnPorts, Pusher, Duty], Sequence[Duty]]


def carry_out(ports: TurnPorts, pusher: Pusher, duties: Iterable[Duty]) -> None:
    """Carry out the duties, and what follows from them; raises what the store raises, and nothing is lost by that."""
    # Imported when it is needed: who carries a duty out runs turns, and these carry out their own duties by this.
    from pushlane.router.obligations import FULFIL

    left = list(duties)
    while left:
        duty = left.pop()
        left += FULFIL[duty.kind](ports, pusher, duty)
        ports.store.write(Delete(keys.duty_key(duty.pool, duty.due_ms, duty.subject_id, duty.kind)))


def take_turn(ports: TurnPorts, pusher: Pusher, turn: Turn, inputs: Sequence[Input]) -> dict[str, Resolved]:
    """Run a turn and carry out what it has made necessary. Raises `TurnContended` as `Turn.run` does."""
    resolved = turn.run(inputs)
    carry_out(ports, pusher, turn.duties)
    return resolved
