"""Converse with an attempt's context, against an HTTP server: the real client of boto3 reads what it answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pushlane.agent import TaskContext, agent
from pushlane.agent.bedrock import bedrock_client, converse, converse_stream
from pushlane.model.attempt import Order, OutcomeKind
from pushlane.testing import AgentRun, InMemoryDispatcher, run_agent
from tests.unit.agent.converse_server import MODEL, Bedrock, Events, Refusal, answered, serving, texts

ASKED = [{"role": "user", "content": [{"text": "What is a lane?"}]}]


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    with serving() as server:
        yield server


def asked(bedrock: Bedrock, **said: Any) -> AgentRun:
    """One Converse call by an agent."""

    @agent(task_types=("ask",))
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        return converse(ctx, bedrock.client(), modelId=MODEL, messages=ASKED, **said)["output"]["message"]

    return run_agent(work)


def streamed(bedrock: Bedrock, orders: tuple[Order, ...] = (), **said: Any) -> AgentRun:
    """The same by ConverseStream; the first attempt only, when it is ended early."""

    @agent(task_types=("ask",))
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if ctx.attempt > 1:
            return {"restored": ctx.restored}
        answer = converse_stream(ctx, bedrock.client(), modelId=MODEL, messages=ASKED, **said)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    return run_agent(work, checkpoint={"asked": 1}, orders=orders)


def test_the_tokens_of_an_answer_are_reported(bedrock: Bedrock) -> None:
    bedrock.answer = answered("A queue.")
    done = asked(bedrock, inferenceConfig={"maxTokens": 9})
    assert done.result == {"role": "assistant", "content": [{"text": "A queue."}]}
    assert done.usage.tokens == 42
    [(path, request)] = bedrock.requests
    assert path == "/model/example.model-v1%3A0/converse"
    assert request == {"messages": ASKED, "inferenceConfig": {"maxTokens": 9}}


@pytest.mark.parametrize(
    ("refusal", "error_type", "retryable"),
    [
        (Refusal(400, "ValidationException"), "Permanent", False),
        (Refusal(429, "ThrottlingException"), "Throttled", True),
        (Refusal(429, "ModelNotReadyException"), "Throttled", True),
        (Refusal(429, "SomethingNewException"), "Throttled", True),
        (Refusal(400, "ServiceQuotaExceededException"), "Throttled", True),
        (Refusal(408, "ModelTimeoutException"), "ModelUnavailable", True),
        (Refusal(424, "ModelErrorException"), "ModelUnavailable", True),
        (Refusal(500, "InternalServerException"), "ModelUnavailable", True),
        (Refusal(503, "ServiceUnavailableException"), "ModelUnavailable", True),
        (Refusal(403, "AccessDeniedException"), "AccessDeniedException", True),
    ],
)
@pytest.mark.parametrize("call", [asked, streamed])
def test_a_refusal_becomes_what_the_scheduler_acts_on(
    bedrock: Bedrock, refusal: Refusal, error_type: str, retryable: bool, call: Any
) -> None:
    bedrock.answer = refusal
    done = call(bedrock)
    assert done.kind is OutcomeKind.FAILED
    assert (done.error.error_type, done.error.retryable) == (error_type, retryable)
    assert len(bedrock.requests) == 1  # a second try is the scheduler's


@pytest.mark.parametrize(
    ("headers", "seconds"), [({}, 15), ({"Retry-After": "7"}, 7), ({"Retry-After": "tomorrow"}, 15)]
)
def test_a_throttled_call_names_the_quota_and_the_time(
    bedrock: Bedrock, headers: Mapping[str, str], seconds: float
) -> None:
    bedrock.answer = Refusal(429, "ThrottlingException", headers)
    done = asked(bedrock, resource="model-tpm")
    assert done.error is not None
    assert done.error.message == f"model-tpm: a provider refused the call; try again after {seconds} s"
    assert done.usage.tokens == 0


def test_a_throttled_call_pauses_the_resource_for_everybody(bedrock: Bedrock) -> None:
    bedrock.answer = Refusal(429, "ThrottlingException", {"Retry-After": "30"})

    @agent(task_types=("echo",))
    def work(ctx: TaskContext, _payload: Mapping[str, Any]) -> Any:
        return converse(ctx, bedrock.client(), resource="model-tpm", modelId=MODEL, messages=ASKED)["output"]

    dispatcher = InMemoryDispatcher()
    dispatcher.set_policy(resources={"model-tpm": {"kind": "rate", "per_minute": 1000}})
    dispatcher.register(work, agent_id="one")
    task_id = dispatcher.submit(task_type="echo", resources={"model-tpm": 10})
    dispatcher.run_until_idle()
    bedrock.answer = answered("Now.")
    dispatcher.advance(29)
    assert len(bedrock.requests) == 1
    dispatcher.advance(3)
    assert len(bedrock.requests) == 2
    assert dispatcher.result(task_id) == {"message": {"role": "assistant", "content": [{"text": "Now."}]}}


def test_a_stream_is_read_aloud_in_chunks_and_adds_up_to_the_same_answer(bedrock: Bedrock) -> None:
    bedrock.answer = texts("A la", "ne is ", "a queue", ".")
    done = streamed(bedrock, chunk_characters=8, kind="said")
    assert [(one.kind, one.data) for one in done.emits] == [
        ("said", {"text": "A lane is "}),
        ("said", {"text": "a queue."}),
    ]
    message = {"role": "assistant", "content": [{"text": "A lane is a queue."}]}
    assert done.result is not None
    assert (done.result["output"], done.result["stopReason"]) == ({"message": message}, "end_turn")
    assert done.result["usage"]["totalTokens"] == 42
    assert done.usage.tokens == 42
    assert bedrock.requests[0][0].endswith("/converse-stream")


def test_a_streams_tools_and_reasoning_are_put_together(bedrock: Bedrock) -> None:
    def part(index: int, **delta: Any) -> tuple[str, Mapping[str, Any]]:
        return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}

    tool = {"toolUseId": "t1", "name": "look_up"}
    bedrock.answer = Events(
        [
            ("messageStart", {"role": "assistant"}),
            part(0, reasoningContent={"text": "Let me "}),
            part(0, reasoningContent={"text": "look."}),
            part(0, reasoningContent={"signature": "xyz"}),
            ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": tool}}),
            part(1, toolUse={"input": '{"term": '}),
            part(1, toolUse={"input": '"lane"}'}),
            ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {**tool, "toolUseId": "t2"}}}),
            ("messageStop", {"stopReason": "tool_use"}),
        ]
    )
    done = streamed(bedrock)
    assert done.result is not None
    assert done.result["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Let me look.", "signature": "xyz"}}},
        {"toolUse": {**tool, "input": {"term": "lane"}}},
        {"toolUse": {**tool, "toolUseId": "t2", "input": {}}},
    ]


@pytest.mark.parametrize(
    ("order", "kind", "result"),
    [
        (Order.PREEMPT, OutcomeKind.SUCCEEDED, {"restored": {"asked": 1}}),
        (Order.CANCEL, OutcomeKind.CANCELLED, None),
    ],
)
def test_a_stream_obeys_an_order_between_two_chunks(
    bedrock: Bedrock, order: Order, kind: OutcomeKind, result: Mapping[str, Any] | None
) -> None:
    bedrock.answer = texts(*("word " * 100 for _ in range(50)))
    done = streamed(bedrock, (Order.CONTINUE, order), chunk_characters=400)
    assert (done.kind, done.result) == (kind, result)
    assert len(done.emits) == 2


def test_what_a_stream_used_before_it_was_ended_is_counted(bedrock: Bedrock) -> None:
    """Bedrock says it at the end only: until then four characters count as a token."""
    bedrock.answer = texts(*(100 * "word" for _ in range(50)))
    done = streamed(bedrock, (Order.CANCEL,), chunk_characters=400)
    assert done.usage.tokens == (400 + len("What is a lane?")) // 4


def test_an_error_in_the_middle_of_a_stream(bedrock: Bedrock) -> None:
    cut = texts("half", ended=False).events
    for name, error_type in (
        ("throttlingException", "Throttled"),
        ("modelStreamErrorException", "ModelUnavailable"),
        ("validationException", "Permanent"),
    ):
        bedrock.answer = Events([*cut, (name, {"message": "no"})])
        done = streamed(bedrock)
        assert done.error is not None
        assert (name, done.error.error_type) == (name, error_type)
        assert done.usage.tokens == (len("half") + len("What is a lane?")) // 4


def test_the_client_leaves_retries_to_the_scheduler(monkeypatch: pytest.MonkeyPatch, bedrock: Bedrock) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1" if name.endswith("REGION") else "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bedrock.url)
    bedrock.answer = Refusal(503, "ServiceUnavailableException")
    bedrock_client.cache_clear()
    try:
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            bedrock_client().converse(modelId=MODEL, messages=ASKED)
    finally:
        bedrock_client.cache_clear()
    assert len(bedrock.requests) == 1


def test_importing_it_needs_no_sdk() -> None:
    script = "import sys, pushlane.agent.bedrock; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
