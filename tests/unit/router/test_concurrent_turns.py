"""Eight routers at once on one pool, with conflicts injected (the emulators never raise one) and turns interleaved."""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.model.events import Dispatch, FactName
from pushlane.ports import Cancelled, CancelReason, TransactionCancelled, Write
from pushlane.router.turn import REPLANS_MAX
from pushlane.testing import InMemoryDispatcher, sqs_event, submit_envelope

SLOTS = 7
TASKS = 200


@agent(task_types=("echo",))
def echo(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


class Conflicts:
    """Raises a conflict before some transactions and runs `meanwhile` before others. Seeded."""

    def __init__(self, seed: int, share: float) -> None:
        self.rng = random.Random(seed)
        self.share = share
        self.injected = 0
        self.meanwhile: list[Any] = []
        self.lock = threading.Lock()

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if name != "transact":
            return
        with self.lock:
            conflict = self.rng.random() < self.share
            self.injected += conflict
            other = self.meanwhile.pop() if self.meanwhile and not conflict else None
        if other is not None:
            other()
        if conflict:
            raise TransactionCancelled((Cancelled(self.rng.randrange(len(operations)), CancelReason.CONFLICT),))

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """The answer is never lost here."""


class Watched(InMemoryDispatcher):
    """Checks after every committed change that no agent holds more reservations than slots."""

    def __init__(self, faults: Conflicts) -> None:
        self.live: Counter[str] = Counter()
        self.most = 0
        super().__init__(faults=faults)

    def _on_change(self, change: Any) -> None:
        super()._on_change(change)
        if change.key.table == "attempts":
            if change.old is None:
                self.live[change.new["agent_id"]] += 1
            if change.new is None:
                self.live[change.old["agent_id"]] -= 1
            self.most = max(self.most, *self.live.values())


def batches(count: int) -> list[dict[str, Any]]:
    bodies = [(f"m{n}", msgspec.json.encode(submit_envelope(payload={"n": n})).decode()) for n in range(count)]
    return [sqs_event("intake", bodies[start : start + 10]) for start in range(0, count, 10)]


def handle_until_accepted(dispatcher: Watched, event: dict[str, Any]) -> int:
    """What the event source mapping does: deliver again what failed. Returns the deliveries it took."""
    router, records, deliveries = dispatcher.new_router(), event["Records"], 0
    while records and deliveries < 50:
        deliveries += 1
        failed = {one["itemIdentifier"] for one in router.handle({"Records": records})["batchItemFailures"]}
        records = [record for record in records if record["messageId"] in failed]
    assert not records
    return deliveries


def finish_everything(dispatcher: Watched) -> None:
    for _ in range(200):
        dispatcher.run_until_idle()
        dispatcher.advance(30)
        if not dispatcher.live_attempts():
            return
    raise AssertionError("attempts are still live")


def check(dispatcher: Watched) -> None:
    finish_everything(dispatcher)
    facts = Counter((fact.data.task_id, fact.metadata.name) for fact in dispatcher.facts)
    for name in (FactName.TASK_ACCEPTED, FactName.TASK_DISPATCHED, FactName.TASK_STARTED, FactName.TASK_SUCCEEDED):
        assert sum(1 for (_, told) in facts if told is name) == TASKS
    assert set(facts.values()) == {1}
    assert dispatcher.most <= SLOTS
    assert dispatcher.used("one") == 0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_eight_threads_never_exceed_capacity_and_dispatch_each_task_once(share: float) -> None:
    faults = Conflicts(7, share)
    dispatcher = Watched(faults)
    dispatcher.register(echo, agent_id="one", slots=SLOTS)
    with ThreadPoolExecutor(8) as pool:
        deliveries = list(pool.map(lambda event: handle_until_accepted(dispatcher, event), batches(TASKS)))
    pushed = dispatcher.sender.drain("queue/agent/one")
    assert len(pushed) == SLOTS == dispatcher.used("one")
    assert len({msgspec.json.decode(message.body, type=Dispatch).task_id for message in pushed}) == SLOTS
    assert (faults.injected > 0) == (share > 0)
    assert max(deliveries) < 50
    dispatcher.sender.send("queue/agent/one", pushed)
    check(dispatcher)


@pytest.mark.parametrize("seed", range(6))
def test_turns_interleaved_between_snapshot_and_commit_stay_correct(seed: int) -> None:
    faults = Conflicts(seed, 0.1)
    dispatcher = Watched(faults)
    dispatcher.register(echo, agent_id="one", slots=SLOTS)
    events = batches(TASKS)
    faults.meanwhile = [lambda event=event: handle_until_accepted(dispatcher, event) for event in events[1:]]
    handle_until_accepted(dispatcher, events[0])
    while faults.meanwhile:
        faults.meanwhile.pop()()
    check(dispatcher)


def test_a_turn_that_always_loses_plans_again_a_bounded_number_of_times_and_then_gives_the_records_back() -> None:
    faults = Conflicts(1, 1.0)
    dispatcher = Watched(faults)
    dispatcher.register(echo, agent_id="one", slots=SLOTS)
    [event] = batches(5)
    answer = dispatcher.router.handle(event)
    assert len(answer["batchItemFailures"]) == 5
    assert REPLANS_MAX < faults.injected <= 25
    assert dispatcher.live_attempts() == []


def test_a_router_whose_memory_of_the_pool_is_wrong_reads_and_parks() -> None:
    dispatcher = Watched(Conflicts(1, 0.0))
    dispatcher.register(echo, agent_id="one", slots=2)
    first, second = dispatcher.new_router(), dispatcher.new_router()
    events = [{"Records": [record]} for record in batches(4)[0]["Records"][:4]]
    first.handle(events[0])  # remembers one free slot
    second.handle(events[1])  # takes it
    assert first.handle(events[2]) == {"batchItemFailures": []}
    assert dispatcher.used("one") == 2
    parked = [fields for event, fields in dispatcher.logged if fields.get("resolution") == "parked"]
    assert len(parked) == 1


def test_a_router_forgets_a_pool_in_which_something_waits() -> None:
    dispatcher = Watched(Conflicts(1, 0.0))
    dispatcher.register(echo, agent_id="one", slots=1)
    events = [{"Records": [record]} for record in batches(3)[0]["Records"][:3]]
    for event in events:
        dispatcher.router.handle(event)
        dispatcher.clock.advance(10)
    dispatcher.run_until_idle()
    told = [f.data.task_id for f in dispatcher.facts if f.metadata.name is FactName.TASK_DISPATCHED]
    accepted = [f.data.task_id for f in dispatcher.facts if f.metadata.name is FactName.TASK_ACCEPTED]
    assert told == accepted
