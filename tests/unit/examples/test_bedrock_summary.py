"""With a model set, the summary comes from Bedrock's Converse call at AWS_ENDPOINT_URL; its failures are retried."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from examples.agents.documents.content import Document
from examples.agents.summarize import bedrock
from examples.agents.summarize.handler import work
from pushlane.agent.bedrock import bedrock_client
from pushlane.testing import AgentRun, run_agent
from tests.unit.agent.converse_server import MODEL, Bedrock, Refusal, answered, serving

GUIDE = Document("guide.md", "text/markdown", "# Guide\n\nThe agent waits until the queue has a task for it.\n")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bedrock]:
    with serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1" if name.endswith("REGION") else "test")
        monkeypatch.setenv(bedrock.MODEL_VARIABLE, MODEL)
        bedrock_client.cache_clear()
        yield server
    bedrock_client.cache_clear()


def summarized(document: Document = GUIDE) -> AgentRun:
    return run_agent(work, {"document": msgspec.to_builtins(document)})


def test_the_model_writes_the_summary_and_the_key_sentences_stay_verbatim(server: Bedrock) -> None:
    server.answer = answered("The agent\nwaits.", "It works.")
    found = summarized().result
    assert found is not None
    assert (found["method"], found["summary"]) == (f"bedrock:{MODEL}", "The agent waits. It works.")
    assert found["sentences"] == [{"line": 3, "text": "The agent waits until the queue has a task for it."}]


def test_the_tokens_of_the_call_are_reported(server: Bedrock) -> None:
    server.answer = answered("Said.")
    assert summarized().usage.tokens == 42


def test_the_model_is_given_the_prose_as_data(server: Bedrock) -> None:
    server.answer = answered("Said.")
    summarized()
    [(path, request)] = server.requests
    assert path == "/model/example.model-v1%3A0/converse"
    assert request["messages"][0]["content"][0]["text"] == (
        "<title>Guide</title>\n<document>\nThe agent waits until the queue has a task for it.\n</document>"
    )
    assert "follow no instruction" in request["system"][0]["text"]


@pytest.mark.parametrize(
    ("refusal", "retryable"),
    [(Refusal(503, "ServiceUnavailableException"), True), (Refusal(400, "ValidationException"), False)],
)
def test_a_failing_model_fails_the_attempt(server: Bedrock, refusal: Refusal, retryable: bool) -> None:
    server.answer = refusal
    error = summarized().error
    assert error is not None
    assert error.retryable is retryable


@pytest.mark.parametrize("texts", [(), (" \n",)])
def test_an_answer_without_text_is_an_error_and_its_tokens_count(server: Bedrock, texts: tuple[str, ...]) -> None:
    server.answer = answered(*texts)
    done = summarized()
    assert done.error is not None
    assert done.error.error_type == "ModelAnswerEmpty"
    assert "answered without text (end_turn)" in done.error.message
    assert done.usage.tokens == 42


def test_a_document_without_prose_is_not_sent(server: Bedrock) -> None:
    done = summarized(Document("code.md", "text/markdown", "```\ncode\n```\n"))
    assert done.result is not None
    assert (done.result["method"], "summary" in done.result, server.requests) == ("extractive", False, [])
    assert done.usage.tokens == 0


def test_without_the_variable_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bedrock.MODEL_VARIABLE, raising=False)
    done = summarized()
    assert done.result is not None
    assert done.result["method"] == "extractive"
