"""What falls due without a message: expired leases, finished attempts whose nudge was lost, delayed retries."""

from collections.abc import Sequence

from pushlane.ports import InvalidRequest
from pushlane.router.duties import carry_out, take_turn
from pushlane.router.push import Pusher
from pushlane.router.resolution import input_key
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Input, OfTask, end_of, task_id_of
from pushlane.state.loading import load_due, load_retry_states

# One invocation stays well inside its time; what is left is due again at once.
_TURNS_MAX = 20


# What reading an item raises that no version of the code can read: its pool fails, and says so, beside the others.
UNREADABLE = (KeyError, TypeError, ValueError)


def run_due(ports: TurnPorts, pusher: Pusher, pool: str) -> int:
    """Run turns until nothing is due in the pool, then arm the next wake-up; returns how many inputs there were.

    Also the way in which a turn is run when nothing is due: it dispatches what waits and can run.
    """
    handled, before = 0, set[str]()
    for _ in range(_TURNS_MAX):
        due = load_due(ports.store, pool, ports.clock.now_ms())
        over = [(attempt.task_id, attempt.epoch) for attempt in due.attempts]
        states = load_retry_states(ports.store, over, ports.policies.current())
        # One whose task was erased is passed over; the repair of counters gives back what it held.
        ended = [end_of(a, state) for a in due.attempts if (state := states.get((a.task_id, a.epoch))) is not None]
        inputs = _one_each([*ended, *due.deadlines, *due.ready])
        named = {input_key(one) for one in inputs} | {f"{one.kind}/{one.subject_id}" for one in due.duties}
        if named and named == before:
            break  # a turn could do nothing about them: another in the same breath would only arm one more wake-up
        _take(ports, pusher, pool, due.next_due_ms, inputs)
        carry_out(ports, pusher, due.duties)
        handled, before = handled + len(inputs) + len(due.duties), named
        if not inputs and not due.duties:
            break
    return handled


def _take(ports: TurnPorts, pusher: Pusher, pool: str, next_due_ms: int | None, inputs: Sequence[Input]) -> None:
    """One turn for all; or one for each, when they cannot be stored together: one that never can keeps no other up."""
    try:
        take_turn(ports, pusher, Turn(ports, pusher, pool, next_due_ms), inputs)
    except InvalidRequest:
        if len(inputs) < 2:
            raise
        refused: InvalidRequest | None = None
        for one in inputs:
            try:
                take_turn(ports, pusher, Turn(ports, pusher, pool, next_due_ms), [one])
            except InvalidRequest as error:
                refused = error
        if refused is not None:
            raise refused from None


def _one_each(inputs: Sequence[OfTask]) -> list[Input]:
    """The first of each task. Its sleep and its deadline may be over by the same look: one turn changes a task once,
    and the next look finds what is left to do.
    """
    first: dict[str, OfTask] = {}
    for one in inputs:
        first.setdefault(task_id_of(one), one)
    return [*first.values()]
