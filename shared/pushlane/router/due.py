"""What falls due without a message: expired leases, finished attempts whose nudge was lost, delayed retries."""

from pushlane.model.attempt import Attempt, OutcomeKind
from pushlane.router.push import Pusher
from pushlane.router.resolution import input_key
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import DeadlineDue, Finished, Input, LeaseExpired, RetryDue, RetryState
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
        ended = [one for a in due.attempts if (one := _ended(a, states.get((a.task_id, a.epoch)))) is not None]
        retries = [RetryDue(entry, due_ms) for due_ms, entry in due.retries]
        inputs: list[Input] = [*ended, *retries, *(DeadlineDue(entry) for entry in due.expired)]
        named = {input_key(one) for one in inputs}
        if named and named == before:
            break  # a turn could do nothing about them: another in the same breath would only arm one more wake-up
        Turn(ports, pusher, pool, due.next_due_ms).run(inputs)
        handled, before = handled + len(inputs), named
        if not inputs:
            break
    return handled


def _ended(attempt: Attempt, state: RetryState | None) -> Input | None:
    if state is None:  # erased; the repair of counters gives back what it held
        return None
    if attempt.outcome is not None and attempt.runner is not None:
        succeeded = attempt.outcome.kind is OutcomeKind.SUCCEEDED
        return Finished(
            attempt.task_id,
            attempt.epoch,
            attempt.runner,
            attempt.reservation,
            attempt.outcome,
            None if succeeded else state,
        )
    return LeaseExpired(attempt, state)
