"""Property: whatever id of one tenant another one tries, wherever it can be said, it is an id that nobody has."""

from functools import cache
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushlane.api.routing import names_of
from pushlane.model.principal import Principal, Role
from pushlane.testing.api import Answer, InMemoryApi
from tests.edge.callers import ATLAS, BIRCH, BY_ID, NOBODYS, Place, World, call_of
from tests.edge.matrix import MATRIX, Subject
from tests.edge.test_authorization import changes, contents, masked

SUBJECTS: Final = (
    Subject.STARTED,
    Subject.TASK,
    Subject.DONE,
    Subject.DEAD,
    Subject.WORKFLOW,
    Subject.SCHEDULE,
    Subject.HOOK,
)
# On these an id of a tenant can be said in the path; agents and attempts are of a pool.
NAMED: Final = sorted(
    operation_id
    for operation_id, one in BY_ID.items()
    if names_of(one.path) and not one.of_installation and not one.public and Role.AGENT not in one.roles
)
STRANGERS: Final = (
    InMemoryApi.producer(BIRCH),
    InMemoryApi.operator(BIRCH),
    Principal(principal_id="watcher", role=Role.PRODUCER, tenant_id=BIRCH, by_ticket=True),
)


@cache
def world() -> tuple[World, tuple[str, ...], tuple[str, ...]]:
    """A world, the ids of atlas in it, and the cursors of its lists."""
    made = World()
    ids = [next(iter(made.place(subject).path.values())) for subject in SUBJECTS]
    pages = [
        made.api.call("GET", path, principal=made.api.operator(ATLAS), query={"limit": 1}).body
        for path in ("/v1/tasks", "/v1/workflows", "/v1/dead-letters")
    ]
    cursors = [str(page["next_cursor"]) for page in pages if page["next_cursor"]]
    return made, tuple(ids), tuple(cursors)


def ids() -> st.SearchStrategy[str]:
    """An id of atlas, as it is or nearly."""
    _, named, _ = world()
    whole = st.sampled_from(named)
    other = st.sampled_from(["t-", "w-", "s-", "hk-", "", "T-"])
    return st.one_of(
        whole,
        st.builds(lambda one, prefix: prefix + one.partition("-")[2], whole, other),
        st.builds(lambda one: one.upper(), whole),
        st.builds(lambda one, more: one + more, whole, st.text("0-._aZ", max_size=3)),
    )


def told(operation_id: str, named: str, stranger: Principal, tenant: str | None = None) -> Answer:
    made, _, _ = world()
    operation = BY_ID[operation_id]
    call = call_of(operation, MATRIX[operation_id], Place(path={names_of(operation.path)[0]: named}))
    said = {name: value for name, value in msgspec.structs.asdict(call).items() if name != "credential"}
    if tenant is not None:
        said["query"] = {"tenant": tenant}
    return made.api.call(**said, principal=stranger)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_in_a_path(data: st.DataObject) -> None:
    made, _, _ = world()
    operation_id, stranger = data.draw(st.sampled_from(NAMED)), data.draw(st.sampled_from(STRANGERS))
    named, before = data.draw(ids()), contents(made)
    answer, unknown = told(operation_id, named, stranger), told(operation_id, NOBODYS, stranger)
    assert answer.status in (401, 403, 404)
    assert masked(answer, named) == masked(unknown, NOBODYS)
    assert changes(before, contents(made)) == []


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_in_a_body(data: st.DataObject) -> None:
    made, _, _ = world()
    named, stranger = data.draw(ids()), made.api.producer(BIRCH)
    path, body = data.draw(
        st.sampled_from(
            [
                ("/v1/tasks", lambda one: {"task_type": "echo", "parent": {"task_id": one}}),
                ("/v1/stream-tickets", lambda one: {"stream": one}),
            ]
        )
    )
    before = contents(made)
    answer, unknown = (made.api.call("POST", path, principal=stranger, body=body(one)) for one in (named, NOBODYS))
    assert answer.status in (404, 422)
    assert masked(answer, named) == masked(unknown, NOBODYS)
    assert changes(before, contents(made)) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(NAMED), st.sampled_from(STRANGERS), st.sampled_from([ATLAS, "nobody"]))
def test_by_the_name_of_the_tenant(operation_id: str, stranger: Principal, tenant: str) -> None:
    """Naming another tenant is answered like naming none that there is."""
    _, named, _ = world()
    said = [told(operation_id, named[0], stranger, one) for one in (tenant, "nobody")]
    assert said[0].status in (401, 403, 404)
    assert masked(said[0], tenant) == masked(said[1], "nobody")


def test_by_a_cursor() -> None:
    made, named, cursors = world()
    assert cursors
    for path in ("/v1/tasks", "/v1/workflows", "/v1/dead-letters", "/v1/schedules", "/v1/hooks"):
        for cursor in cursors:
            answer = made.api.call("GET", path, principal=made.api.operator(BIRCH), query={"cursor": cursor})
            shown: Any = answer.text if answer.status == 200 else ""
            assert not [one for one in named if one in shown]
