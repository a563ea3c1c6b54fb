"""Server-Sent Events and pages: resumed by the last id, bounded in time, and over when they are over."""

import msgspec
import pytest

from pushlane.api.streams import BEGINS_MS, EVENT_STREAM, SETTLED_MS
from pushlane.model.principal import Principal, Role
from pushlane.ports import Delete, Table, Update
from pushlane.state import copied_log, event_log
from pushlane.testing.api import Answer
from tests.unit.api.socket_world import SocketWorld

OWN = Principal(principal_id="own", role=Role.PRODUCER, tenant_id="atlas")
FOREIGN = Principal(principal_id="foreign", role=Role.PRODUCER, tenant_id="birch")
JSON = {"accept": "application/json"}


@pytest.fixture
def world() -> SocketWorld:
    return SocketWorld()


def sent(answer: Answer) -> list[dict[str, str]]:
    """The events of an answer, as an EventSource reads them."""
    assert answer.headers["content-type"] == EVENT_STREAM
    blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
    fields = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [block for block in fields if "data" in block]


def get(world: SocketWorld, path: str, last: str | None = None, principal: Principal = OWN, **query: object) -> Answer:
    headers = {} if last is None else {"Last-Event-ID": last}
    return world.api.call("GET", path, principal=principal, headers=headers, query=query)


def test_an_event_source_ends_with_the_whole_log_and_is_told_to_stop(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.step()
    seen: list[str] = []
    statuses: list[int] = []
    while 204 not in statuses and len(statuses) < 50:
        answer = get(world, f"/v1/tasks/{task_id}/events", seen[-1] if seen else None, limit=3)
        statuses.append(answer.status)
        seen += [event["id"] for event in sent(answer)] if answer.status == 200 else []
        world.dispatcher.step()
    assert seen == [str(event.sequence) for event in world.dispatcher.event_logs.of(task_id)]
    assert statuses[-1] == 204


def test_an_event_says_its_kind_and_everything_as_json(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    answer = get(world, f"/v1/tasks/{task_id}/events")
    assert answer.text.startswith("retry: 100\n\n")
    events = sent(answer)
    log = world.dispatcher.event_logs.of(task_id)
    assert [event["event"] for event in events] == [event.kind for event in log]
    assert [msgspec.json.decode(event["data"]) for event in events] == [msgspec.to_builtins(event) for event in log]


def test_nothing_new_is_a_comment_after_the_wait_and_a_new_event_ends_it(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit(payload={"asks": True})
    world.dispatcher.run_until_idle()
    last = str(len(world.dispatcher.event_logs.of(task_id)))
    began_ms = world.dispatcher.clock.now_ms()
    answer = get(world, f"/v1/tasks/{task_id}/events", last)
    assert (answer.status, sent(answer), ": nothing yet" in answer.text) == (200, [], True)
    assert 5_000 <= world.dispatcher.clock.now_ms() - began_ms <= 5_100
    world.api.call("POST", f"/v1/tasks/{task_id}/signals", principal=OWN, body={"name": "answer"})
    began_ms = world.dispatcher.clock.now_ms()
    assert sent(get(world, f"/v1/tasks/{task_id}/events", last))[0]["id"] == str(int(last) + 1)
    assert world.dispatcher.clock.now_ms() - began_ms <= 500


def test_the_header_goes_before_the_query_that_a_browser_repeats(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    assert sent(get(world, f"/v1/tasks/{task_id}/events", "4", after=1))[0]["id"] == "5"
    assert sent(get(world, f"/v1/tasks/{task_id}/events", after=1))[0]["id"] == "2"


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999999999999", "\uff11"])
def test_a_last_id_that_is_none_is_refused(world: SocketWorld, last: str) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    answer = get(world, f"/v1/tasks/{task_id}/events", last)
    assert (answer.status, answer.body["errors"][0]["field"]) == (422, "header.Last-Event-ID")


def test_what_is_not_kept_any_more_is_said_with_how_it_stands(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    for sequence in (1, 2, 3):
        world.dispatcher.store.write(Delete(event_log.event_key(task_id, sequence)))
    expired, first, *_ = sent(get(world, f"/v1/tasks/{task_id}/events", "1"))
    said = msgspec.json.decode(expired["data"])
    assert (expired["event"], expired["id"], said["last"], first["id"]) == ("expired", "3", 3, "4")
    assert said["snapshot"]["status"] == "SUCCEEDED"


def test_a_task_whose_log_is_gone_is_told_once_and_then_it_is_over(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    for item in world.dispatcher.store.items(Table.EVENTS):
        world.dispatcher.store.write(Delete(item.key))
    assert sent(get(world, f"/v1/tasks/{task_id}/events", wait_seconds=0)) == []  # it may be late
    world.dispatcher.advance(BEGINS_MS / 1_000 + 1)
    (expired,) = sent(get(world, f"/v1/tasks/{task_id}/events"))
    assert msgspec.json.decode(expired["data"])["snapshot"]["status"] == "SUCCEEDED"
    assert get(world, f"/v1/tasks/{task_id}/events", expired["id"]).status == 204


def test_a_page_says_where_to_read_on_and_whether_there_is_more(world: SocketWorld) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    log = world.dispatcher.event_logs.of(task_id)
    path = f"/v1/tasks/{task_id}/events"
    page = world.api.call("GET", path, principal=OWN, headers=JSON, query={"limit": 2}).body
    assert (len(page["events"]), page["last"], page["more"], page["ended"]) == (2, 2, True, False)
    page = world.api.call("GET", path, principal=OWN, headers=JSON, query={"after": 2}).body
    assert (page["last"], page["more"], page["ended"]) == (len(log), False, True)


def test_a_tenants_feed_is_written_once_it_was_asked_for(world: SocketWorld) -> None:
    assert sent(get(world, "/v1/events", wait_seconds=0)) == []
    world.dispatcher.advance(2)
    task_id = world.dispatcher.submit()
    world.dispatcher.submit(tenant_id="birch")
    world.dispatcher.run_until_idle()
    events = [msgspec.json.decode(event["data"]) for event in sent(get(world, "/v1/events"))]
    assert {event["task_id"] for event in events} == {task_id}
    assert len(events) == len(world.dispatcher.event_logs.of(task_id))


def test_a_stream_that_repeats_others_is_over_a_while_after_its_end(world: SocketWorld) -> None:
    nodes = [{"name": "a", "task_type": "echo"}, {"name": "b", "task_type": "echo", "depends_on": ["a"]}]
    data = {"tenant_id": "atlas", "idempotency_key": "flow", "tasks": nodes}
    world.dispatcher.send({"metadata": {"name": "SubmitWorkflow", "version": 1}, "data": data})
    world.dispatcher.run_until_idle()
    (ended,) = [fact for fact in world.dispatcher.facts if fact.metadata.name == "WorkflowEnded"]
    path = f"/v1/workflows/{ended.data.workflow_id}/events"
    events = sent(get(world, path))
    ids = [int(event["id"]) for event in events]
    assert ids == list(range(1, len(ids) + 1))
    kinds = [event["event"] for event in events]
    assert kinds.count("TaskSucceeded") == 2
    assert {"WorkflowAccepted", "WorkflowStarted", "WorkflowEnded"} <= set(kinds)
    world.dispatcher.clock.advance(SETTLED_MS + 1_000)
    node = next(event for event in events if event["event"] == "TaskSucceeded")
    place = copied_log.place_key(ended.data.workflow_id or "", msgspec.json.decode(node["data"])["task_id"])
    at = world.dispatcher.store.get([place])[place].attributes["at"]
    world.dispatcher.store.write(Update(place, set={"at": 1}))
    assert get(world, path, str(ids[-1]), wait_seconds=0).status == 200  # something of a task is still to come
    world.dispatcher.store.write(Update(place, set={"at": at}))
    assert get(world, path, str(ids[-1])).status == 204
    assert world.dispatcher.clock.now_ms() - ended.metadata.occurred_at_ms < SETTLED_MS + 2_000


@pytest.mark.parametrize("path", ["/v1/tasks/{}/events", "/v1/workflows/{}/events"])
def test_a_foreign_stream_answers_like_an_unknown_one(world: SocketWorld, path: str) -> None:
    task_id = world.dispatcher.submit()
    world.dispatcher.run_until_idle()
    foreign, unknown = (get(world, path.format(one), principal=FOREIGN) for one in (task_id, "t-unknown"))
    assert foreign.status == unknown.status == 404
    same = ("type", "title", "detail")
    assert [foreign.body[name] for name in same] == [unknown.body[name] for name in same]
