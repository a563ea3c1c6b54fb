"""Converse and ConverseStream, with the attempt's context."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pushlane.agent.bedrock.refusals import refusals_explained
from pushlane.agent.bedrock.streamed import StreamedAnswer

if TYPE_CHECKING:
    from pushlane.agent.context import TaskContext

RESOURCE: Final = "bedrock"
# Bedrock's quotas are by the minute, and it does not say when the next call would pass.
RETRY_AFTER_SECONDS: Final = 15.0
CHUNK_CHARACTERS: Final = 200
_CONNECT_SECONDS: Final = 3


class ConverseClient(Protocol):
    """The calls of boto3's `bedrock-runtime` client that are used."""

    def converse(self, **request: Any) -> Mapping[str, Any]: ...

    def converse_stream(self, **request: Any) -> Mapping[str, Any]: ...


@functools.cache
def bedrock_client(*, read_seconds: float = 60.0) -> ConverseClient:
    """A client for Bedrock, one for each process, made on first use. It does not retry by itself: a refused call tells
    the scheduler, which holds back everybody's, and the attempt is tried again when there is a chance.
    """
    import boto3  # on first use: who never calls a model needs no client
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    return cast(ConverseClient, boto3.client("bedrock-runtime", config=config))


def converse(
    ctx: TaskContext,
    client: ConverseClient,
    *,
    resource: str = RESOURCE,
    retry_after_seconds: float = RETRY_AFTER_SECONDS,
    **request: Any,
) -> Mapping[str, Any]:
    """Call Converse with `request` (`modelId`, `messages`, ...) and report the tokens of its answer as used.

    Raises `Throttled` for `resource` (as the policy names the model's quota; `retry_after_seconds` counts where Bedrock
    does not say), `Permanent` for a request that Bedrock calls invalid, and `ModelUnavailable` when it fails, which is
    retried. Other errors of the client pass as they are, and are retried too.
    """
    with refusals_explained(resource, retry_after_seconds):
        answer = client.converse(**request)
    usage = answer.get("usage")
    if usage is not None:
        ctx.used(tokens=int(usage["totalTokens"]))
    return answer


def converse_stream(
    ctx: TaskContext,
    client: ConverseClient,
    *,
    resource: str = RESOURCE,
    retry_after_seconds: float = RETRY_AFTER_SECONDS,
    kind: str = "text",
    chunk_characters: int = CHUNK_CHARACTERS,
    **request: Any,
) -> Mapping[str, Any]:
    """Call ConverseStream; returns what Converse would have. Raises as `converse` does, and `AttemptLost`.

    Those who watch the task read along: an event `kind` with `{"text": ...}` for each `chunk_characters` of text. Each
    of them is a check-in, so that the attempt ends here when it is ordered to yield or to cancel, or when its
    invocation's time is nearly over; the task goes on from its last checkpoint, and the call is made anew. Tokens are
    reported whatever ends the call: as Bedrock says, or by the characters so far (4 for a token) if it could not.
    """
    with refusals_explained(resource, retry_after_seconds):
        stream = client.converse_stream(**request)["stream"]
    said = StreamedAnswer(request)
    try:
        _read_aloud(ctx, said, _events(stream, resource, retry_after_seconds), kind, chunk_characters)
    finally:
        ctx.used(tokens=said.tokens)
    return said.answer


def _events(stream: Any, resource: str, retry_after_seconds: float) -> Iterator[Mapping[str, Any]]:
    """The stream's events; its connection is closed when nobody asks for more."""
    with refusals_explained(resource, retry_after_seconds), closing(stream):
        yield from stream


def _read_aloud(
    ctx: TaskContext, said: StreamedAnswer, events: Iterator[Mapping[str, Any]], kind: str, chunk_characters: int
) -> None:
    text = ""
    for event in events:
        text += said.add(event)
        if len(text) >= chunk_characters:
            ctx.emit(kind, {"text": text})
            text = ""
            ctx.check_in()
            ctx._live.end_if_ordered()
    if text:
        ctx.emit(kind, {"text": text})
