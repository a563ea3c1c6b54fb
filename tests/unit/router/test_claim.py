"""Claims over the in-memory whole: what an agent gets, gets again, and never gets twice at once."""

from collections.abc import Sequence

import msgspec
import pytest

from pushlane.model.endpoint import DISPATCH_BYTES_MAX, Endpoint, EndpointKind
from pushlane.model.errors import InvalidEvent
from pushlane.model.events import Dispatch
from pushlane.ports import Message, Table
from pushlane.router.claim import Claimed, NoSuchAgent, claim
from pushlane.scheduling.lineup import START_LEASE_MS
from pushlane.state import keys
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.by_hand import LEASE_MS, AttemptByHand

PULL = Endpoint(kind=EndpointKind.PULL)


def a_world(slots: int = 3) -> InMemoryDispatcher:
    dispatcher = InMemoryDispatcher()
    dispatcher.register(None, agent_id="one", slots=slots, capabilities=("work",), endpoint=PULL)
    return dispatcher


def submit(dispatcher: InMemoryDispatcher, count: int) -> list[str]:
    made = [dispatcher.submit(task_type="work", payload={"n": n}) for n in range(count)]
    dispatcher.run_until_idle()
    return made


def claimed(dispatcher: InMemoryDispatcher, claim_id: str, at_most: int = 1) -> tuple[Claimed, ...]:
    return claim(dispatcher.turn, dispatcher.pusher, "default", "one", claim_id, at_most)


def ids(found: Sequence[Claimed]) -> list[str]:
    return sorted(one.task_id for one in found)


def started(dispatcher: InMemoryDispatcher, one: Claimed) -> AttemptByHand:
    return AttemptByHand(Message(one.document), dispatcher.agent_ports(), LEASE_MS, heartbeat=False)


def test_what_arrives_for_a_pull_agent_waits_until_it_is_claimed() -> None:
    dispatcher = a_world()
    [task_id] = submit(dispatcher, 1)
    assert (dispatcher.status(task_id), dispatcher.used("one")) == ("PARKED", 0)
    [found] = claimed(dispatcher, "c-1")
    document = msgspec.json.decode(found.document, type=Dispatch)
    assert (document.task_id, document.payload, document.epoch) == (task_id, {"n": 0}, 1)
    attempt = started(dispatcher, found)
    attempt.succeed({"ok": True})
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"ok": True}
    assert dispatcher.used("one") == 0


def test_no_more_than_asked_and_no_more_than_slots() -> None:
    dispatcher = a_world(slots=3)
    submit(dispatcher, 5)
    assert len(claimed(dispatcher, "c-1", 2)) == 2
    assert len(claimed(dispatcher, "c-2", 2)) == 1
    assert claimed(dispatcher, "c-3", 2) == ()
    assert dispatcher.used("one") == 3


def test_a_repeated_claim_is_answered_with_the_same_attempts() -> None:
    dispatcher = a_world()
    submit(dispatcher, 5)
    first = claimed(dispatcher, "c-1", 2)
    again = claimed(dispatcher, "c-1", 2)
    assert ids(again) == ids(first)
    assert dispatcher.used("one") == 2
    started(dispatcher, first[0])
    assert ids(claimed(dispatcher, "c-1", 2)) == ids(first[1:])


def test_another_claim_does_not_get_what_the_first_one_has() -> None:
    dispatcher = a_world()
    submit(dispatcher, 2)
    assert not set(ids(claimed(dispatcher, "c-1"))) & set(ids(claimed(dispatcher, "c-2")))


def test_what_a_claim_never_started_goes_to_the_next_claim_after_its_start_lease() -> None:
    dispatcher = a_world(slots=1)
    [task_id] = submit(dispatcher, 1)
    [lost] = claimed(dispatcher, "c-1")
    assert claimed(dispatcher, "c-2") == ()
    dispatcher.advance(START_LEASE_MS / 1_000 + 1)
    [found] = claimed(dispatcher, "c-3")
    assert (found.task_id, found.epoch) == (task_id, lost.epoch)
    started(dispatcher, found).succeed({})
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "SUCCEEDED"


def test_the_mailbox_holds_nothing_that_is_over() -> None:
    dispatcher = a_world()
    submit(dispatcher, 3)
    for found in claimed(dispatcher, "c-1", 3):
        started(dispatcher, found).succeed({})
    dispatcher.run_until_idle()
    assert claimed(dispatcher, "c-2", 3) == ()
    assert dispatcher.store.query(Table.SCHEDULER, "MAILBOX#default#one", limit=10) == []


def test_an_idle_pull_agent_keeps_no_turn_going() -> None:
    dispatcher = a_world()
    submit(dispatcher, 4)
    before = len(dispatcher.logged)
    dispatcher.advance(600)
    turns = [event for event, _ in dispatcher.logged[before:] if event == "turn"]
    assert turns == []


def test_only_a_registered_pull_agent_claims() -> None:
    dispatcher = a_world()
    with pytest.raises(NoSuchAgent):
        claim(dispatcher.turn, dispatcher.pusher, "default", "nobody", "c-1", 1)
    dispatcher.register(None, agent_id="two", capabilities=("work",))
    with pytest.raises(InvalidEvent, match="pushed to"):
        claim(dispatcher.turn, dispatcher.pusher, "default", "two", "c-1", 1)


def test_a_large_dispatch_is_claimed_by_claim_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DISPATCH_BYTES_MAX, EndpointKind.PULL, 100_000)
    dispatcher = a_world()
    task_id = dispatcher.submit(task_type="work", payload={})
    dispatcher.run_until_idle()
    for n in range(8):
        data = {"tenant_id": "atlas", "task_id": task_id, "name": "note", "data": {"text": "x" * 15_000}}
        dispatcher.send({"metadata": {"name": "SignalTask", "version": 1}, "data": {**data, "signal_id": f"s-{n}"}})
        dispatcher.run_until_idle()
    [found] = claimed(dispatcher, "c-1")
    document = msgspec.json.decode(found.document, type=Dispatch)
    assert document.whole is not None
    assert len(found.document) < 10_000
    assert document.signals == ()
    assert keys.attempt_key("default", task_id).pk == document.attempt_pk
