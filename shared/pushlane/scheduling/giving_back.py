"""An attempt that gave everything back and asks for it again: what it waits with in a lane like any other task."""

from collections.abc import Iterator

import msgspec

from pushlane.model.agent import pin_of
from pushlane.model.attempt import Attempt, Settled
from pushlane.model.policy import Policy, Rate, RateUnit
from pushlane.model.task import Task
from pushlane.scheduling.entry import Entry, cost_ms, entry_of


def asking_entry(task: Task, attempt: Attempt, policy: Policy, uncounted: int) -> Entry:
    """It asks for the rest of its estimate, on the agent in whose process it runs. Its hard deadline is the end of its
    lease: no place in a lane ends what is running.
    """
    entry, used, held = entry_of(task, policy, attempt.epoch, uncounted), attempt.waited.settled, attempt.reservation
    runtime_ms, tokens = max(1, entry.runtime_ms - used.runtime_ms), max(0, entry.tokens - used.tokens)
    return msgspec.structs.replace(
        entry,
        capabilities=(pin_of(held.agent_pool, held.agent_id),),
        start_by_ms=entry.start_by_ms + (entry.runtime_ms - runtime_ms if entry.dated else 0),
        runtime_ms=runtime_ms,
        hard=False,
        tokens=tokens,
        cost_ms=cost_ms(runtime_ms, tokens, policy),
        resources=tuple(_left(entry, used, policy)),
        runner=attempt.runner,
        wait=attempt.waited.gave_back,
    )


def _left(entry: Entry, used: Settled, policy: Policy) -> Iterator[tuple[str, int]]:
    for name, amount in entry.resources:
        rule = policy.resources.get(name)
        if isinstance(rule, Rate):
            spent = used.resources.get(name, used.tokens if rule.unit is RateUnit.TOKENS else 0)
            yield name, max(1, amount - spent)
        else:
            yield name, amount
