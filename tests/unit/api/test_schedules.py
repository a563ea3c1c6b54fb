"""Schedules over the API: what is made, changed and refused, whose they are, and what a broken-off change leaves."""

from typing import Any

import pytest

from pushlane.model.errors import StoreUnavailable
from pushlane.model.principal import Principal
from pushlane.ports import ScheduleEntry, ScheduleRefused
from pushlane.state.schedules import unapplied
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi

SAID: dict[str, Any] = {"name": "nightly", "expression": "cron(0 3 * * ? *)", "task": {"task_type": "report"}}


class Service:
    """A scheduling service that can be broken, or refuse."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.error: Exception | None = None

    def _or_error(self) -> Any:
        if self.error is not None:
            raise self.error
        return self._inner

    def put(self, entry: ScheduleEntry) -> None:
        self._or_error().put(entry)

    def delete(self, name: str) -> None:
        if not isinstance(self.error, ScheduleRefused):
            self._or_error()
        self._inner.delete(name)

    def get(self, name: str) -> ScheduleEntry | None:
        found: ScheduleEntry | None = self._inner.get(name)
        return found


class World:
    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "borealis"))
        self.service = Service(self.dispatcher.schedules)
        self.api = InMemoryApi(self.dispatcher, faults_answer=True, schedules=self.service, schedules_place="here")
        self.atlas = self.api.producer("atlas")

    def call(self, method: str, path: str = "", body: Any = None, principal: Principal | None = None) -> Answer:
        return self.api.call(method, f"/v1/schedules{path}", principal=principal or self.atlas, body=body)

    def made(self, **changed: Any) -> dict[str, Any]:
        answer = self.call("POST", body={**SAID, **changed})
        assert answer.status == 201, answer.text
        view: dict[str, Any] = answer.body
        return view


@pytest.fixture
def world() -> World:
    return World()


def test_made_once_by_its_name(world: World) -> None:
    made = world.made()
    again = world.call("POST", body=SAID)
    assert (again.status, again.body) == (200, made)
    other = world.call("POST", body={**SAID, "expression": "rate(1 hour)"})
    assert (other.status, other.code) == (409, "name-taken")
    assert world.service.get(made["schedule_id"]) is not None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"expression": "cron(0 3 * * * *)"}, "$.expression"),
        ({"expression": "at(2001-01-01T00:00:00)"}, "$.expression"),
        ({"expression": "at(2027-03-28T02:30:00)", "timezone": "Europe/Berlin"}, "$.expression"),
        ({"timezone": "Europe/Nowhere"}, "$.timezone"),
        ({"starts_at_ms": 1_800_000_000_000, "ends_at_ms": 1_800_000_000_000}, "$.ends_at_ms"),
        ({"window_minutes": 1_441}, "$.window_minutes"),
        ({"missed": {"policy": "never"}}, "$.missed.policy"),
        ({"missed": {"late_seconds": 59}}, "$.missed.late_seconds"),
        ({"task": None}, "$.task"),
        ({"workflow": {"tasks": [{"name": "a", "task_type": "x"}]}}, "$.task"),
        ({"task": {"task_type": "report", "tenant_id": "borealis"}}, "$.task.tenant_id"),
        ({"task": {"task_type": "report", "deadline_ms": 1}}, "$.task.deadline_ms"),
        ({"task": {"task_type": "report", "payload": {"$claim_check": {}}}}, "$.task.payload.$claim_check"),
        ({"task": {"task_type": "report", "payload": {"x": "y" * 70_000}}}, "$.task.payload"),
        (
            {"task": {"task_type": "report", "retry": {"backoff_seconds": 9, "backoff_max_seconds": 1}}},
            "$.task.retry.backoff_max_seconds",
        ),
        (
            {"task": None, "workflow": {"tasks": [{"name": "a", "task_type": "x", "deadline_ms": 1}]}},
            "$.workflow.tasks[0].deadline_ms",
        ),
        (
            {"task": None, "workflow": {"tasks": [{"name": "a", "task_type": "x", "depends_on": ["b"]}]}},
            "$.workflow.tasks[0].depends_on[0]",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(world: World, changed: dict[str, Any], field: str) -> None:
    said = {name: value for name, value in {**SAID, **changed}.items() if value is not None}
    answer = world.call("POST", body=said)
    assert (answer.status, [one["field"] for one in answer.body["errors"]]) == (422, [field])
    assert world.call("GET").body == {"schedules": [], "next_cursor": None}


def test_a_change_is_a_revision_and_keeps_the_name(world: World) -> None:
    path = f"/{world.made()['schedule_id']}"
    changed = world.call("PUT", path, {**SAID, "enabled": False, "expect_revision": 1})
    assert (changed.body["revision"], changed.body["next_at_ms"]) == (2, None)
    moved = world.call("PUT", path, {**SAID, "enabled": True, "expect_revision": 1})
    assert (moved.status, moved.code) == (409, "revision-moved")
    renamed = world.call("PUT", path, {**SAID, "name": "other"})
    assert (renamed.status, renamed.body["errors"][0]["field"]) == (422, "$.name")
    # A repeat of the change that was made is answered as it was.
    assert world.call("PUT", path, {**SAID, "enabled": False, "expect_revision": 1}).body == changed.body


def test_another_tenants_is_unknown(world: World) -> None:
    mine = world.made()["schedule_id"]
    other = world.api.producer("borealis")
    for method, body in (("GET", None), ("PUT", SAID), ("DELETE", None)):
        foreign = world.call(method, f"/{mine}", body, other)
        unknown = world.call(method, "/s-00000000000000000000000000000000", body, other)
        assert (foreign.status, foreign.code) == (unknown.status, unknown.code) == (404, "unknown-schedule")
    assert world.call("GET", principal=other).body["schedules"] == []
    theirs = world.call("POST", body=SAID, principal=other)
    assert theirs.status == 201
    assert theirs.body["schedule_id"] != mine


def test_a_service_that_is_away_is_503_and_a_repeat_finishes(world: World) -> None:
    world.service.error = StoreUnavailable("away")
    assert world.call("POST", body=SAID).status == 503
    assert len(unapplied(world.dispatcher.store)) == 1
    world.service.error = None
    done = world.call("POST", body=SAID)
    assert done.status == 200
    assert world.service.get(done.body["schedule_id"]) is not None
    assert unapplied(world.dispatcher.store) == []
    path = f"/{done.body['schedule_id']}"
    world.service.error = StoreUnavailable("away")
    assert world.call("PUT", path, {**SAID, "enabled": False}).status == 503
    assert world.call("DELETE", path).status == 503
    assert world.call("GET", path).status == 404
    assert len(unapplied(world.dispatcher.store)) == 2


def test_what_the_service_refuses_is_taken_back(world: World) -> None:
    world.service.error = ScheduleRefused("not like that")
    refused = world.call("POST", body=SAID)
    assert (refused.status, refused.body["errors"][0]["field"]) == (422, "$.expression")
    assert world.call("GET").body["schedules"] == []
    assert unapplied(world.dispatcher.store) == []


def test_lists_page(world: World) -> None:
    made = {world.made(name=f"n{number}")["schedule_id"] for number in range(5)}
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = world.api.call("GET", "/v1/schedules", principal=world.atlas, query=query).body
        found += [one["schedule_id"] for one in page["schedules"]]
        if page["next_cursor"] is None:
            break
        query = {"limit": 2, "cursor": page["next_cursor"]}
    assert found == sorted(made)
