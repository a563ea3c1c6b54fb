"""What agents outside Lambda run on: calls that are repeated, pushes that are checked, hearts that beat by a thread."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from pushlane.agent.heartbeat import Watch
from pushlane.agent.heartbeat.threads import KeptByThread
from pushlane.agent.http import ApiRefused, PushedAgent, Transport
from pushlane.agent.http.words import ApiClock
from pushlane.agent.lease import LeaseRules
from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.derived_secrets import secret_text
from pushlane.model.errors import StoreUnavailable
from pushlane.model.events import Dispatch
from pushlane.model.webhook_signature import signature_headers
from pushlane.ports import Put, Scalar
from pushlane.state import attempts

SECRET = b"a secret of at least sixteen bytes"
OLD = b"another one, which is replaced now"
DISPATCH = msgspec.json.encode(
    Dispatch(
        task_id="t-1",
        tenant_id="atlas",
        task_type="work",
        epoch=1,
        pool="default",
        agent_id="one",
        attempt_pk="default#0",
        token="token",
        payload={},
    )
)


def transport(answer: Callable[[httpx.Request], httpx.Response], slept: list[float] | None = None) -> Transport:
    client = httpx.Client(base_url="https://api.example", transport=httpx.MockTransport(answer))
    pauses = [] if slept is None else slept
    return Transport("https://api.example", "key", client=client, sleep=pauses.append, chance=lambda: 0.0)


def test_a_busy_api_is_asked_again_when_it_says() -> None:
    answers = [
        httpx.Response(429, headers={"retry-after": "3"}),
        httpx.Response(503),
        httpx.Response(200, json={"a": 1}),
    ]
    slept: list[float] = []
    assert transport(lambda _request: answers.pop(0), slept).post("/v1/x", {}) == {"a": 1}
    assert slept == [3.0, 0.0]


def test_an_api_that_does_not_answer_is_given_up_after_four_calls() -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        raise httpx.ConnectTimeout("no route")

    with pytest.raises(StoreUnavailable, match="ConnectTimeout"):
        transport(answer).post("/v1/x", {})
    assert len(calls) == 4


def test_a_refusal_is_raised_with_its_code_and_not_repeated() -> None:
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(409, json={"type": "urn:pushlane:problem:stale", "detail": "not yours"})

    with pytest.raises(ApiRefused, match="not yours") as refused:
        transport(answer).post("/v1/x", {}, "proof")
    assert (refused.value.status, refused.value.code, len(calls)) == (409, "stale", 1)
    assert calls[0].headers["pushlane-reservation"] == "proof"
    assert calls[0].headers["authorization"] == "Bearer key"


class Kept:
    """A runtime that waits until it is let go."""

    def __init__(self) -> None:
        self.ran: list[bytes] = []
        self.go = threading.Event()

    def run(self, document: bytes) -> bool:
        self.ran.append(document)
        self.go.wait(5)
        return True


def pushed(runtime: Kept, *secrets: bytes, slots: int = 1) -> PushedAgent:
    return PushedAgent(runtime, [secret_text(one) for one in secrets], slots=slots, now_seconds=lambda: 1_000.0)


def signed(secret: bytes = SECRET, at_seconds: int = 1_000, body: bytes = DISPATCH) -> dict[str, str]:
    return {name.title(): value for name, value in signature_headers([secret], "t-1.1", at_seconds, body).items()}


def test_a_signed_dispatch_is_answered_before_its_work_is_done() -> None:
    runtime = Kept()
    agent = pushed(runtime, SECRET)
    taken = agent.handle(signed(), DISPATCH)
    assert taken.status == 202
    assert taken.running is not None
    assert not taken.running.done()
    runtime.go.set()
    assert taken.running.result(timeout=5)
    assert runtime.ran == [DISPATCH]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (signed(OLD), 401), (signed(at_seconds=600), 401), (signed(body=b"{}"), 401), (signed(), 202)],
)
def test_what_is_not_signed_for_it_now_is_not_run(headers: dict[str, str], status: int) -> None:
    runtime = Kept()
    runtime.go.set()
    assert pushed(runtime, SECRET).handle(headers, DISPATCH).status == status
    assert len(runtime.ran) == (status == 202)


def test_both_secrets_hold_while_one_replaces_the_other() -> None:
    runtime = Kept()
    runtime.go.set()
    agent = pushed(runtime, SECRET, OLD, slots=2)
    assert [agent.handle(signed(one), DISPATCH).status for one in (SECRET, OLD)] == [202, 202]
    agent.close()


def test_a_full_agent_says_so_and_a_signed_nothing_is_malformed() -> None:
    runtime = Kept()
    agent = pushed(runtime, SECRET)
    assert agent.handle(signed(body=b"{}"), b"{}").status == 400
    assert [agent.handle(signed(), DISPATCH).status for _ in range(2)] == [202, 503]
    runtime.go.set()
    agent.close()


def test_the_clock_follows_the_platforms_and_never_falls_behind_what_it_said() -> None:
    clock = ApiClock()
    clock.learn(5_000_000)
    first = clock.now_ms()
    clock.learn(4_000_000)
    assert 5_000_000 <= first <= clock.now_ms() < 5_010_000


class Heart:
    """An attempt that a thread keeps alive."""

    def __init__(self, **rules: Any) -> None:
        self.clock = ManualClock(1_000_000)
        self.store = InMemoryItemStore(self.clock)
        self.key = attempts.attempt_item("default#0", "t-1")
        fields: dict[str, Scalar] = {
            "epoch": 1,
            "runner": "run-1",
            "lease_until_ms": 1_003_000,
            "progress_at_ms": 1_000_000,
        }
        self.store.write(Put(self.key, fields))
        said = {"lease_ms": 3_000, "stall_ms": None, "lasts_until_ms": 9_000_000, **rules}
        watch = Watch(
            attempt_pk="default#0",
            task_id="t-1",
            epoch=1,
            runner="run-1",
            rules=LeaseRules(**said),
            progress_at_ms=1_000_000,
            written_at_ms=1_000_000,
            lease_until_ms=1_003_000,
        )
        self.logged: list[str] = []
        self.clock.advance(1_500)  # the first beat is overdue
        self.kept = KeptByThread(watch, self.store, self.clock, lambda event, **_fields: self.logged.append(event))

    def lease_until_ms(self) -> Any:
        return self.store.get([self.key])[self.key].attributes["lease_until_ms"]


def within(look: Callable[[], bool], seconds: float = 5.0) -> bool:
    waits = threading.Event()
    for _ in range(int(seconds * 100)):
        if look():
            return True
        waits.wait(0.01)
    return False


def test_a_heart_beats_by_itself_and_tells_of_orders() -> None:
    heart = Heart()
    assert within(lambda: heart.lease_until_ms() == 1_004_500)
    heart.kept.stop()


def test_a_heart_whose_attempt_was_given_to_another_says_that_it_is_lost() -> None:
    heart = Heart()
    assert within(lambda: heart.lease_until_ms() == 1_004_500)
    heart.store.write(Put(heart.key, {"epoch": 2, "lease_until_ms": 1_009_000}))
    heart.clock.advance(2_000)
    assert within(lambda: any(report.lost for report in heart.kept.heard()))
    assert heart.lease_until_ms() == 1_009_000
