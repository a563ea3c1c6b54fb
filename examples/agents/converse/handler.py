"""The converse agent: a conversation with a model on Amazon Bedrock, whose answer can be watched while it is written.

Payload: `{"model": "<model id>", "messages": [{"role", "text"}, ...], "system"?, "answer_tokens_max"?}`.
Result: `{"text", "stop_reason", "tokens"}`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pushlane.agent import TaskContext, agent
from pushlane.agent.bedrock import bedrock_client, converse_stream
from pushlane.wiring.agents import lambda_handler


class Said(Struct, frozen=True):
    """One turn of the conversation."""

    role: Literal["user", "assistant"]
    text: Annotated[str, Meta(min_length=1)]


class Conversation(Struct, frozen=True):
    """What was said so far; the model says what comes next."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[tuple[Said, ...], Meta(min_length=1)]
    system: str = ""
    answer_tokens_max: Annotated[int, Meta(ge=1)] = 1_000


class Answer(Struct, frozen=True):
    """What the model said, and how many tokens question and answer were."""

    text: str
    stop_reason: str
    tokens: int


@agent(task_types=("converse",), stall_seconds=90, payload=Conversation, result=Answer)
def work(ctx: TaskContext, payload: Conversation) -> Answer:
    """Ask the model; its tokens are reported, and a refusal pauses the quota `bedrock` for everybody."""
    answer = converse_stream(
        ctx,
        bedrock_client(),
        modelId=payload.model,
        messages=[{"role": said.role, "content": [{"text": said.text}]} for said in payload.messages],
        system=[{"text": payload.system}] if payload.system else [],
        inferenceConfig={"maxTokens": payload.answer_tokens_max},
    )
    text = "".join(block.get("text", "") for block in answer["output"]["message"]["content"])
    return Answer(text=text, stop_reason=answer["stopReason"], tokens=answer["usage"]["totalTokens"])


handler = lambda_handler(work)
