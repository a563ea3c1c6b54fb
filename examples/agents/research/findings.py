"""From documents to an answer with its sources, each step a function of the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from examples.agents.documents.content import Document
from examples.agents.documents.key_sentences import reads_well
from examples.agents.documents.markdown_text import escaped, target
from examples.agents.documents.reading import read
from examples.agents.documents.sentences import split
from examples.agents.documents.words import stems

QUOTES_A_DOCUMENT_MAX = 8
QUOTES_MAX = 6


class Question(Struct, frozen=True):
    """What is to be found out, and the documents that may say it."""

    question: Annotated[str, Meta(min_length=3)]
    documents: Annotated[tuple[Document, ...], Meta(min_length=1, max_length=200)]


class Quote(Struct, frozen=True):
    """A sentence of a document, verbatim, and how many of the question's words it has."""

    document: str
    line: int
    text: str
    hits: int


class Note(Struct, frozen=True):
    """What one document says about the question."""

    document: str
    title: str
    quotes: tuple[Quote, ...]


class Brief(Struct, frozen=True):
    """The result: a page in Markdown, and the documents that it quotes."""

    question: str
    markdown: str
    sources: tuple[str, ...]
    published_as: str | None = None


def gathered(question: str, document: Document) -> Note:
    """The whole sentences of a document that share a word with the question, the best first; raises DocumentInvalid."""
    asked = set(stems(question))
    described, parsed = read(document)
    quotes = [
        Quote(document.name, sentence.line, sentence.text, len(asked.intersection(stems(sentence.text))))
        for sentence in split(parsed.body)
        if reads_well(sentence.text)
    ]
    best = sorted((quote for quote in quotes if quote.hits), key=lambda quote: (-quote.hits, quote.line))
    return Note(document.name, described.title, tuple(best[:QUOTES_A_DOCUMENT_MAX]))


def analysed(notes: Iterable[Note]) -> tuple[Quote, ...]:
    """The quotes that say most, from all documents, none twice."""
    ranked = sorted(
        (quote for note in notes for quote in note.quotes), key=lambda quote: (-quote.hits, quote.document, quote.line)
    )
    first: dict[str, Quote] = {}
    for quote in ranked:
        first.setdefault(quote.text, quote)
    return tuple(first.values())[:QUOTES_MAX]


def written(question: str, notes: Sequence[Note], chosen: Sequence[Quote]) -> str:
    """The page."""
    titles = {note.document: note.title for note in notes}
    said = [f"- {escaped(quote.text)} [{escaped(titles[quote.document])}]({_place(quote)})" for quote in chosen]
    body = said or [f"None of {len(notes)} documents says anything about it."]
    return "\n".join([f"# {escaped(question)}", "", *body, ""])


def _place(quote: Quote) -> str:
    return f"{target(quote.document)}#L{quote.line}"
