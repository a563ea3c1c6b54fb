"""The research agent: reads documents one by one, analyses what they say about a question, writes and publishes a page.

Payload: `{"question", "documents": [{"name", "media_type", "text"}, ...]}`. Result: `{"question", "markdown",
"sources", "published_as"}`. It is a generator: each `yield` is a checkpoint, and nothing before one is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec
from msgspec import Struct

from examples.agents.documents.content import DocumentInvalid
from examples.agents.research.findings import Brief, Note, Question, Quote, analysed, gathered, written
from examples.agents.research.publishing import Publisher, publisher_from_environment
from pushlane.agent import AgentDefinition, Order, Permanent, TaskContext, agent
from pushlane.wiring.agents import lambda_handler


class Done(Struct, frozen=True, omit_defaults=True):
    """The agent's state: what each step has found. None: the step is still to do."""

    notes: tuple[Note, ...] = ()
    chosen: tuple[Quote, ...] | None = None
    markdown: str | None = None


def researcher(publisher: Callable[[], Publisher | None]) -> AgentDefinition:
    """The agent, with a place for its pages (none: they are in the result only)."""

    @agent(task_types=("research",), stall_seconds=60, payload=Question, result=Brief)
    def research(ctx: TaskContext, payload: Question) -> Generator[Done, Order, Brief]:
        done = msgspec.convert(ctx.restored or {}, Done)
        for document in payload.documents[len(done.notes) :]:
            try:
                note = gathered(payload.question, document)
            except DocumentInvalid as error:
                raise Permanent(f"{document.name}: {error}") from error
            ctx.emit("read", {"document": note.document, "quotes": len(note.quotes)})
            done = msgspec.structs.replace(done, notes=(*done.notes, note))
            ctx.progress(0.8 * len(done.notes) / len(payload.documents))
            yield done
        if done.chosen is None:
            done = msgspec.structs.replace(done, chosen=analysed(done.notes))
            yield done
        if done.markdown is None:
            done = msgspec.structs.replace(done, markdown=written(payload.question, done.notes, done.chosen or ()))
            ctx.emit("page", {"markdown": done.markdown})
            yield done
        # After the last checkpoint: an attempt that dies here publishes again, under the same key.
        place = publisher()
        published_as = None if place is None else place.publish(ctx.step("page"), done.markdown or "")
        sources = sorted({quote.document for quote in done.chosen or ()})
        return Brief(payload.question, done.markdown or "", tuple(sources), published_as)

    return research


work = researcher(publisher_from_environment)
handler = lambda_handler(work)
