"""What comes together in one batch or one look: one bad or doubled input keeps no other up, and loses nothing."""

from collections.abc import Mapping
from typing import Any

from pushlane.agent import ChildFailed, TaskContext, agent
from pushlane.model.attempt import Outcome, OutcomeKind
from pushlane.model.events import FactName, Nudge
from pushlane.model.task import DeadlineKind
from pushlane.ports import Message
from pushlane.state.items import to_json
from pushlane.testing import InMemoryDispatcher
from tests.unit.router.by_hand import a_dispatcher, put


def test_a_parent_hears_that_its_child_was_refused_at_the_door() -> None:
    """The lane of the children holds one, and another tenant's task fills it."""

    @agent(task_types=("parent",))
    def parent(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        children = [ctx.submit("page", {"page": page}, key=f"page-{page}") for page in (1, 2)]
        try:
            return {"pages": [child.result() for child in children]}
        except ChildFailed as error:
            return {"refused": error.status}

    dispatcher = InMemoryDispatcher()
    dispatcher.set_policy(pools={"default": {"lane_max": 1}})
    dispatcher.register(parent, agent_id="parent")
    dispatcher.register(None, agent_id="busy", capabilities=("something-else",))
    task_id = dispatcher.submit(task_type="parent", payload={})
    dispatcher.advance(5)
    dispatcher.register(agent(task_types=("page",))(lambda _ctx, payload: payload), agent_id="pages")
    dispatcher.advance_with_sweeps(3)
    assert dispatcher.result(task_id) == {"refused": "REFUSED"}


def test_the_same_key_twice_in_one_batch_is_refused_twice_when_the_lane_is_full() -> None:
    dispatcher = InMemoryDispatcher()
    dispatcher.set_policy(pools={"default": {"lane_max": 1}})
    put(dispatcher, "first")
    dispatcher.router = dispatcher.new_router()  # one that does not know yet that the lane is full
    for _ in range(2):
        dispatcher.submit(idempotency_key="second")
    dispatcher.run_until_idle()
    kept = dispatcher.quarantined()
    assert [one["code"] for one in kept] == ["lane_full", "lane_full"]


def test_two_attempts_of_one_task_in_one_batch_end_it_once() -> None:
    dispatcher = a_dispatcher()
    task_id = put(dispatcher, "one")
    first = dispatcher.take("one", lease_ms=1_000)
    late = dispatcher.agent_ports()
    dispatcher.advance(40)
    second = dispatcher.take("one")
    second.succeed({"n": 2})
    message = dispatcher.sender.drain(late.results_queue_url)
    assert len(message) == 1
    outcome = Outcome(kind=OutcomeKind.SUCCEEDED, started_at_ms=1, finished_at_ms=2, result={"n": 1})
    nudge = Nudge(token=first.dispatch.token, runner="call-of-the-first", outcome=outcome)
    dispatcher.sender.send(late.results_queue_url, [Message(to_json(nudge)), *message])
    dispatcher.run_until_idle()
    assert dispatcher.result(task_id) == {"n": 2}
    assert len(dispatcher.facts_of(FactName.RESULT_STALE, task_id)) == 1
    assert not [fields for event, fields in dispatcher.logged if event == "turn-refused"]


def test_a_sleep_and_a_hard_deadline_that_are_over_by_the_same_look_stop_nobody() -> None:
    dispatcher = a_dispatcher()
    now_ms = dispatcher.clock.now_ms()
    hard: dict[str, Any] = {"deadline_ms": now_ms + 20_000, "deadline_kind": DeadlineKind.HARD.value}
    task_id = put(dispatcher, "one", estimate={"runtime_seconds": 5}, **hard)
    dispatcher.take("one").suspend(seconds=10)
    dispatcher.run_until_idle()
    dispatcher.clock.advance(60_000)
    other = dispatcher.submit(idempotency_key="other")
    dispatcher.sweep()
    dispatcher.run_until_idle()
    assert dispatcher.status(task_id) == "EXPIRED"
    dispatcher.take("one").succeed()
    dispatcher.run_until_idle()
    assert dispatcher.status(other) == "SUCCEEDED"
