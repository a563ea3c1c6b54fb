"""The console's page is served whole, by name alone, and lets nothing in that is not its own."""

import re
from pathlib import Path

import pytest

from pushlane import console
from pushlane.api.console import assets
from pushlane.cdk.bundling import Sources, import_closure
from pushlane.model.principal import Role
from pushlane.testing.api import InMemoryApi

KINDS = {
    "index.html": "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml; charset=utf-8",
}
LOADED = re.compile(r"""(?:src|href)="console/([^"]+)"|(?:from |import\()"\./([^"]+)\"""")


def test_anybody_gets_the_page(api: InMemoryApi) -> None:
    page = api.call("GET", "/console")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text == (console.FOLDER / "index.html").read_text()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_file_comes_as_what_it_is(api: InMemoryApi, name: str) -> None:
    found = api.call("GET", f"/console/{name}")
    assert (found.status, found.headers["content-type"]) == (200, KINDS[name])
    assert found.headers["x-content-type-options"] == "nosniff"


def test_every_file_that_is_loaded_is_served(api: InMemoryApi) -> None:
    loaded = {next(filter(None, one)) for asset in assets().values() for one in LOADED.findall(asset.text)}
    assert {"app.js", "dom.js", "console.css", "icon.svg"} <= loaded
    for name in loaded:
        assert api.call("GET", f"/console/{name}").status == 200, name
    assert loaded | {"index.html"} == assets().keys()


def test_only_its_own_scripts_and_styles_run_and_it_talks_to_its_own_api_alone(api: InMemoryApi) -> None:
    said = api.call("GET", "/console").headers["content-security-policy"]
    policy = dict(part.strip().partition(" ")[::2] for part in said.split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in said


def test_nothing_stands_in_the_page_that_its_policy_would_refuse() -> None:
    for name, asset in assets().items():
        assert not re.search(r"\sstyle=|\son[a-z]+=\"|<style|javascript:", asset.text), name
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|document\.write", asset.text), name
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", asset.text), f"{name} loads from elsewhere"


def test_a_browser_that_has_it_is_told_so(api: InMemoryApi) -> None:
    first = api.call("GET", "/console/app.js")
    assert first.headers["cache-control"] == "no-cache"
    for said in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = api.call("GET", "/console/app.js", headers={"if-none-match": said})
        assert (again.status, again.text, again.headers["etag"]) == (304, "", first.headers["etag"])
    assert api.call("GET", "/console/app.js", headers={"if-none-match": '"other"'}).status == 200


@pytest.mark.parametrize(
    "path", ["__init__.py", "..", "../api/app.py", "%2e%2e%2fapi%2fapp.py", "..%5capp.py", "", "app.js/", "/etc/passwd"]
)
def test_nothing_else_can_be_read(api: InMemoryApi, path: str) -> None:
    answer = api.call("GET", f"/console/{path}")
    assert answer.status == 404
    assert "import" not in answer.text


def test_it_is_read_only(api: InMemoryApi) -> None:
    assert api.call("POST", "/console", body={}).status == 405
    head = api.call("HEAD", "/console")
    assert (head.status, head.text) == (200, "")


def test_the_function_has_its_files() -> None:
    found = import_closure("lambdas.api.handler", Sources.of_pushlane()).files
    served = {Path(name).name for name in found if name.startswith("pushlane/console/") and not name.endswith(".py")}
    assert served == assets().keys()


@pytest.mark.parametrize(("role", "tenant_id"), [(Role.PRODUCER, "atlas"), (Role.OPERATOR, None), (Role.ADMIN, None)])
def test_a_page_learns_whose_key_it_has(api: InMemoryApi, role: Role, tenant_id: str | None) -> None:
    said = api.call("GET", "/v1/caller", credential=api.new_key(role, tenant_id=tenant_id)).body
    assert (said["role"], said["tenant_id"], said["of_installation"]) == (role.value, tenant_id, tenant_id is None)
    assert said["now_ms"] == api.dispatcher.clock.now_ms()


def test_a_page_hears_events_whatever_they_are_called(api: InMemoryApi) -> None:
    """An EventSource is told of named events only where it knows the names, and agents choose theirs."""
    api.dispatcher.run_until_idle()
    task = api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo"}).body["task_id"]
    api.dispatcher.run_until_idle()
    plain, named = (
        api.call("GET", f"/v1/tasks/{task}/events", principal=api.producer(), query={"named": said}).text
        for said in ("false", "true")
    )
    assert "event: TaskAccepted" in named
    assert set(re.findall(r"event: (.+)", plain)) == {"message"}
    assert re.findall(r"data: (.+)", plain) == re.findall(r"data: (.+)", named)


def test_a_trace_tells_where_the_time_went(api: InMemoryApi) -> None:
    first = api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo"}).body["task_id"]
    waits = api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo"}).body["task_id"]
    api.dispatcher.advance(3)
    said = api.call("GET", f"/v1/tasks/{waits}/trace", principal=api.producer()).body
    assert said["task_id"] == waits
    assert said["spans"][0]["name"] == "task echo"
    assert {one["trace_id"] for one in said["spans"]} == {said["trace_id"]}
    parked = next(one for one in said["spans"] if one["name"] == "parked capacity")
    assert parked["end_ms"] is None
    other = api.call("GET", f"/v1/tasks/{first}/trace", principal=api.producer("birch"))
    assert (other.status, other.code) == (404, "unknown-task")


def test_the_installation_as_it_stands(api: InMemoryApi) -> None:
    for _ in range(3):
        api.call("POST", "/v1/tasks", principal=api.producer(), body={"task_type": "echo"})
    said = api.call("GET", "/v1/live", principal=api.operator()).body
    [pool] = said["pools"]
    assert (pool["slots"], pool["used"], pool["waiting"]) == (1, 1, 2)
    assert [(one["tenant_id"], one["waiting"]) for one in said["lanes"]] == [("atlas", 2)]
    assert api.call("GET", "/v1/live", principal=api.operator("atlas")).status == 403
