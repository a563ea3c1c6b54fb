"""Dead-lettered tasks that lay there before a world begins: a window of them that have used up their redrives, and some
behind it that have not. Made once, by the handlers themselves, in a Pushlane without faults.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.model.policy import Policy, Redrive
from pushlane.ports import Item, Table
from pushlane.router import redrive
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from tests.reliability.tasks import TENANTS

POOL: Final = "default"
# How a pool is told to bring back what is buried here, so that the next minute has to go on behind what is used up.
RULE: Final = Redrive(after_seconds=1, max_times=1, per_minute=1)
_FRESH: Final = 4


def bringing_back(policy: Policy) -> Policy:
    """The same policy, with the rule for the pool."""
    pool = msgspec.structs.replace(policy.pools[POOL], redrive=RULE)
    return msgspec.structs.replace(policy, pools={**policy.pools, POOL: pool})


@cache
def buried() -> tuple[Item, ...]:
    """The tasks and their graves."""
    dispatcher = InMemoryDispatcher(tenants=TENANTS)

    @agent(task_types=("plain",))
    def fails(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError("always")

    dispatcher.register(fails, agent_id="undertaker", capabilities=("cpu",), slots=10)
    used_up = [_submit(dispatcher, number) for number in range(redrive._WINDOW_MAX)]
    dispatcher.run_until_idle()
    for number, task_id in enumerate(used_up):
        dispatcher.command("RedriveTask", tenant_id=_tenant(number), task_id=task_id)
    dispatcher.run_until_idle()
    dispatcher.advance(1)  # they lie behind the others, by when they died
    fresh = [_submit(dispatcher, len(used_up) + number) for number in range(_FRESH)]
    dispatcher.run_until_idle()
    rows = dispatcher.store.get([keys.task_key(one) for one in (*used_up, *fresh)])
    graves = dispatcher.store.query(Table.SCHEDULER, keys.dead_pk(POOL), limit=len(rows))
    return (*rows.values(), *graves)


def _submit(dispatcher: InMemoryDispatcher, number: int) -> str:
    data = {"task_type": "plain", "capabilities": ["cpu"], "payload": {"n": number}, "retry": {"max_attempts": 1}}
    return dispatcher.submit(tenant_id=_tenant(number), idempotency_key=f"buried-{number}", **data)


def _tenant(number: int) -> str:
    return TENANTS[number % len(TENANTS)]
