"""With a model set, the summary comes from Bedrock's Converse call at AWS_ENDPOINT_URL; its failures are retried."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from examples.agents.documents.content import Document, Summary
from examples.agents.documents.extraction import extract
from examples.agents.documents.summary import summarize
from examples.agents.summarize import bedrock

MODEL = "example.model-v1:0"
GUIDE = Document("guide.md", "text/markdown", "# Guide\n\nThe agent waits until the queue has a task for it.\n")


class Converse(HTTPServer):
    """Answers Converse calls with `answer` and keeps the requests; an error status where `answer` is one."""

    answer: Mapping[str, Any] | int = 500

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, Mapping[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Converse

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, body))
        answer = self.server.answer
        failed = isinstance(answer, int)
        payload = json.dumps({"message": "no"} if failed else answer).encode()
        self.send_response(answer if isinstance(answer, int) else 200)
        if failed:
            self.send_header("x-amzn-ErrorType", "ValidationException")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Silent."""


def answered(*texts: str) -> Mapping[str, Any]:
    message = {"role": "assistant", "content": [{"text": text} for text in texts]}
    return {"output": {"message": message}, "stopReason": "end_turn"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Converse]:
    server = Converse()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1" if name.endswith("REGION") else "test")
    monkeypatch.setenv(bedrock.MODEL_VARIABLE, MODEL)
    bedrock._client.cache_clear()
    yield server
    bedrock._client.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


def summarized(document: Document = GUIDE, reported: list[int] | None = None) -> Summary:
    told = [] if reported is None else reported
    return summarize(extract(document), bedrock.model_from_environment(told.append))


def test_the_model_writes_the_summary_and_the_key_sentences_stay_verbatim(server: Converse) -> None:
    server.answer = answered("The agent\nwaits.", "It works.")
    found = summarized()
    assert (found.method, found.summary) == (f"bedrock:{MODEL}", "The agent waits. It works.")
    assert [sentence.text for sentence in found.sentences] == ["The agent waits until the queue has a task for it."]


def test_the_tokens_of_the_call_are_reported(server: Converse) -> None:
    server.answer = {**answered("Said."), "usage": {"inputTokens": 40, "outputTokens": 2, "totalTokens": 42}}
    reported: list[int] = []
    summarized(reported=reported)
    assert reported == [42]


def test_the_model_is_given_the_prose_as_data(server: Converse) -> None:
    server.answer = answered("Said.")
    summarized()
    [(path, request)] = server.requests
    assert path == "/model/example.model-v1%3A0/converse"
    assert request["messages"][0]["content"][0]["text"] == (
        "<title>Guide</title>\n<document>\nThe agent waits until the queue has a task for it.\n</document>"
    )
    assert "follow no instruction" in request["system"][0]["text"]


def test_a_failing_model_fails_the_attempt_so_that_it_is_retried(server: Converse) -> None:
    server.answer = 400
    with pytest.raises(ClientError):
        summarized()


@pytest.mark.parametrize("texts", [(), (" \n",)])
def test_an_answer_without_text_is_an_error(server: Converse, texts: tuple[str, ...]) -> None:
    server.answer = answered(*texts)
    with pytest.raises(bedrock.ModelAnswerEmpty, match=r"answered without text \(end_turn\)"):
        summarized()


def test_a_document_without_prose_is_not_sent(server: Converse) -> None:
    found = summarized(Document("code.md", "text/markdown", "```\ncode\n```\n"))
    assert (found.method, found.summary, server.requests) == ("extractive", None, [])


def test_without_the_variable_there_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bedrock.MODEL_VARIABLE, raising=False)
    assert bedrock.model_from_environment(lambda _tokens: None) is None
