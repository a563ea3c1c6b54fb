"""From a document's structure to its summary: verbatim key sentences and, with a model, a text of the model's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from examples.agents.documents.content import DocumentInvalid, Extract, Summary, folded
from examples.agents.documents.extraction import extract, raw_of
from examples.agents.documents.key_sentences import key_sentences
from examples.agents.documents.payloads import value_of

EXTRACTIVE = "extractive"


class Model(Protocol):
    """A language model that can write a summary."""

    @property
    def name(self) -> str:
        """How the result names it."""

    def summarize(self, title: str, text: str) -> str:
        """A few sentences about `text`; raises whatever the model's client raises."""


def extract_of(payload: Mapping[str, Any]) -> Extract:
    """The structure that `payload` carries (a result of the extract agent), or that of the raw document in it."""
    if "body" in payload:
        return value_of(payload, Extract)
    document = payload.get("document")
    if isinstance(document, Mapping) and "text" not in document and "lines" in document:
        raise DocumentInvalid("body: missing beside an extracted document; pass the whole result of `extract`")
    return extract(raw_of(payload))


def summarize(extracted: Extract, model: Model | None = None) -> Summary:
    """The summary of an extracted document; without `model` it is extractive only."""
    text = "\n\n".join(folded(paragraph.text) for paragraph in extracted.body)
    written = model.summarize(extracted.document.title, text) if model and text else None
    return Summary(
        document=extracted.document,
        outline=extracted.outline,
        links=extracted.links,
        key_terms=extracted.key_terms,
        sentences=key_sentences(extracted),
        method=f"bedrock:{model.name}" if model and written else EXTRACTIVE,
        summary=written,
    )
