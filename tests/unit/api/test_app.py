"""From an event to an answer: routes, methods, sizes, faults, the log."""

import json
from typing import Any

import pytest

from pushlane.api.app import Api
from pushlane.api.operations import Operation, Request, Response
from pushlane.api.ports import ApiPorts
from pushlane.api.routing import Routes
from pushlane.model.errors import StoreUnavailable
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi


def test_an_unknown_path_and_a_method_that_is_not_there(api: InMemoryApi) -> None:
    assert api.call("GET", "/v1/nothing").code == "no-such-path"
    refused = api.call("PUT", "/v1/tasks/t-1", principal=api.producer())
    assert (refused.status, refused.code) == (405, "method-not-allowed")
    assert refused.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


def test_options_and_head(api: InMemoryApi) -> None:
    told = api.call("OPTIONS", "/v1/tasks")
    assert (told.status, told.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    head = api.call("HEAD", "/v1/tasks", principal=api.producer())
    assert (head.status, head.text) == (200, "")


@pytest.mark.parametrize("path", ["/v1/tasks/", "/v1/tasks/a b", "/v1/tasks/-x", "/v1/tasks/" + "x" * 65])
def test_what_is_no_id_is_an_unknown_one(api: InMemoryApi, path: str) -> None:
    refused = api.call("GET", path, principal=api.producer())
    assert (refused.status, refused.code) == (404, "unknown-task")


def test_a_body_at_and_over_its_bound(api: InMemoryApi) -> None:
    frame = b'{"name":"x","signal_id":""}'
    at = frame + b" " * (1024 * 1024 - len(frame))
    path = "/v1/tasks/t-1/signals"
    assert api.call("POST", path, principal=api.producer(), raw_body=at + b" ").status == 413
    assert api.call("POST", path, principal=api.producer(), raw_body=at).status == 422


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "query.limit"),
        ({"limit": "x"}, "query.limit"),
        ({"nope": 1}, "query.nope"),
        ({"tenant": "a b"}, "query.tenant"),
        ({"cursor": "%%%"}, "query.cursor"),
    ],
)
def test_a_wrong_query_names_its_parameter(api: InMemoryApi, query: dict[str, Any], field: str) -> None:
    refused = api.call("GET", "/v1/tasks", principal=api.producer(), query=query)
    assert refused.status == 422
    assert refused.body["errors"][0]["field"] == field


def test_a_query_parameter_that_stands_twice(api: InMemoryApi) -> None:
    event = _event("GET", "/v1/tasks", rawQueryString="limit=1&limit=2")
    event["requestContext"]["authorizer"] = {"lambda": {"principal_id": "p", "role": "producer", "tenant_id": "atlas"}}
    answer = api.app.handle(event)
    assert json.loads(answer["body"])["errors"][0]["code"] == "duplicate_key"


def test_a_body_that_is_not_base64(api: InMemoryApi) -> None:
    event = _event("POST", "/v1/tasks", body="***", isBase64Encoded=True)
    event["requestContext"]["authorizer"] = {"lambda": {"principal_id": "p", "role": "producer", "tenant_id": "atlas"}}
    assert api.app.handle(event)["statusCode"] == 422


def test_a_named_stage_stands_before_the_path(api: InMemoryApi) -> None:
    event = _event("GET", "/live/v1/openapi.json")
    event["requestContext"]["stage"] = "live"
    assert api.app.handle(event)["statusCode"] == 200


def test_an_empty_event_is_answered(api: InMemoryApi) -> None:
    assert api.app.handle({})["statusCode"] == 404


def test_a_fault_of_the_store_is_a_503_that_says_when_to_come_again() -> None:
    class Down:
        on = False

        def before(self, name: str, operations: object) -> None:
            if self.on:
                raise StoreUnavailable("down")

        def after(self, name: str, operations: object) -> None:
            """Nothing happens."""

    down = Down()
    dispatcher = InMemoryDispatcher(faults=down)
    api = InMemoryApi(dispatcher)
    down.on = True
    answer = api.call("GET", "/v1/tasks/t-1", principal=api.producer())
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", "1")


def test_a_defect_is_a_503_and_is_handed_on(dispatcher: InMemoryDispatcher) -> None:
    def broken(_ports: ApiPorts, _request: Request) -> Response:
        raise ZeroDivisionError

    ports = InMemoryApi(dispatcher).ports
    operation = Operation(
        operation_id="broken",
        method="GET",
        path="/v1/broken",
        roles=frozenset(),
        public=True,
        summary="",
        run=broken,
        responses={200: None},
    )
    met: list[Exception] = []
    answer = Api(ports, [operation], met.append).handle(_event("GET", "/v1/broken"))
    assert answer["statusCode"] == 503
    assert [type(error) for error in met] == [ZeroDivisionError]


def test_one_line_is_logged_and_it_holds_no_payload(api: InMemoryApi, dispatcher: InMemoryDispatcher) -> None:
    body = {"task_type": "echo", "payload": {"secret": "tell-nobody"}}
    answer = api.call("POST", "/v1/tasks", principal=api.producer(), body=body)
    [said] = [fields for event, fields in dispatcher.logged if event == "request"]
    assert said == {
        "operation": "submitTasks",
        "status": 202,
        "tenant_id": "atlas",
        "principal_id": "producer.atlas",
        "request_id": answer.headers["x-request-id"],
    }
    assert "tell-nobody" not in str(dispatcher.logged)


def test_literal_segments_go_before_named_ones() -> None:
    def operation(path: str) -> Operation:
        return Operation(
            operation_id=path,
            method="GET",
            path=path,
            roles=frozenset(),
            summary="",
            run=lambda _ports, _request: Response(),
            responses={200: None},
        )

    routes = Routes([operation("/v1/tasks/{task_id}"), operation("/v1/tasks/all"), operation("/v1/{kind}/{one}/x")])
    found = {path: routes.find(path) for path in ("/v1/tasks/all", "/v1/tasks/t-1", "/v1/tasks")}
    assert {path: one and one.operations["GET"].operation_id for path, one in found.items()} == {
        "/v1/tasks/all": "/v1/tasks/all",
        "/v1/tasks/t-1": "/v1/tasks/{task_id}",
        "/v1/tasks": None,
    }
    with pytest.raises(ValueError, match="twice"):
        Routes([operation("/v1/{a}"), operation("/v1/{b}")])


def _event(method: str, path: str, **more: Any) -> dict[str, Any]:
    return {"rawPath": path, "requestContext": {"http": {"method": method}, "requestId": "r-1"}, **more}
