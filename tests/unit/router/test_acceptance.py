"""What becomes of a task that is asked for, as values: the same for queue doors and HTTP."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import SubmitData, SubmitMetadata, SubmitTask
from pushlane.model.task import Door, Source, Task
from pushlane.ports import Message, Write
from pushlane.router.acceptance import Acceptance, Kind, Verdict
from pushlane.router.held import HeldTenants
from pushlane.router.intake import checked_task
from pushlane.router.resolution import Resolution
from pushlane.state.items import status_of
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.deliveries import agent_queue


class Lost:
    """A store that is gone while `on`."""

    on = False

    def before(self, name: str, operations: Sequence[Write]) -> None:
        if self.on and name == "transact":
            raise StoreUnavailable("gone")

    def after(self, name: str, operations: Sequence[Write]) -> None:
        """Nothing happens."""


@pytest.fixture
def lost() -> Lost:
    return Lost()


@pytest.fixture
def dispatcher(lost: Lost) -> InMemoryDispatcher:
    made = InMemoryDispatcher(faults=lost)
    made.register(None, agent_id="one", capabilities=("echo",))
    return made


def task(dispatcher: InMemoryDispatcher, key: str, **data: Any) -> Task:
    said = msgspec.convert({"tenant_id": "atlas", "task_type": "echo", "idempotency_key": key, **data}, SubmitData)
    metadata = SubmitMetadata(name="SubmitTask", version=1)
    source = Source(door=Door.HTTP, source_id=key)
    return checked_task(SubmitTask(metadata=metadata, data=said), source, dispatcher.clock.now_ms())


def take(dispatcher: InMemoryDispatcher, *tasks: Task, held: HeldTenants | None = None) -> list[Verdict]:
    return Acceptance(dispatcher.router_ports(held)).take(tasks)


def test_each_has_its_own_verdict_in_order(dispatcher: InMemoryDispatcher) -> None:
    take(dispatcher, task(dispatcher, "before"))
    verdicts = take(
        dispatcher,
        task(dispatcher, "new"),
        task(dispatcher, "before"),
        task(dispatcher, "before", tier="low"),
        task(dispatcher, "never", resources={"nothing": 1}),
        task(dispatcher, "elsewhere", pool="other"),
        task(dispatcher, "new"),
        task(dispatcher, "new", tier="low"),
    )
    assert [one.kind for one in verdicts] == [
        Kind.ACCEPTED,
        Kind.DUPLICATE,
        Kind.CONFLICT,
        Kind.REFUSED,
        Kind.ACCEPTED,
        Kind.DUPLICATE,
        Kind.CONFLICT,
    ]
    refused = verdicts[3]
    assert refused.error is not None
    assert (refused.error.field, refused.retry_after_seconds) == ("$.data.resources.nothing", None)


def test_no_room_says_when_there_may_be_some(dispatcher: InMemoryDispatcher) -> None:
    dispatcher.set_policy(pools={"default": {"lane_max": 1}})
    verdicts = [take(dispatcher, task(dispatcher, key))[0] for key in ("runs", "waits", "too-many")]
    assert [one.kind for one in verdicts] == [Kind.ACCEPTED, Kind.ACCEPTED, Kind.REFUSED]
    assert verdicts[2].retry_after_seconds is not None


def test_a_tenant_over_its_bound_is_held_and_its_repeats_are_known(dispatcher: InMemoryDispatcher) -> None:
    held, first = HeldTenants(), task(dispatcher, "first")
    take(dispatcher, first)
    held.note("default", "atlas", dispatcher.clock.now_ms() + 5_000)
    acceptance = Acceptance(dispatcher.router_ports(held))
    [verdict] = acceptance.take([task(dispatcher, "more")])
    assert (verdict.kind, verdict.retry_after_seconds) == (Kind.HELD, 5)
    known = acceptance.repeated(first)
    assert known is not None
    assert known.kind is Kind.DUPLICATE
    assert acceptance.repeated(task(dispatcher, "more")) is None


def test_a_fault_leaves_it_unresolved_and_a_repeat_resolves_it(dispatcher: InMemoryDispatcher, lost: Lost) -> None:
    one = task(dispatcher, "k")
    acceptance = Acceptance(dispatcher.router_ports())
    lost.on = True
    assert [verdict.kind for verdict in acceptance.take([one])] == [Kind.UNRESOLVED]
    lost.on = False
    assert [verdict.kind for verdict in acceptance.take([one])] == [Kind.ACCEPTED]


def test_what_is_committed_is_accepted_though_its_push_did_not_go_out(dispatcher: InMemoryDispatcher) -> None:
    send = dispatcher.sender.send

    def refuse(queue_url: str, messages: Sequence[Message]) -> list[int]:
        return list(range(len(messages))) if queue_url == agent_queue("one", "default") else send(queue_url, messages)

    one = task(dispatcher, "k")
    dispatcher.sender.send = refuse  # type: ignore[method-assign]  # the queue takes nothing for a while
    [verdict] = take(dispatcher, one)
    assert (verdict.kind, verdict.resolution, verdict.unfinished) == (Kind.ACCEPTED, Resolution.UNPUSHED, True)
    [again] = take(dispatcher, one)
    assert (again.kind, again.unfinished) == (Kind.DUPLICATE, True)
    dispatcher.sender.send = send  # type: ignore[method-assign]  # and then again
    [again] = take(dispatcher, one)
    assert (again.kind, again.unfinished) == (Kind.DUPLICATE, False)
    assert dispatcher.take("one").task_id == one.task_id


def test_a_conflict_does_not_end_the_task_that_has_the_key(dispatcher: InMemoryDispatcher) -> None:
    """It names an ended parent, and is not the task that is attached to anything."""
    [parent] = take(dispatcher, task(dispatcher, "parent", deadline_ms=1, deadline_kind="hard"))
    [mine] = take(dispatcher, task(dispatcher, "mine"))
    [conflict] = take(dispatcher, task(dispatcher, "mine", parent={"task_id": parent.task.task_id}))
    stored = dispatcher.task(mine.task.task_id)
    assert (parent.resolution, conflict.kind) == (Resolution.EXPIRED, Kind.CONFLICT)
    assert stored is not None
    assert not status_of(stored).terminal
