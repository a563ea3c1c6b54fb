"""Tasks looked at, listed, cancelled, explained, signalled; their results."""

from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.model.principal import Principal
from pushlane.ports import ItemStore, Listed
from pushlane.router.claimed import as_claim
from pushlane.state.keys import TENANT_BUCKETS
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import Answer, InMemoryApi

PRODUCER = InMemoryApi.producer()


def submitted(api: InMemoryApi, principal: Principal = PRODUCER, **body: Any) -> str:
    answer = api.call("POST", "/v1/tasks", principal=principal, body={"task_type": "echo", **body})
    return str(answer.body["task_id"])


def get(api: InMemoryApi, path: str, **query: Any) -> Answer:
    return api.call("GET", path, principal=PRODUCER, query=query)


def test_a_task_is_shown_as_it_stands(api: InMemoryApi) -> None:
    task_id = submitted(api, labels={"team": "a"}, deadline_ms=1_800_000_000_000, correlation_id="c-1")
    shown = get(api, f"/v1/tasks/{task_id}").body
    assert shown["status"] == "DISPATCHED"
    assert (shown["labels"], shown["deadline_ms"], shown["correlation_id"]) == ({"team": "a"}, 1_800_000_000_000, "c-1")
    assert "payload" not in shown
    waiting = get(api, f"/v1/tasks/{submitted(api)}").body
    assert (waiting["status"], waiting["park_reason"]) == ("PARKED", "capacity")


def test_who_names_another_tenant_is_refused_before_anything_is_looked_up(
    api: InMemoryApi, dispatcher: InMemoryDispatcher
) -> None:
    """Else the answer would tell which ids of others there are."""
    theirs = dispatcher.submit(task_type="echo", payload={})
    dispatcher.run_until_idle()
    for named in ("atlas", "nobody"):
        answers = {
            api.call("GET", f"/v1/tasks/{task_id}", query={"tenant": named}, principal=api.producer("boreal")).status
            for task_id in (theirs, "t-" + "0" * 32)
        }
        assert answers == {403}, named


def test_why_a_task_waits(api: InMemoryApi) -> None:
    submitted(api)
    said = get(api, f"/v1/tasks/{submitted(api)}/why").body
    assert (said["status"], said["reason"], said["place"]["in_lane"]) == ("PARKED", "capacity", 1)


def test_a_waiting_task_is_cancelled_at_once_and_a_running_one_is_told(
    api: InMemoryApi, dispatcher: InMemoryDispatcher
) -> None:
    running, waiting = submitted(api), submitted(api)
    attempt = dispatcher.take("one")
    stopped = api.call("DELETE", f"/v1/tasks/{waiting}", principal=PRODUCER)
    assert (stopped.status, stopped.body["status"]) == (200, "CANCELLED")
    told = api.call("DELETE", f"/v1/tasks/{running}", principal=PRODUCER, query={"reason": "changed my mind"})
    assert (told.status, told.body) == (202, {"task_id": running, "status": "DISPATCHED", "ordered": True})
    assert attempt.check_in() == "cancel"
    again = api.call("DELETE", f"/v1/tasks/{waiting}", principal=PRODUCER)
    assert (again.status, again.body["status"]) == (200, "CANCELLED")


def test_a_result_is_there_once_the_task_has_ended(dispatcher: InMemoryDispatcher) -> None:
    @agent(task_types=("double",))
    def double(_ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["n"] < 0:
            raise ValueError("below zero")
        return {"n": payload["n"] * 2}

    dispatcher.register(double, agent_id="two")
    api = InMemoryApi(dispatcher)
    body = {"task_type": "double", "payload": {"n": 4}}
    task_id = api.call("POST", "/v1/tasks", principal=PRODUCER, body=body).body["task_id"]
    early = get(api, f"/v1/tasks/{task_id}/result")
    assert (early.status, early.code) == (409, "not-ended")
    dispatcher.run_until_idle()
    assert get(api, f"/v1/tasks/{task_id}/result").body == {
        "task_id": task_id,
        "status": "SUCCEEDED",
        "result": {"n": 8},
    }
    body = {"task_type": "double", "payload": {"n": -1}, "retry": {"max_attempts": 1, "exhausted": "fail"}}
    failed = api.call("POST", "/v1/tasks", principal=PRODUCER, body=body).body["task_id"]
    dispatcher.run_until_idle()
    said = get(api, f"/v1/tasks/{failed}/result").body
    assert (said["status"], said["error"]["error_type"]) == ("FAILED", "ValueError")
    assert get(api, f"/v1/tasks/{failed}").body["error"]["message"] == "below zero"


@pytest.mark.parametrize(("size", "inline"), [(100_000, True), (5 * 1024 * 1024 + 1, False)])
def test_a_large_result_is_inline_up_to_a_bound(dispatcher: InMemoryDispatcher, size: int, inline: bool) -> None:
    api = InMemoryApi(dispatcher)
    task_id = submitted(api)
    value = {"text": "x" * size}
    dispatcher.take("one").succeed(as_claim(dispatcher.blobs, "atlas", value))
    dispatcher.run_until_idle()
    said = get(api, f"/v1/tasks/{task_id}/result").body
    assert ("result" in said, "result_url" in said) == (inline, not inline)
    if inline:
        assert said["result"] == value


def test_a_signal_is_delivered_once(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    task_id = submitted(api)
    path, body = f"/v1/tasks/{task_id}/signals", {"name": "answer", "data": {"yes": True}, "signal_id": "s-1"}
    said = [api.call("POST", path, principal=PRODUCER, body=body) for _ in range(2)]
    assert [one.status for one in said] == [202, 202]
    stored = dispatcher.task(task_id)
    assert stored is not None
    assert stored["signals"] == 1
    made = api.call("POST", path, principal=PRODUCER, body={"name": "answer"}, headers={"Idempotency-Key": "s-2"})
    assert made.body["signal_id"] == "s-2"


def test_what_cannot_be_signalled(api: InMemoryApi) -> None:
    task_id = submitted(api)
    path = f"/v1/tasks/{task_id}/signals"
    large = api.call("POST", path, principal=PRODUCER, body={"name": "a", "data": {"text": "x" * 16_384}})
    assert (large.status, large.body["errors"][0]["field"]) == (422, "$.data")
    submitted(api)
    api.call("DELETE", f"/v1/tasks/{task_id}", principal=PRODUCER)
    ended = api.call("POST", path, principal=PRODUCER, body={"name": "a"})
    assert (ended.status, ended.code) == (409, "task-ended")


def everything(api: InMemoryApi, principal: Principal = PRODUCER, **query: Any) -> list[str]:
    """All pages; no page is larger than its limit."""
    found: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        asked = query | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/v1/tasks", principal=principal, query=asked).body
        assert len(page["tasks"]) <= query.get("limit", 50)
        found += [one["task_id"] for one in page["tasks"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_the_list_has_each_task_once_the_newest_first(api: InMemoryApi, limit: int) -> None:
    made = []
    for number in range(23):
        made.append(submitted(api))
        submitted(api, api.producer("birch"))
        api.dispatcher.clock.advance(number % 2)  # some of the same moment
    found = everything(api, limit=limit)
    assert sorted(found) == sorted(made)
    times = [get(api, f"/v1/tasks/{one}").body["accepted_at_ms"] for one in found]
    assert times == sorted(times, reverse=True)


def test_the_list_is_filtered(api: InMemoryApi) -> None:
    running, low = submitted(api), submitted(api, tier="low")
    now_ms = api.dispatcher.clock.now_ms()
    api.dispatcher.clock.advance(10)
    later = submitted(api)
    assert everything(api, status="DISPATCHED") == [running]
    assert everything(api, tier="low") == [low]
    assert everything(api, since_ms=now_ms + 1) == [later]
    assert sorted(everything(api, until_ms=now_ms)) == sorted([running, low])
    assert everything(api, task_type="other") == []


def test_a_cursor_in_anothers_hands_reads_that_ones_own(api: InMemoryApi) -> None:
    for _ in range(9):
        submitted(api)
    theirs = submitted(api, api.producer("birch"))
    cursor = get(api, "/v1/tasks", limit=1).body["next_cursor"]
    page = api.call("GET", "/v1/tasks", principal=api.producer("birch"), query={"cursor": cursor})
    assert {one["task_id"] for one in page.body["tasks"]} <= {theirs}


def test_a_filter_that_lets_little_through_ends_a_page_early(dispatcher: InMemoryDispatcher) -> None:
    class Many(InMemoryTaskListing):
        """3,000 tasks of another type."""

        def newest(
            self, bucket: str, *, since_ms: int, until_ms: int, limit: int, behind: tuple[int, str] | None = None
        ) -> list[Listed]:
            top = 3_000 // TENANT_BUCKETS if behind is None else behind[0]
            return [
                Listed(task_id=f"t-{bucket}", accepted_at_ms=at, status="PARKED", task_type="other", tier="normal")
                for at in range(top - 1, max(-1, top - 1 - limit), -1)
            ]

    api = InMemoryApi(dispatcher, listing=Many(dispatcher.store))
    page = get(api, "/v1/tasks", task_type="echo").body
    assert page["tasks"] == []
    assert page["next_cursor"] is not None
    assert everything(api, task_type="echo") == []


def test_reading_writes_nothing(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    task_id = submitted(api)
    store: ItemStore = dispatcher.store
    written: list[object] = []
    dispatcher.store.write = written.append  # type: ignore[method-assign,assignment]  # a write would be seen here
    for path in ("", "/why", "/result"):
        get(api, f"/v1/tasks/{task_id}{path}")
    get(api, "/v1/tasks")
    assert (store, written) == (dispatcher.store, [])


def test_a_cursor_of_other_times_is_no_way_out_of_these(api: InMemoryApi) -> None:
    made = []
    for _ in range(4):
        made.append(submitted(api))
        api.dispatcher.clock.advance(10)
    times = [get(api, f"/v1/tasks/{one}").body["accepted_at_ms"] for one in made]
    cursor = get(api, "/v1/tasks", limit=2).body["next_cursor"]
    later = get(api, "/v1/tasks", cursor=cursor, since_ms=times[3]).body["tasks"]
    assert {one["task_id"] for one in later} <= {made[3]}
    earlier = get(api, "/v1/tasks", cursor=cursor, until_ms=times[0]).body["tasks"]
    assert [one["task_id"] for one in earlier] == [made[0]]
