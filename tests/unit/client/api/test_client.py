"""The clients against the real API in one process: what they say and hear, and what broken networks make of it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pushlane.agent import TaskContext, agent
from pushlane.client.api import (
    AsyncClient,
    Client,
    Conflict,
    Invalid,
    NotFound,
    RateLimited,
    ResultUnavailable,
    Retrying,
    StillRunning,
    Unauthorized,
    Unavailable,
    Workflow,
    calls,
)
from pushlane.model.principal import Role
from pushlane.model.task import Status
from pushlane.model.timeline import LoggedEvent
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.api_transport import ApiTransport


@agent(task_types=("echo",))
def echo(ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
    ctx.emit("token", {"say": 1})
    if payload.get("fail"):
        raise ValueError("told to")
    return {"said": payload.get("say")}


class World:
    """A dispatcher whose agents work whenever the client pauses, or the API polls."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borealis"))
        self.dispatcher.register(echo, agent_id="one", slots=2)
        self.api = InMemoryApi(self.dispatcher)
        self.key = self.api.new_key(Role.PRODUCER, tenant_id="atlas")

    def client(self, credential: str | None = None, retrying: Retrying | None = None, **meddling: Any) -> Client:
        return Client(
            "https://api.example",
            credential or self.key,
            transport=ApiTransport(self.api, **meddling),
            now=self._now,
            sleep=self.dispatcher.advance,
            random=lambda: 1.0,
            retrying=retrying,
        )

    def async_client(self) -> AsyncClient:
        async def sleep(seconds: float) -> None:
            self.dispatcher.advance(seconds)

        return AsyncClient(
            "https://api.example",
            self.key,
            transport=ApiTransport(self.api),
            now=self._now,
            sleep=sleep,
            random=lambda: 1.0,
        )

    def _now(self) -> float:
        return self.dispatcher.clock.now_ms() / 1_000


@pytest.fixture
def world() -> World:
    return World()


class Losing:
    """Loses the first `times` answers, or requests, of a method."""

    def __init__(self, times: int, error: type[httpx.TransportError] = httpx.ReadError, method: str = "POST") -> None:
        self.left = times
        self.sent = 0
        self._error = error
        self._method = method

    def __call__(self, request: httpx.Request, *_answer: httpx.Response) -> None:
        if request.method != self._method:
            return
        self.sent += 1
        if self.left > 0:
            self.left -= 1
            raise self._error("broken on purpose")


def test_submit_watch_result(world: World) -> None:
    with world.client() as client:
        submitted = client.submit(task_type="echo", payload={"say": "hello"})
        assert submitted.status is Status.DISPATCHED
        assert submitted.agent_id == "one"
        assert not submitted.repeated
        seen = list(client.watch(submitted.task_id))
        assert [one.sequence for one in seen if isinstance(one, LoggedEvent)] == list(range(1, len(seen) + 1))
        assert isinstance(seen[-1], LoggedEvent)
        assert seen[-1].kind == "TaskSucceeded"
        assert "token" in {one.kind for one in seen if isinstance(one, LoggedEvent)}
        assert client.result(submitted.task_id) == {"said": "hello"}
        assert client.get(submitted.task_id).status is Status.SUCCEEDED
        assert client.why(submitted.task_id).explanation


@pytest.mark.parametrize("error", [httpx.ReadError, httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
@pytest.mark.parametrize("side", ["meddle", "after"])
def test_a_submission_whose_answer_is_lost_is_one_task(
    world: World, error: type[httpx.TransportError], side: str
) -> None:
    losing = Losing(3, error)
    client = world.client(meddle=losing) if side == "meddle" else world.client(after=losing)
    submitted = client.submit(task_type="echo", payload={})
    assert losing.sent == 4
    assert submitted.repeated is (side == "after")
    assert [one.task_id for one in client.list()] == [submitted.task_id]


def test_a_network_that_stays_broken_is_said(world: World) -> None:
    client = world.client(retrying=Retrying(sends_max=3), meddle=Losing(99))
    with pytest.raises(Unavailable, match="broken on purpose"):
        client.submit(task_type="echo")


def test_a_watch_over_connections_that_break_is_complete(world: World) -> None:
    losing = Losing(5, method="GET")
    client = world.client(meddle=losing)
    submitted = client.submit(task_type="echo", payload={"say": 1})
    seen = [one for one in client.watch(submitted.task_id) if isinstance(one, LoggedEvent)]
    assert [one.sequence for one in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].kind == "TaskSucceeded"
    assert losing.sent > 5


def test_a_watch_goes_on_from_where_it_is_told(world: World) -> None:
    client = world.client()
    task_id = client.submit(task_type="echo").task_id
    everything = list(client.watch(task_id))
    assert list(client.watch(task_id, after=2)) == everything[2:]
    assert list(client.watch(task_id, after=len(everything))) == []


def test_errors_are_typed_and_name_fields(world: World) -> None:
    client = world.client()
    with pytest.raises(Invalid) as invalid:
        client.submit(task_type="echo", tier="urgent")
    assert [one.field for one in invalid.value.errors] == ["$.tier"]
    with pytest.raises(Invalid):
        client.submit(task_type="echo", payload={"not": object()})
    with pytest.raises(NotFound):
        client.get("t-unknown")
    client.submit(task_type="echo", idempotency_key="once", payload={"n": 1})
    with pytest.raises(Conflict) as conflict:
        client.submit(task_type="echo", idempotency_key="once", payload={"n": 2})
    assert conflict.value.code == "key-conflict"
    with pytest.raises(Unauthorized):
        world.client(credential="pl_unknown_key").get("t-unknown")


def test_another_tenants_task_is_unknown(world: World) -> None:
    task_id = world.client().submit(task_type="echo").task_id
    other = world.client(credential=world.api.new_key(Role.PRODUCER, tenant_id="borealis"))
    calls: tuple[Callable[[], object], ...] = (
        lambda: other.get(task_id),
        lambda: list(other.watch(task_id)),
        lambda: other.cancel(task_id),
        lambda: other.wait(task_id, timeout_seconds=5),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert list(other.list()) == []


def test_many_are_each_accepted_or_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BATCH_MAX", 10)
    client = world.client(after=Losing(1))
    tasks: list[dict[str, Any]] = [{"task_type": "echo", "payload": {"n": n}} for n in range(24)]
    tasks[7]["tier"] = "urgent"  # not even readable: the call that holds it is refused as a whole
    tasks[12]["payload"] = {"not": object()}
    tasks[22]["resources"] = {"nobody-has-it": 1}  # readable, and never admitted
    batch = client.submit_many(tasks)
    assert len(batch.accepted) == 21
    assert [(one.index, one.status) for one in batch.refused] == [(7, 422), (12, 0), (22, 422)]
    assert [one.errors[0].field for one in batch.refused] == ["$.tier", "$", "$.resources.nobody-has-it"]
    world.dispatcher.run_until_idle()
    assert len(list(client.list(limit=9))) == 21
    assert len(list(client.list(status="SUCCEEDED"))) == 21


def test_waiting_is_told_by_the_stream(world: World) -> None:
    client = world.client()
    ids = [client.submit(task_type="echo", payload={"say": n}).task_id for n in range(3)]
    done = client.wait_all(ids, timeout_seconds=60)
    assert {one.status for one in done.values()} == {Status.SUCCEEDED}
    assert list(done) == ids


def test_waiting_ends_with_its_time_and_with_a_dead_letter(world: World) -> None:
    client = world.client()
    never = client.submit(task_type="nobody-does-this").task_id
    with pytest.raises(StillRunning) as still:
        client.wait(never, timeout_seconds=7)
    assert still.value.task_ids == {never}
    dead = client.submit(task_type="echo", payload={"fail": True}, retry={"max_attempts": 1}).task_id
    assert client.wait(dead, timeout_seconds=60).status is Status.DEAD_LETTERED
    with pytest.raises(ResultUnavailable, match="told to"):
        client.result(dead)


def test_cancel_and_signal(world: World) -> None:
    client = world.client()
    waiting = client.submit(task_type="nobody-does-this").task_id
    assert client.signal(waiting, "answer", {"yes": True}).task_id == waiting
    assert client.cancel(waiting, reason="not needed").status is Status.CANCELLED
    with pytest.raises(Conflict):
        client.signal(waiting, "answer")


def test_workflows(world: World) -> None:
    client = world.client()
    workflow = (
        Workflow("digest", "whoever")
        .task("a", task_type="echo", payload={"say": "a"})
        .task("b", task_type="echo", after=["a"])
    )
    submitted = client.submit_workflow(workflow)
    seen = [one for one in client.watch_workflow(submitted.workflow_id) if isinstance(one, LoggedEvent)]
    assert seen[-1].kind == "WorkflowEnded"
    assert client.workflow(submitted.workflow_id).status.value == "SUCCEEDED"
    assert [one.name for one in client.workflow_nodes(submitted.workflow_id)] == ["a", "b"]
    assert client.result(submitted.task_id("a")) == {"said": "a"}
    assert [one.workflow_id for one in client.workflows()] == [submitted.workflow_id]


def test_schedules(world: World) -> None:
    client = world.client()
    made = client.make_schedule(name="often", expression="rate(5 minutes)", task={"task_type": "echo"})
    assert client.make_schedule(name="often", expression="rate(5 minutes)", task={"task_type": "echo"}) == made
    with pytest.raises(Conflict):
        client.make_schedule(name="often", expression="rate(6 minutes)", task={"task_type": "echo"})
    with pytest.raises(Invalid) as invalid:
        client.make_schedule(name="wrong", expression="cron(0 9 * * * *)", task={"task_type": "echo"})
    assert invalid.value.errors[0].field == "$.expression"
    world.dispatcher.advance(601)
    assert len(list(client.list())) == 2
    paused = client.change_schedule(made.schedule_id, enabled=False)
    assert (paused.revision, paused.next_at_ms) == (2, None)
    world.dispatcher.advance(601)
    assert len(list(client.list())) == 2
    assert client.change_schedule(made.schedule_id, enabled=True).next_at_ms is not None
    client.remove_schedule(made.schedule_id)
    with pytest.raises(NotFound):
        client.schedule(made.schedule_id)
    assert list(client.schedules()) == []


def test_a_removal_whose_answer_is_lost_is_done(world: World) -> None:
    made = world.client().make_schedule(name="often", expression="rate(5 minutes)", task={"task_type": "echo"})
    world.client(after=Losing(1, method="DELETE")).remove_schedule(made.schedule_id)
    with pytest.raises(NotFound):
        world.client().remove_schedule(made.schedule_id)


def test_no_room_is_waited_for_within_the_deadline(world: World) -> None:
    answers = iter([7.0, 60.0])

    def full(_request: httpx.Request) -> httpx.Response | None:
        seconds = next(answers, None)
        return None if seconds is None else httpx.Response(429, headers={"retry-after": str(int(seconds))})

    before_ms = world.dispatcher.clock.now_ms()
    with pytest.raises(RateLimited) as limited:
        world.client(meddle=full).submit(task_type="echo")
    assert limited.value.retry_after_seconds == 60.0
    assert world.dispatcher.clock.now_ms() - before_ms == 7_000


def test_what_is_no_address_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="is no address of an API"):
        Client("api.example.com", "pl_key")


def test_the_credential_is_not_shown(world: World) -> None:
    client = world.client()
    assert world.key not in repr(vars(client)) + repr(vars(client._core))


def test_an_operator_speaks_for_a_tenant(world: World) -> None:
    key = world.api.new_key(Role.OPERATOR)
    operator = Client("https://api.example", key, tenant="atlas", transport=ApiTransport(world.api))
    task_id = operator.submit(task_type="nobody-does-this").task_id
    assert [one.task_id for one in operator.list()] == [task_id]
    assert operator.get(task_id).tenant_id == "atlas"
    nobody = Client("https://api.example", key, transport=ApiTransport(world.api))
    with pytest.raises(Invalid) as invalid:
        nobody.submit(task_type="echo")
    assert invalid.value.errors[0].field == "query.tenant"


def test_a_tenants_feed_has_everything_since_it_was_opened(world: World) -> None:
    client = world.client()
    with pytest.raises(StillRunning):
        list(client.watch_tenant("atlas", timeout_seconds=1))  # asking for it opens it
    ids = {client.submit(task_type="echo").task_id for _ in range(2)}
    ended: set[str] = set()
    for number, event in enumerate(client.watch_tenant("atlas", timeout_seconds=60), start=1):
        assert isinstance(event, LoggedEvent)
        assert event.sequence == number
        if event.kind == "TaskSucceeded":
            ended.add(event.task_id)
        if ended == ids:
            break
    assert ended == ids


async def _all_of_it(world: World) -> None:
    async with world.async_client() as client:
        submitted = await client.submit(task_type="echo", payload={"say": "hello"})
        seen = [one async for one in client.watch(submitted.task_id)]
        assert isinstance(seen[-1], LoggedEvent)
        assert seen[-1].kind == "TaskSucceeded"
        assert await client.result(submitted.task_id) == {"said": "hello"}
        batch = await client.submit_many({"task_type": "echo", "payload": {"n": n}} for n in range(3))
        done = await client.wait_all([one.task_id for one in batch.accepted], timeout_seconds=30)
        assert {one.status for one in done.values()} == {Status.SUCCEEDED}
        assert len([one async for one in client.list(limit=2)]) == 4
        never = (await client.submit(task_type="nobody-does-this")).task_id
        with pytest.raises(StillRunning):
            await client.wait_all([never], timeout_seconds=3)
        with pytest.raises(NotFound):
            await client.get("t-unknown")
        made = await client.make_schedule(name="often", expression="rate(5 minutes)", task={"task_type": "echo"})
        assert (await client.change_schedule(made.schedule_id, enabled=False)).enabled is False
        assert [one.name async for one in client.schedules()] == ["often"]
        await client.remove_schedule(made.schedule_id)


def test_the_awaiting_client_does_the_same(world: World) -> None:
    import asyncio

    asyncio.run(_all_of_it(world))
