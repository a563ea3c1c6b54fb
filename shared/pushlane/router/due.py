"""What falls due without a message: expired leases, finished attempts whose nudge was lost, delayed retries."""

from pushlane.model.attempt import Attempt, OutcomeKind
from pushlane.model.task import Task
from pushlane.router.push import Pusher
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Finished, Input, LeaseExpired, RetryDue, RetryState, entry_of
from pushlane.state.loading import load_due, load_tasks

# One invocation stays well inside its time; what is left is due again at once.
_TURNS_MAX = 20


# What reading an item raises that no version of the code can read: its pool fails, and says so, beside the others.
UNREADABLE = (KeyError, TypeError, ValueError)


def run_due(ports: TurnPorts, pusher: Pusher, pool: str) -> int:
    """Run turns until nothing is due in the pool, then arm the next wake-up; returns how many inputs there were.

    Also the way in which a turn is run when nothing is due: it dispatches what waits and can run.
    """
    handled = 0
    for _ in range(_TURNS_MAX):
        due = load_due(ports.store, pool, ports.clock.now_ms())
        tasks = load_tasks(ports.store, [attempt.task_id for attempt in due.attempts])
        ended = [one for a in due.attempts if (one := _ended(a, tasks.get(a.task_id))) is not None]
        inputs: list[Input] = [*ended, *(RetryDue(entry, due_ms) for due_ms, entry in due.retries)]
        Turn(ports, pusher, pool, due.next_due_ms).run(inputs)
        handled += len(inputs)
        if not inputs:
            break
    return handled


def _ended(attempt: Attempt, task: Task | None) -> Input | None:
    if task is None:  # erased; the repair of counters gives the slot back
        return None
    state = RetryState(entry=entry_of(task, attempt.epoch), retry=task.retry)
    if attempt.outcome is not None and attempt.runner is not None:
        failed = attempt.outcome.kind is OutcomeKind.FAILED
        return Finished(
            attempt.task_id,
            attempt.epoch,
            attempt.agent_id,
            attempt.runner,
            attempt.outcome,
            state if failed else None,
        )
    return LeaseExpired(attempt, state)
