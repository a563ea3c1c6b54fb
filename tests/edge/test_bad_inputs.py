"""Bad input at every door: a clear refusal that names the place, and nothing changed but what tells of the refusal."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct

from pushlane.api.catalogue import OPERATIONS
from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.task import Door
from pushlane.model.times import TIME_MS_MAX
from pushlane.ports import Item, Table
from pushlane.testing import InMemoryDispatcher, kinesis_event, sqs_event, submit_envelope
from pushlane.testing.api import Answer, InMemoryApi
from tests.edge.bad_documents import AMBIGUOUS, UNREADABLE
from tests.edge.bad_fields import wrong_fields
from tests.edge.report import report, reported

pytestmark = pytest.mark.xdist_group("bad-inputs")

NAMED_MIN: Final = 300
TASK: Final = {"task_type": "echo", "payload": {"x": 1}}
# Everything of HTTP that takes a JSON body from a producer, an operator or an agent.
BODIES: Final = (
    ("POST", "/v1/tasks"),
    ("POST", "/v1/workflows"),
    ("POST", "/v1/tasks/t-1/signals"),
    ("POST", "/v1/schedules"),
    ("POST", "/v1/hooks"),
)


class Case(Struct, frozen=True):
    """One bad input: `run` plays it and asserts what must come of it."""

    name: str
    run: Callable[["Whole"], None]


class Whole:
    """A Pushlane with an agent, and one task that must stay as it is."""

    def __init__(self) -> None:
        self.dispatcher = InMemoryDispatcher(tenants=("atlas", "birch"))
        self.dispatcher.register(None, agent_id="one", capabilities=("echo",))
        self.api = InMemoryApi(self.dispatcher)
        self.dispatcher.submit(task_type="echo", payload={"kept": True})
        self.dispatcher.run_until_idle()
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    def state(self) -> dict[Any, Item]:
        """All items but the facts that tell of refusals, and the quarantine of idle memory."""
        return {
            item.key: item
            for table in Table
            for item in self.dispatcher.store.items(table)
            if not item.key.pk.startswith("FACT#")
        }

    def http(self, method: str, path: str, **said: Any) -> Answer:
        who = self.api.operator("atlas") if "schedules" in path or "hooks" in path else self.api.producer("atlas")
        return self.api.call(method, path, principal=who, **said)

    def door(self, door: Door, raw: bytes) -> list[dict[str, Any]]:
        """What lies in quarantine after one record came through a door."""
        number = str(self.number())
        answer = self.dispatcher.router.handle(_event(door, number, raw))
        assert answer == {"batchItemFailures": []}, "a bad record is not delivered again"
        return self.dispatcher.quarantined()


def _event(door: Door, number: str, raw: bytes) -> dict[str, Any]:
    text = raw.decode("utf-8", "surrogateescape")
    if door is Door.KINESIS:
        return kinesis_event("stream", [(number, raw)])
    if door is Door.SNS:
        text = msgspec.json.encode(
            {"Type": "Notification", "MessageId": number, "Message": raw.decode(errors="replace")}
        ).decode()
    elif door is Door.EVENTBRIDGE:
        head = b'{"id": "%s", "detail-type": "SubmitTask", "detail": ' % number.encode()
        text = (head + raw + b"}").decode("utf-8", "surrogateescape")
    return sqs_event("queue/intake", [(f"m-{number}", text)])


def test_the_named_corpus() -> None:
    """Every case by its name; the first whole is kept through all of them, as one installation has to live on."""
    whole, unhandled = Whole(), []
    cases = list(named_cases())
    assert len({case.name for case in cases}) == len(cases)
    assert len(cases) >= NAMED_MIN
    before = whole.state()
    for case in cases:
        try:
            case.run(whole)
            assert whole.state() == before, "something was changed"
        except Exception as error:
            unhandled.append(f"{case.name}: {type(error).__name__}: {str(error)[:300]}")
            before = whole.state()
    section = reported().get("bad_inputs", {})
    told = {"named": len(cases), "unhandled_named": len(unhandled), "unhandled": len(unhandled)}
    report("bad_inputs", {"generated": 0, **section, **told})
    assert not unhandled, "\n".join(unhandled)


def named_cases() -> Iterator[Case]:
    yield from _documents_over_http()
    yield from _documents_at_doors()
    yield from _fields()
    yield from _paths()


def _documents_over_http() -> Iterator[Case]:
    for method, path in BODIES:
        for name, raw in {**UNREADABLE, **AMBIGUOUS}.items():
            yield Case(f"{method} {path}: {name}", _refused_over_http(method, path, raw))


def _refused_over_http(method: str, path: str, raw: bytes, field: str = "") -> Callable[[Whole], None]:
    def run(whole: Whole) -> None:
        answer = whole.http(method, path, raw_body=raw)
        assert answer.status == 422, f"{answer.status}: {answer.text[:300]}"
        assert answer.headers["content-type"].startswith("application/problem+json")
        errors = answer.body["errors"]
        assert errors
        assert all(one["field"].startswith("$") and one["reason"] for one in errors), errors
        assert field in errors[0]["field"] or field in errors[0]["reason"], errors

    return run


def _documents_at_doors() -> Iterator[Case]:
    for door in (Door.SQS, Door.SNS, Door.EVENTBRIDGE, Door.KINESIS):
        for name, raw in UNREADABLE.items():
            yield Case(f"{door}: {name}", _refused_at(door, raw))


def _refused_at(door: Door, raw: bytes, field: str = "") -> Callable[[Whole], None]:
    def run(whole: Whole) -> None:
        kept = whole.door(door, raw)
        assert len(kept) == 1, kept
        assert kept[0]["reason"]
        assert kept[0]["field"].startswith("$")
        assert field in kept[0]["field"] or field in kept[0]["reason"], kept[0]

    return run


def _fields() -> Iterator[Case]:
    for wrong in wrong_fields():
        body = msgspec.json.encode({**TASK, **wrong.change})
        yield Case(f"HTTP: {wrong.name}", _refused_over_http("POST", "/v1/tasks", body, wrong.field))
        said = msgspec.json.encode(submit_envelope(**{**TASK, **wrong.change}))
        yield Case(f"SQS: {wrong.name}", _refused_at(Door.SQS, said, wrong.field))


def _paths() -> Iterator[Case]:
    for name in ("a%23b", "..%2Fbirch", "%00", "%0a", "x" * 65, "%F0%9F%98%80", "a b", "@default", "'--", "TASK"):
        for path in (f"/v1/tasks/{name}", f"/v1/tasks/{name}/result", f"/v1/workflows/{name}"):
            yield Case(f"GET {path}", _answers("GET", path, 404))
    for path in ("/", "/v1", "/v2/tasks", "/v1/task", "/v1/tasks/", "/v1//tasks", "/v1/tasks/t-1/unknown"):
        yield Case(f"GET {path}", _answers("GET", path, 404))
    for method, path in (("PUT", "/v1/tasks"), ("PATCH", "/v1/tasks/t-1"), ("POST", "/v1/tasks/t-1/result")):
        yield Case(f"{method} {path}", _answers(method, path, 405))
    queries: tuple[Mapping[str, str], ...] = (
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1e9"},
        {"limit": "ten"},
        {"status": "BUSY"},
        {"tier": "utmost"},
        {"cursor": "x"},
        {"cursor": "AAAA" * 200},
        {"unknown": "1"},
    )
    for query in queries:
        yield Case(f"GET /v1/tasks?{query}"[:120], _answers("GET", "/v1/tasks", 422, query))


def _answers(method: str, path: str, status: int, query: Mapping[str, str] | None = None) -> Callable[[Whole], None]:
    def run(whole: Whole) -> None:
        answer = whole.http(method, path, query=query)
        assert answer.status == status, f"{answer.status}: {answer.text[:300]}"
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.body["detail"]

    return run


def _payload(size: int) -> dict[str, Any]:
    empty = len(msgspec.json.encode({"x": ""}))
    return {"x": "y" * (size - empty)}


@pytest.mark.parametrize(
    ("name", "at", "beyond"),
    [
        ("id", {"task_type": "x" * 64}, {"task_type": "x" * 65}),
        ("key", {"idempotency_key": "k" * 128}, {"idempotency_key": "k" * 129}),
        (
            "capabilities",
            {"capabilities": [f"c{n}" for n in range(10)]},
            {"capabilities": [f"c{n}" for n in range(11)]},
        ),
        ("labels", {"labels": {f"l{n}": "x" for n in range(10)}}, {"labels": {f"l{n}": "x" for n in range(11)}}),
        ("label", {"labels": {"l": "x" * 128}}, {"labels": {"l": "x" * 129}}),
        ("deadline", {"deadline_ms": TIME_MS_MAX}, {"deadline_ms": TIME_MS_MAX + 1}),
        ("runtime", {"estimate": {"runtime_seconds": 86_400}}, {"estimate": {"runtime_seconds": 86_401}}),
        ("tokens", {"estimate": {"tokens": 100_000_000}}, {"estimate": {"tokens": 100_000_001}}),
        ("attempts", {"retry": {"max_attempts": 10}}, {"retry": {"max_attempts": 11}}),
    ],
)
def test_a_limit_itself_is_taken_and_one_more_is_not(name: str, at: dict[str, Any], beyond: dict[str, Any]) -> None:
    whole = Whole()
    taken = whole.http("POST", "/v1/tasks", body={**TASK, **at})
    assert taken.status == 202, f"{name}: {taken.text}"
    assert whole.http("POST", "/v1/tasks", body={**TASK, **beyond}).status == 422
    assert whole.door(Door.SQS, msgspec.json.encode(submit_envelope(**{**TASK, **at}))) == []
    assert len(whole.door(Door.SQS, msgspec.json.encode(submit_envelope(**{**TASK, **beyond})))) == 1


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_payload_around_the_inline_limit(more: int) -> None:
    """Doors refuse what does not fit; HTTP stores it and takes the task."""
    whole = Whole()
    data = {"task_type": "echo", "payload": _payload(INLINE_BYTES_MAX + more)}
    assert len(whole.door(Door.SQS, msgspec.json.encode(submit_envelope(**data)))) == (1 if more > 0 else 0)
    assert whole.http("POST", "/v1/tasks", body=data).status == 202


@pytest.mark.parametrize(("count", "status"), [(1, 202), (100, 202), (101, 422), (0, 422)])
def test_a_batch_around_its_limit(count: int, status: int) -> None:
    whole = Whole()
    assert whole.http("POST", "/v1/tasks", body={"tasks": [TASK] * count}).status == status


@pytest.mark.parametrize(("more", "status"), [(0, 202), (1, 413)])
def test_a_body_around_the_size_limit(more: int, status: int) -> None:
    whole = Whole()
    head, tail = b'{"task_type": "echo", "payload": {"x": "', b'"}}'
    limit = next(one.body_bytes_max for one in OPERATIONS if one.operation_id == "submitTasks")
    raw = head + b"y" * (limit - len(head) - len(tail) + more) + tail
    assert whole.http("POST", "/v1/tasks", raw_body=raw).status == status
