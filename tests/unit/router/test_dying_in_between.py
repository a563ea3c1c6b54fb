"""What if we die before, after or in the middle of each effect, or it happens twice, or the answer lies?

One small world is run once for every call that it makes of the store and of the queues, with that call failing before
it is applied, or applied and its answer lost. Whatever fails, every task ends once, or lies once among the dead, and
nothing stays reserved.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.agent.runtime import AgentRuntime
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import Dispatch, FactName
from pushlane.ports import Key, Message, Table, Update, Write
from pushlane.state import keys
from pushlane.state.items import shape_of_item
from pushlane.testing import InMemoryDispatcher

pytestmark = pytest.mark.long

AGENT_QUEUE = "queue/agent/one"


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    if ctx.attempt <= payload.get("failures", 0):
        raise RuntimeError("as ordered")
    return {"attempt": ctx.attempt}


class FailAt:
    """Fails the n-th call, before it is applied or after; counts the calls."""

    def __init__(self, number: int | None, moment: str) -> None:
        self.number = number
        self.moment = moment
        self.calls = 0
        self.armed = False

    def before(self, name: str, operations: Sequence[Write]) -> None:
        self.calls += self.armed
        self._fail("before", name)

    def after(self, name: str, operations: Sequence[Write]) -> None:
        self._fail("after", name)

    def _fail(self, moment: str, name: str) -> None:
        if self.armed and self.calls == self.number and self.moment == moment:
            raise StoreUnavailable(f"call {self.calls} ({name}): the answer was lost {moment} it was applied")


def run_world(faults: FailAt) -> InMemoryDispatcher:
    """Five tasks on one slot: dispatch, parking, handoff, a retry, a failure for good, a repeat through the door."""
    dispatcher = InMemoryDispatcher(faults=faults)
    dispatcher.register(echo, agent_id="one", slots=1)
    faults.armed = True
    for number in range(3):
        dispatcher.submit(idempotency_key=f"k{number}", payload={"n": number})
    dispatcher.submit(idempotency_key="retried", payload={"failures": 1})
    dispatcher.submit(idempotency_key="fails", payload={"failures": 9}, retry={"max_attempts": 2})
    dispatcher.run_until_idle()
    dispatcher.submit(idempotency_key="k0", payload={"n": 0})
    dispatcher.advance(10)
    return dispatcher


def settle(dispatcher: InMemoryDispatcher) -> None:
    """Time passes, the sweep runs once a minute: all that recovery has."""
    for _ in range(8):
        dispatcher.advance(60)
        dispatcher.sweep()
        dispatcher.run_until_idle()


def check(dispatcher: InMemoryDispatcher) -> None:
    facts = Counter((fact.data.task_id, fact.metadata.name, fact.data.epoch) for fact in dispatcher.facts)
    ends = (FactName.TASK_SUCCEEDED, FactName.TASK_FAILED, FactName.TASK_DEAD_LETTERED)
    terminal = Counter(task for task, name, _ in facts if name in ends)
    assert len(terminal) == 5
    assert set(terminal.values()) == {1}
    assert set(facts.values()) == {1}
    assert dispatcher.live_attempts() == []
    assert dispatcher.used("one") == 0
    assert dispatcher.store.query(Table.SCHEDULER, keys.delayed_pk("default"), limit=10) == []
    assert len(dispatcher.store.query(Table.SCHEDULER, keys.dead_pk("default"), limit=10)) == 1
    shapes = dispatcher.store.query(Table.SCHEDULER, keys.pool_pk("default"), limit=100, start=keys.SHAPE_PREFIX)
    assert all(not shape_of_item(item).waiting for item in shapes if item.key.sk.startswith(keys.SHAPE_PREFIX))


def count_calls() -> int:
    faults = FailAt(None, "never")
    dispatcher = run_world(faults)
    calls = faults.calls
    settle(dispatcher)
    check(dispatcher)
    return calls


CALLS = count_calls()


def test_the_world_makes_enough_calls_to_be_worth_it() -> None:
    assert CALLS > 60


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whichever_call_fails_every_task_ends_once_and_nothing_stays_reserved(moment: str) -> None:
    for number in range(1, CALLS + 1):
        dispatcher = run_world(FailAt(number, moment))
        settle(dispatcher)
        try:
            check(dispatcher)
        except AssertionError as error:
            raise AssertionError(f"call {number} of {CALLS} failing {moment}: {error}") from error


@pytest.mark.parametrize("queue", [AGENT_QUEUE, "queue/results", "queue/wakeups"])
def test_whichever_message_is_lost_every_task_ends_once_and_nothing_stays_reserved(queue: str) -> None:
    for lost in range(12):
        dispatcher = InMemoryDispatcher()
        sent = Counter[str]()
        real_send = dispatcher.sender.send

        def send(url: str, messages: Sequence[Message], lost: int = lost, sent: Counter[str] = sent) -> list[int]:
            kept = []
            for message in messages:
                sent[url] += 1
                if url != queue or sent[url] != lost + 1:
                    kept.append(message)
            return real_send(url, kept)  # noqa: B023 - called within the loop's round only

        dispatcher.sender.send = send  # type: ignore[method-assign, assignment]  # the loss is injected here
        dispatcher.register(echo, agent_id="one", slots=1)
        for number in range(3):
            dispatcher.submit(idempotency_key=f"k{number}", payload={"n": number})
        dispatcher.submit(idempotency_key="retried", payload={"failures": 1})
        dispatcher.submit(idempotency_key="fails", payload={"failures": 9}, retry={"max_attempts": 2})
        dispatcher.run_until_idle()
        settle(dispatcher)
        check(dispatcher)


def one_dispatched() -> tuple[InMemoryDispatcher, str, Message]:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(echo, agent_id="one", slots=1)
    task_id = dispatcher.submit()
    dispatcher._deliver_intake()
    [message] = dispatcher.sender.drain(AGENT_QUEUE)
    return dispatcher, task_id, message


def test_a_push_delivered_twice_is_executed_once() -> None:
    dispatcher, task_id, message = one_dispatched()
    dispatcher.sender.send(AGENT_QUEUE, [message, message])
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"attempt": 1}
    assert [event for event, _ in dispatcher.logged].count("not-started") == 1


def test_a_worker_killed_in_the_middle_is_reclaimed_and_the_task_runs_again() -> None:
    dispatcher, task_id, message = one_dispatched()

    class Killed(BaseException):
        """The process is gone: no handler of ours runs."""

    @agent(task_types=("echo",))
    def dies(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        raise Killed

    with pytest.raises(Killed):
        AgentRuntime(dies, dispatcher.agent_ports()).run(message.body, 60_000)
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "DISPATCHED"
    dispatcher.advance(70)  # its lease is the rest of its invocation, and a little
    assert dispatcher.result(task_id) == {"attempt": 2}
    assert dispatcher.used("one") == 0


def test_a_zombies_late_word_is_refused_and_recorded() -> None:
    dispatcher, task_id, message = one_dispatched()
    late: list[Message] = []

    @agent(task_types=("echo",))
    def freezes(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        dispatcher.advance(200)  # reclaimed, run again and finished elsewhere while this one was frozen
        return {"attempt": "zombie"}

    ports = msgspec.structs.replace(dispatcher.agent_ports(), sender=_Capture(late))
    assert AgentRuntime(freezes, ports).run(message.body, 60_000) is False
    assert late == []
    assert dispatcher.result(task_id) == {"attempt": 2}
    dispatch = msgspec.json.decode(message.body, type=Dispatch)
    outcome = {"kind": "succeeded", "started_at_ms": 1, "finished_at_ms": 2, "result": {"attempt": "zombie"}}
    nudge = {"token": dispatch.token, "runner": "call-zombie", "outcome": outcome}
    dispatcher.sender.send("queue/results", [Message(msgspec.json.encode(nudge).decode())])
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"attempt": 2}
    stale = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.RESULT_STALE]
    assert [fact.data.task_id for fact in stale] == [task_id]


class _Capture:
    def __init__(self, kept: list[Message]) -> None:
        self.kept = kept

    def send(self, _queue_url: str, messages: Sequence[Message]) -> list[int]:
        self.kept.extend(messages)
        return []


def test_an_agent_that_finished_while_the_results_queue_was_an_hour_behind_is_not_run_again() -> None:
    dispatcher, task_id, message = one_dispatched()
    AgentRuntime(echo, dispatcher.agent_ports()).run(message.body, 60_000)
    late = dispatcher.sender.drain("queue/results")
    dispatcher.advance(3_600)
    dispatcher.sender.send("queue/results", late)
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"attempt": 1}
    started = [fact for fact in dispatcher.facts if fact.metadata.name is FactName.TASK_STARTED]
    assert len(started) == 1


def test_a_drifted_counter_is_repaired_from_the_reservations_and_told() -> None:
    dispatcher, task_id, message = one_dispatched()
    key = keys.agent_key("default", "one")
    dispatcher.store.write(Update(key, set={"used": 3}))
    assert dispatcher.sweep().repaired == 1
    assert dispatcher.used("one") == 1
    dispatcher.sender.send(AGENT_QUEUE, [message])
    dispatcher.run_until_idle()
    assert (dispatcher.status(task_id), dispatcher.used("one")) == ("SUCCEEDED", 0)
    assert FactName.CAPACITY_REPAIRED in {fact.metadata.name for fact in dispatcher.facts}


def test_a_repair_does_not_overwrite_a_reservation_made_beside_it() -> None:
    class Beside:
        """A turn reserves between the sweep's count and its write."""

        def __init__(self) -> None:
            self.dispatcher: InMemoryDispatcher | None = None

        def before(self, name: str, operations: Sequence[Write]) -> None:
            if name == "transact" and self.dispatcher is not None and _repairs(operations):
                dispatcher, self.dispatcher = self.dispatcher, None
                dispatcher.submit()
                dispatcher._deliver_intake()

        def after(self, name: str, operations: Sequence[Write]) -> None:
            """Nothing happens."""

    def _repairs(operations: Sequence[Write]) -> bool:
        return any(isinstance(one, Update) and "used" in one.set for one in operations)

    faults = Beside()
    dispatcher = InMemoryDispatcher(faults=faults)
    dispatcher.register(echo, agent_id="one", slots=3)
    key: Key = keys.agent_key("default", "one")
    dispatcher.store.write(Update(key, set={"used": 1}))
    faults.dispatcher = dispatcher
    assert dispatcher.sweep().repaired == 0
    assert dispatcher.used("one") == 2
    assert dispatcher.sweep().repaired == 1
    assert dispatcher.used("one") == 1 == len(dispatcher.live_attempts())
