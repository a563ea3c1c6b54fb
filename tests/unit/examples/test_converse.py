"""The converse agent: a streamed answer that can be watched, with its tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from examples.agents.converse.handler import work
from pushlane.agent.bedrock import bedrock_client
from pushlane.model.attempt import OutcomeKind
from pushlane.testing import run_agent
from tests.unit.agent.converse_server import MODEL, Bedrock, Refusal, serving, texts

PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "text": "What is a lane?"}]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bedrock]:
    with serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1" if name.endswith("REGION") else "test")
        bedrock_client.cache_clear()
        yield server
    bedrock_client.cache_clear()


def test_it_answers_while_others_watch(server: Bedrock) -> None:
    server.answer = texts("A lane is ", "a tenant's queue. " * 20)
    done = run_agent(work, {**PAYLOAD, "system": "Be brief.", "answer_tokens_max": 50})
    text = "A lane is " + "a tenant's queue. " * 20
    assert done.result == {"text": text, "stop_reason": "end_turn", "tokens": 42}
    assert "".join(one.data["text"] for one in done.emits) == text
    assert done.usage.tokens == 42
    [(_, request)] = server.requests
    assert request["system"] == [{"text": "Be brief."}]
    assert request["inferenceConfig"] == {"maxTokens": 50}


def test_a_refused_call_is_tried_again_by_the_scheduler(server: Bedrock) -> None:
    server.answer = Refusal(429, "ThrottlingException")
    done = run_agent(work, PAYLOAD)
    assert done.error is not None
    assert (done.error.error_type, done.error.retryable) == ("Throttled", True)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"messages": []}, "payload.messages"),
        ({"messages": [{"role": "user", "text": ""}]}, "payload.messages[0].text"),
    ],
)
def test_a_conversation_without_a_question_fails_for_good(changed: dict[str, Any], field: str) -> None:
    done = run_agent(work, {**PAYLOAD, **changed})
    assert done.kind is OutcomeKind.FAILED
    assert done.error is not None
    assert (done.error.retryable, done.error.message.split(": ")[0]) == (False, field)
