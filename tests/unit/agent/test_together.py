"""The agent's side and the router's together: what one attempt asks for, and what the router makes of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pushlane.agent import TaskContext, agent
from pushlane.agent.heartbeat import NoHeartbeat
from pushlane.agent.lease import LEASE_GRACE_MS
from pushlane.agent.ports import AgentPorts
from pushlane.testing import InMemoryDispatcher
from tests.unit.agent.worlds import REMAINING_MS, World


def test_while_an_attempt_waits_its_slot_serves_another_task() -> None:
    seen: dict[str, Any] = {}

    def work(ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if "other" in payload:
            return {"served": True}
        with ctx.waiting():
            other = dispatcher.submit(payload={"other": True})
            dispatcher.advance(3)
            seen["meanwhile"] = (dispatcher.status(ctx.task_id), dispatcher.status(other), dispatcher.used("one"))
        seen["after"] = (dispatcher.status(ctx.task_id), dispatcher.used("one"))
        return {}

    dispatcher = InMemoryDispatcher()
    dispatcher.register(agent(task_types=("echo",))(work), agent_id="one", slots=1)
    task_id = dispatcher.submit()
    dispatcher.advance(30)
    assert seen == {"meanwhile": ("WAITING", "SUCCEEDED", 0), "after": ("DISPATCHED", 1)}
    assert (dispatcher.status(task_id), dispatcher.used("one"), dispatcher.live_attempts()) == ("SUCCEEDED", 0, [])


def test_a_parent_waits_for_its_child_without_an_attempt_and_gets_its_result() -> None:
    statuses: list[str | None] = []

    def parent(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"child": ctx.submit("page", {"page": 7}, key="page").result()}

    def child(_ctx: TaskContext, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        statuses.append(dispatcher.status(task_id))
        return dict(payload)

    dispatcher = InMemoryDispatcher()
    dispatcher.register(agent(task_types=("report",))(parent), agent_id="reports", slots=1)
    dispatcher.register(agent(task_types=("page",))(child), agent_id="pages", slots=1)
    task_id = dispatcher.submit(task_type="report")
    dispatcher.advance(30)
    assert dispatcher.result(task_id) == {"child": {"page": 7}}
    assert len(statuses) == 1
    assert (dispatcher.used("reports"), dispatcher.used("pages"), dispatcher.live_attempts()) == (0, 0, [])


def test_a_sleeping_task_has_no_attempt_and_goes_on_in_time() -> None:
    woke_ms: list[int] = []

    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ctx.checkpoint({"at": ctx.attempt}) if ctx.restored is None else None
        ctx.sleep(120)
        woke_ms.append(dispatcher.clock.now_ms())
        return dict(ctx.restored or {})

    dispatcher = InMemoryDispatcher()
    dispatcher.register(agent(task_types=("echo",))(work), agent_id="one", slots=1)
    began_ms, task_id = dispatcher.clock.now_ms(), dispatcher.submit()
    dispatcher.advance(60)
    assert (dispatcher.status(task_id), dispatcher.used("one"), dispatcher.live_attempts()) == ("SUSPENDED", 0, [])
    dispatcher.advance(70)
    assert dispatcher.result(task_id) == {"at": 1}
    assert [120 <= (at - began_ms) / 1_000 <= 122 for at in woke_ms] == [True]


class WithoutHeartbeat(World):
    """Where no process can be started beside the agent's."""

    def ports(self) -> AgentPorts:
        return msgspec.structs.replace(super().ports(), heartbeat=NoHeartbeat())


def test_without_a_heartbeat_the_lease_lasts_for_the_invocation() -> None:
    def work(_ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        leases.append(world.stored["lease_until_ms"])
        return {}

    leases: list[int] = []
    world = WithoutHeartbeat(work)
    ends_ms = world.dispatcher.clock.now_ms() + REMAINING_MS
    assert world.run() is True
    assert leases == [ends_ms + LEASE_GRACE_MS]
