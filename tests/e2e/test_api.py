"""The API as callers and browsers have it: submitted over HTTP, watched live, through lost connections."""

import json
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from playwright.sync_api import Browser, Page
from websockets.sync.client import connect

from pushlane.model.events import FactName
from pushlane.model.timeline import ENDS
from pushlane.ports import Table
from pushlane.state.connections import subscription_key
from tests.e2e.api_deployment import OTHER, ApiDeployed, new_key
from tests.e2e.conftest import eventually
from tests.edge.cut_wire import Wire, wire
from tests.edge.pages import Told, a_page, told, watch_by_event_source, watch_by_web_socket
from tests.edge.watchers import with_query
from tools.browser import headless_browser

pytestmark = pytest.mark.e2e

PART = "part"
DONE = FactName.TASK_SUCCEEDED.value
KINDS = [*(name.value for name in FactName), PART]
PARTS = 50
TELLS = {"do": "tell", "steps": PARTS, "seconds": 0.25, "value": "done"}


@pytest.fixture(scope="module", autouse=True)
def _warm(api: ApiDeployed) -> None:
    """Every function on the way has run once: a cold start takes longer than much of what is watched."""
    task_id = api.submit({"do": "tell"})
    assert api.http.get(f"/v1/tasks/{task_id}/events").status_code == 200
    with connect(with_query(api.web_socket_url, ticket=api.ticket())) as socket:
        socket.send(json.dumps({"action": "subscribe", "stream": "task", "id": task_id}))
        socket.recv(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as opened:
        yield opened


@pytest.fixture
def line(api: ApiDeployed) -> Iterator[Wire]:
    """The network between the browser and the API."""
    with wire(api.port) as opened:
        yield opened


def through(line: Wire, url: str, api: ApiDeployed) -> str:
    return url.replace(f":{api.port}/", f":{line.port}/")


def some_way(page: Page, count: int) -> Told:
    """Once the page was told so many events."""

    def look() -> Told | None:
        so_far = told(page)
        assert len(so_far.sequences) >= count or not so_far.ended, f"the stream ended: {so_far.kinds}"
        return so_far if len(so_far.sequences) >= count else None

    return eventually(look, f"the page is told {count} events", 40)


def to_the_end(page: Page) -> Told:
    def look() -> Told | None:
        so_far = told(page)
        return so_far if so_far.ended else None

    return eventually(look, "the page knows that the stream is over", 60)


def opened_again(page: Page, count: int) -> None:
    """Once the page has opened its stream so often, and heard something on it."""
    eventually(lambda: told(page).opened >= count, f"the page opens its stream {count} times", 40)
    before = len(told(page).sequences)
    some_way(page, before + 1)


def assert_whole(seen: Told, api: ApiDeployed, task_id: str) -> None:
    """Exactly the log: every event, once, in order; and the log tells the whole task."""
    logged = api.logged(task_id)
    assert seen.sequences == [event.sequence for event in logged] == list(range(1, len(logged) + 1))
    assert seen.kinds == [event.kind for event in logged]
    assert [event.data["number"] for event in logged if event.kind == PART] == list(range(PARTS))
    assert not seen.expired


def test_a_task_is_submitted_once_dispatched_inside_the_request_and_its_result_is_read(api: ApiDeployed) -> None:
    order = {"task_type": "chaos", "payload": {"do": "echo", "value": 42}, "idempotency_key": "forty-two"}
    first = api.http.post("/v1/tasks", json=order)
    assert (first.status_code, first.json()["agent_id"]) == (202, "chaos")
    again = api.http.post("/v1/tasks", json=order)
    assert (again.status_code, again.json()["task_id"]) == (200, first.json()["task_id"])
    other = api.http.post("/v1/tasks", json={**order, "payload": {"do": "echo", "value": 43}})
    assert other.status_code == 409
    assert other.headers["content-type"].startswith("application/problem+json")
    path = f"/v1/tasks/{first.json()['task_id']}"

    def ended() -> bool:
        return bool(api.http.get(path).json()["status"] == "SUCCEEDED")

    eventually(ended, "the task succeeds", 30)
    answer = api.http.get(f"{path}/result")
    assert answer.status_code == 200, answer.text
    assert "42" in answer.text


def test_who_shows_no_key_is_not_let_in_and_another_tenant_finds_nothing(api: ApiDeployed) -> None:
    task_id = api.submit({"do": "echo"})
    for headers in ({}, {"authorization": "Bearer pl_aaaaaaaaaaaaaaaa_" + "0" * 64}):
        assert httpx.get(f"{api.http_url}/v1/tasks/{task_id}", headers=headers).status_code in (401, 403)
    theirs = {"authorization": f"Bearer {new_key(api.deployed, OTHER)}"}
    foreign = httpx.get(f"{api.http_url}/v1/tasks/{task_id}", headers=theirs)
    unknown = httpx.get(f"{api.http_url}/v1/tasks/{task_id[:-4]}zzzz", headers=theirs)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["title"] == unknown.json()["title"]


def test_the_api_describes_itself_to_anybody(api: ApiDeployed) -> None:
    answer = httpx.get(f"{api.http_url}/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1")


def test_an_event_source_sees_everything_though_its_connection_and_its_server_are_lost(
    api: ApiDeployed, page: Page, line: Wire
) -> None:
    task_id = api.submit(TELLS)
    url = with_query(f"{api.http_url}/v1/tasks/{task_id}/events", ticket=api.ticket(task_id))
    watch_by_event_source(page, through(line, url, api), KINDS)
    some_way(page, 4)
    line.cut_behind(b"data: ", 40)  # in the middle of an event
    some_way(page, 8)
    line.cut()
    some_way(page, 12)
    api.restart("EdgeApiFunction")
    assert not told(page).ended  # all of this was in the middle
    seen = to_the_end(page)
    assert line.cuts >= 2
    assert seen.opened > 3
    assert_whole(seen, api, task_id)


def test_a_web_socket_sees_everything_though_its_connection_and_its_server_are_lost(
    api: ApiDeployed, page: Page, line: Wire
) -> None:
    task_id = api.submit(TELLS)
    url = with_query(api.web_socket_url, ticket=api.ticket(task_id))
    subscription = {"action": "subscribe", "stream": "task", "id": task_id}
    watch_by_web_socket(page, through(line, url, api), subscription, DONE)
    some_way(page, 4)
    eventually(line.cut, "there is a connection to cut")
    opened_again(page, 2)
    eventually(lambda: followers_disconnected(api, task_id), "the server ends a connection that follows the task")
    opened_again(page, 3)
    api.restart("Streamer")
    assert not told(page).ended  # all of this was in the middle
    seen = to_the_end(page)
    assert seen.opened >= 3
    assert_whole(seen, api, task_id)


def test_who_comes_after_the_end_is_told_all_of_it_and_that_it_is_over(api: ApiDeployed, page: Page) -> None:
    task_id = api.submit({**TELLS, "seconds": 0.0})
    eventually(lambda: any(event.kind in ENDS for event in api.logged(task_id)), "the log has the end", 30)
    url = with_query(f"{api.http_url}/v1/tasks/{task_id}/events", ticket=api.ticket(task_id))
    watch_by_event_source(page, url, KINDS)
    assert_whole(to_the_end(page), api, task_id)


def test_an_answer_travels_back_by_signal(api: ApiDeployed, page: Page) -> None:
    task_id = api.submit({"do": "ask"})
    url = with_query(f"{api.http_url}/v1/tasks/{task_id}/events", ticket=api.ticket(task_id))
    watch_by_event_source(page, url, KINDS)
    some_way(page, 3)
    answer = api.http.post(f"/v1/tasks/{task_id}/signals", json={"name": "answer", "data": {"yes": True}})
    assert answer.status_code in (200, 202), answer.text
    seen = to_the_end(page)
    assert seen.kinds[-1] == DONE
    assert all(earlier < later for earlier, later in pairwise(seen.sequences))


def followers_disconnected(api: ApiDeployed, task_id: str) -> bool:
    """Have the server end every connection that follows the task, as `DeleteConnection` does; False without any."""
    management = api.web_socket_url.replace("ws://", "http://")
    following = api.deployed.store.query(Table.CONNECTIONS, subscription_key(task_id, "-").pk, limit=10)
    statuses = [httpx.delete(f"{management}/@connections/{item.key.sk}").status_code for item in following]
    return 204 in statuses  # 410 is one that was cut before
