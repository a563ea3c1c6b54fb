"""From a raw document to its structure: outline, links, key terms and the prose with its source lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from examples.agents.documents.content import Document, Extract, folded
from examples.agents.documents.key_terms import key_terms
from examples.agents.documents.payloads import value_of
from examples.agents.documents.reading import read


class _Raw(Struct, frozen=True):
    document: Document


def raw_of(payload: Mapping[str, Any]) -> Document:
    """The raw document in `payload`; raises DocumentInvalid that names the field that is missing or wrong."""
    return value_of(payload, _Raw).document


def extract(document: Document) -> Extract:
    """The document's structure; raises DocumentInvalid when it is empty or too large."""
    described, parsed = read(document)
    texts = [heading.text for heading in parsed.outline] + [folded(paragraph.text) for paragraph in parsed.body]
    return Extract(
        document=described,
        outline=parsed.outline,
        links=parsed.links,
        key_terms=key_terms(texts),
        body=parsed.body,
    )
