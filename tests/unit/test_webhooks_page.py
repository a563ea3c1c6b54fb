"""docs/webhooks.md is true: its hook works, its forms verify, its numbers are the code's."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushlane.aws.outbound import ANSWER_BYTES_MAX, TIMEOUT_SECONDS
from pushlane.model.callback import CallbackEvent
from pushlane.model.hook import BODY_BYTES_MAX, HmacForm, HookData, HookScheme
from pushlane.router.callback_delivery import RESULT_BYTES_MAX
from pushlane.router.courier import RETRY_AFTER_SECONDS_MAX, WAITS_SECONDS
from tests.unit.api.hooked import Hooks, github

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
KIB = 1024


def documents() -> list[Any]:
    return [json.loads(found) for found in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]


def test_the_hook_of_the_page_makes_a_task_of_its_own_sample() -> None:
    [said] = [one for one in documents() if "scheme" in one]
    hooks = Hooks()
    made = hooks.make(**said)
    assert made.status == 201, made.text
    raw = json.dumps(said["sample"]["body"]).encode()
    headers = {**said["sample"]["headers"], **github(made.body["secret"], raw)}
    answer = hooks.api.call("POST", made.body["path"], raw_body=raw, headers=headers)
    task = hooks.payload(answer.body["task_id"])
    assert (task["task_type"], task["payload"]) == ("review", {"repository": "acme/site", "number": 7})
    assert task["labels"] == {"by": "ada"}


def test_the_form_of_slack_is_one() -> None:
    [form] = re.findall(r'`(\{"signature_header": "x-slack-signature".*?\})`', PAGE)
    said = msgspec.json.decode(form, type=HmacForm)
    assert said.signed == "v0:{timestamp}:{body}"


def test_the_callbacks_of_the_page_are_taken() -> None:
    [submitted] = [one for one in documents() if "callback" in one]
    hooks = Hooks()
    operator = hooks.api.operator("atlas")
    hooks.api.call("POST", "/v1/callbacks/rotate", principal=operator, body={})
    answer = hooks.api.call("POST", "/v1/tasks", principal=hooks.api.producer("atlas"), body=submitted)
    assert answer.status == 202, answer.text


@pytest.mark.parametrize("event", CallbackEvent)
def test_every_event_is_named(event: CallbackEvent) -> None:
    assert f"`{event.value}`" in PAGE


@pytest.mark.parametrize("scheme", HookScheme)
def test_every_scheme_is_named(scheme: HookScheme) -> None:
    assert f"| `{scheme.value}` |" in PAGE


def test_the_numbers_are_those_of_the_code() -> None:
    assert (TIMEOUT_SECONDS, ANSWER_BYTES_MAX) == (10, 64 * KIB)
    assert (RESULT_BYTES_MAX, BODY_BYTES_MAX) == (256 * KIB, 256 * KIB)
    assert WAITS_SECONDS[:-1] == (5, 30, 2 * 60, 5 * 60, 10 * 60, 15 * 60, 20 * 60)
    assert RETRY_AFTER_SECONDS_MAX == 3_600
    assert HookData(name="a", scheme=HookScheme.GITHUB, template={}).tolerance_seconds == 300
    for said in ("within 10 seconds", "first 64 KiB", "up to 256 KiB", "After the eighth try", "(300)"):
        assert said in PAGE
