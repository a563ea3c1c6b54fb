"""The comparison with the floor, and the floor's own function."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pushlane.local.api_floor import FORWARD_CALL
from pushlane.local.submit_to_start import compared


def test_the_ratio_is_of_the_medians() -> None:
    found = compared([100, 120, 900], [80, 80, 81], [100, 100, 100])
    assert (found.pushlane.p50, found.floor.p50) == (120, 80)
    assert (found.ratio_to_floor_p50, found.ratio_to_committing_floor_p50) == (1.5, 1.2)
    assert found.ratio_to_floor_p95 == round(900 / 81, 3)


def test_the_floor_forwards_what_it_was_called_with_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, str]] = []
    boto3 = ModuleType("boto3")
    boto3.__dict__["client"] = lambda _service: SimpleNamespace(send_message=lambda **call: sent.append(call))
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    monkeypatch.setenv("NEXT_QUEUE_URL", "queue/only")
    space: dict[str, Any] = {}
    exec(FORWARD_CALL, space)
    answer = space["handler"]({"body": '{"detail": {"sample": "s"}}'}, None)
    assert answer["statusCode"] == 202
    assert sent == [{"QueueUrl": "queue/only", "MessageBody": '{"detail": {"sample": "s"}}'}]
