"""The measure of pickup: its arithmetic, whose clock it takes, and the floor's functions themselves."""

import json
import sys
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.client import Client, ResultUnavailable
from pushlane.local.floor import FORWARD, NOTE_TIME
from pushlane.local.percentiles import Percentiles
from pushlane.local.pickup import AGENT_CODE, ATTEMPT_START, compared, out_of_step, ran_at_ms
from tests.unit.local.demo.worlds import record


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300))
def test_percentiles_are_measured_values_in_order(values: list[int]) -> None:
    made = Percentiles.of(values)
    assert {made.p50, made.p95, made.p99} <= set(values)
    assert min(values) <= made.p50 <= made.p95 <= made.p99 <= max(values)
    assert sum(value <= made.p95 for value in values) >= 0.95 * len(values)


def test_percentiles_of_a_hundred() -> None:
    assert Percentiles.of(range(1, 101)) == Percentiles(samples=100, p50=50, p95=95, p99=99)


def test_percentiles_of_nothing() -> None:
    assert Percentiles.of([]) == Percentiles(samples=0, p50=0, p95=0, p99=0)


def test_the_ratio_is_pushlane_over_floor() -> None:
    made = compared([30.0, 60.0], [20.0, 40.0], [25.0, 60.0], AGENT_CODE)
    assert (made.ratio_p50, made.ratio_p99) == (1.5, 1.5)
    assert (made.ratio_to_committing_floor_p50, made.ratio_to_committing_floor_p99) == (1.2, 1.0)


def test_samples_come_out_of_step_and_alike_in_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(2):
        pause = out_of_step()
        for _ in range(10):
            pause()
    assert slept[:10] == slept[10:]
    assert len(set(slept)) == 10


def client_with(result: dict[str, Any]) -> Client:
    return cast(Client, SimpleNamespace(result=lambda _record: result))


def test_the_agent_codes_own_clock_comes_first() -> None:
    assert ran_at_ms(client_with({"ran_at_ms": 77}), record("t", "atlas")) == (77, AGENT_CODE)


def test_else_the_attempts_start_counts_and_is_said_to() -> None:
    done = record("t", "atlas", started_at_ms=55)
    assert ran_at_ms(client_with({"value": None}), done) == (55, ATTEMPT_START)


def test_without_either_there_is_no_measure() -> None:
    with pytest.raises(ResultUnavailable):
        ran_at_ms(client_with({}), record("t", "atlas", started_at_ms=None))


def handler_of(code: str, service: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "boto3", cast(Any, SimpleNamespace(client=lambda _name: service)))
    scope: dict[str, Any] = {}
    exec(compile(code, "index.py", "exec"), scope)
    return scope["handler"]


def test_the_first_function_only_forwards(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[dict[str, str]] = []
    monkeypatch.setenv("NEXT_QUEUE_URL", "queue/second")
    handler = handler_of(FORWARD, SimpleNamespace(send_message=lambda **call: sent.append(call)), monkeypatch)
    handler({"Records": [{"body": "a"}, {"body": "b"}]}, None)
    assert sent == [{"QueueUrl": "queue/second", "MessageBody": body} for body in ("a", "b")]
    assert capsys.readouterr().out


def test_the_second_function_takes_the_time_before_it_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[dict[str, Any]] = []

    def slow_put(**call: Any) -> None:
        time.sleep(0.05)
        items.append(call["Item"])

    monkeypatch.setenv("TABLE", "floor")
    handler = handler_of(NOTE_TIME, SimpleNamespace(put_item=slow_put), monkeypatch)
    before_ms = time.time_ns() // 1_000_000
    handler({"Records": [{"body": json.dumps({"detail": {"sample": "s"}})}]}, None)
    assert items[0]["pk"] == {"S": "s"}
    assert 0 <= int(items[0]["ran_at_ms"]["N"]) - before_ms < 50
