"""The values that documents are made of; their fields are also the wire form of the agents' payloads and results."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

MediaType = Literal["text/markdown", "text/html"]
Line = Annotated[int, Meta(ge=1)]
Title = Annotated[str, Meta(min_length=1)]

TEXT_CHARACTERS_MAX = 1_000_000
"""Longer documents are refused: parsing time and the result's size grow with them."""


class DocumentInvalid(ValueError):
    """The document or payload can never be worked on; the message names the field and what to do."""


class Document(Struct, frozen=True):
    """A document as a producer submits it; `url_base` makes relative links absolute."""

    name: Title
    media_type: MediaType
    text: str
    url_base: str | None = None


class Described(Struct, frozen=True):
    """What is known about a document without its text; `lines` counts source lines."""

    name: Title
    title: Title
    media_type: MediaType
    lines: Line


class Heading(Struct, frozen=True):
    """One entry of the outline; `level` is 1 to 6, `line` is 1-based."""

    level: Annotated[int, Meta(ge=1, le=6)]
    text: str
    line: Line


class Link(Struct, frozen=True):
    """A link with the text that a reader sees."""

    text: str
    href: str
    line: Line


class Paragraph(Struct, frozen=True, omit_defaults=True):
    """One block of prose, rendered: no markup, whitespace folded except that a newline stands where a source line ends.

    So the n-th newline of `text` begins source line `line + n`. `code` lists the [start, end) offsets of code spans.
    """

    line: Line
    text: str
    code: tuple[tuple[int, int], ...] = ()


class Parsed(Struct, frozen=True):
    """What a parser found, in document order; `declared_title` is a title given outside the text."""

    outline: tuple[Heading, ...] = ()
    links: tuple[Link, ...] = ()
    body: tuple[Paragraph, ...] = ()
    declared_title: str = ""


class Sentence(Struct, frozen=True):
    """A sentence, verbatim as rendered with whitespace folded, and the source line where it begins."""

    line: Line
    text: str


class Extract(Struct, frozen=True):
    """The result of the extract agent."""

    document: Described
    outline: tuple[Heading, ...]
    links: tuple[Link, ...]
    key_terms: tuple[str, ...]
    body: tuple[Paragraph, ...]


class Summary(Struct, frozen=True, omit_defaults=True):
    """The result of the summarize agent; `summary` is the model's text, absent with the method `extractive`."""

    document: Described
    outline: tuple[Heading, ...]
    links: tuple[Link, ...]
    key_terms: tuple[str, ...]
    sentences: tuple[Sentence, ...]
    method: str
    summary: str | None = None


class Section(Struct, frozen=True):
    """One document's part of a digest page."""

    name: Title
    title: Title
    markdown: Title


def folded(text: str) -> str:
    """`text` with every run of whitespace made one space."""
    return " ".join(text.split())
