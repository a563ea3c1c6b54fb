"""An intake record that comes again although its task is dispatched: we may have died between commit and push."""

import msgspec

from pushlane.model.policy import Policy
from pushlane.model.task import Task
from pushlane.router.push import Pusher
from pushlane.router.turn import TurnPorts
from pushlane.scheduling.decisions import Repush
from pushlane.scheduling.entry import entry_of
from pushlane.scheduling.snapshot import LeaseExpired, RetryState
from pushlane.state.loading import load_attempt, load_pool


def push_again(ports: TurnPorts, pusher: Pusher, task: Task, policy: Policy) -> bool:
    """Push the task's attempt again if nobody has started it; says whether that needs no further try.

    Safe at any time: the agent that starts it second is refused by the runner condition.
    """
    attempt = load_attempt(ports.store, task.pool, task.task_id)
    if attempt is None or attempt.runner is not None:
        return True
    state = RetryState(entry=entry_of(task, policy, attempt.epoch), retry=task.retry)
    again = Repush(expired=LeaseExpired(attempt, state), lease_until_ms=attempt.lease_until_ms)
    snapshot = load_pool(ports.store, attempt.reservation.agent_pool, policy).snapshot
    snapshot = msgspec.structs.replace(snapshot, pool=task.pool)
    return not pusher.push([again], snapshot, ports.clock.now_ms())
