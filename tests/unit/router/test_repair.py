"""The repair of counters beside running turns: it writes only what is still true, and tells each repair once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pushlane.agent import TaskContext, agent
from pushlane.model.events import FactName
from pushlane.model.ids import keyed_task_id
from pushlane.ports import Update, Write
from pushlane.router.sweep import repair
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher

AGENT_QUEUE = "queue/agent/one"
RESULTS = "queue/results"
AGENT = keys.agent_key("default", "one")


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


class AtQuery:
    """Runs a step before the n-th query."""

    def __init__(self) -> None:
        self.left = 0
        self.step: Callable[[], object] = lambda: None

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name == "query" and self.left:
            self.left -= 1
            if not self.left:
                self.step()

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


def key_in_bucket(bucket: int) -> str:
    """An idempotency key whose task's attempt lies in that partition."""
    return next(
        key
        for key in map(str, range(1_000))
        if keys.attempt_key("default", keyed_task_id("atlas", key)).pk == keys.attempt_pk("default", bucket)
    )


def test_a_slot_that_is_handed_on_while_a_repair_counts_is_not_taken_for_free() -> None:
    at_query = AtQuery()
    dispatcher = InMemoryDispatcher(faults=at_query)
    dispatcher.register(echo, agent_id="one", slots=1)
    last = keys.ATTEMPT_BUCKETS - 1
    for bucket in (last, 0):
        dispatcher.submit(idempotency_key=key_in_bucket(bucket))
        dispatcher._deliver_intake()
    dispatcher._deliver_agent(AGENT_QUEUE)
    # The agents, then the partitions: when the last is read, its attempt has gone to one that was read before.
    at_query.left, at_query.step = 1 + keys.ATTEMPT_BUCKETS, lambda: dispatcher._deliver(RESULTS)
    assert repair(dispatcher.turn, "default") == 0
    assert dispatcher.used("one") == 1 == len(dispatcher.live_attempts())
    assert repair(dispatcher.turn, "default") == 0


def test_a_counter_that_drifts_twice_is_repaired_and_told_twice() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one")
    for _ in range(2):
        dispatcher.store.write(Update(AGENT, set={"used": 1}))
        assert repair(dispatcher.turn, "default") == 1
    dispatcher.publish()
    told = [fact.data.reason for fact in dispatcher.facts if fact.metadata.name is FactName.CAPACITY_REPAIRED]
    assert told == ["used slots 1 -> 0: the live reservations"] * 2


def test_an_item_that_cannot_be_read_stops_the_sweep_of_its_own_pool_only() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="sick", pool="a-pool")
    dispatcher.register(echo, agent_id="one")
    sick = dispatcher.submit(pool="a-pool")
    well = dispatcher.submit()
    dispatcher._deliver_intake()
    dispatcher.sender.drain(AGENT_QUEUE)
    dispatcher.sender.drain("queue/agent/sick")
    dispatcher.store.write(Update(keys.attempt_key("a-pool", sick), remove=("task_type",)))
    dispatcher.clock.advance(60_000)
    swept = dispatcher.sweep()
    assert swept.failed == ("a-pool",)
    dispatcher.step()  # the wake-ups of both pools in one batch
    dispatcher.step()
    dispatcher.step()
    assert dispatcher.status(well) == "SUCCEEDED"
    assert ("turn-failed", "a-pool") in {(event, fields.get("pool")) for event, fields in dispatcher.logged}
