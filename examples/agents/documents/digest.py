"""What the digest agent is given and gives back: a summary becomes a section, sections become a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from examples.agents.documents.content import DocumentInvalid, Section, Summary, folded
from examples.agents.documents.digest_page import page, section
from examples.agents.documents.payloads import payload_of, value_of


class _Wrapped(Struct, frozen=True):
    section: Section


class _Pages(Struct, frozen=True):
    sections: Annotated[tuple[dict[str, Any], ...], Meta(min_length=1)]
    title: str = "Digest"


def digest(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{"section": ...}` for a summary, `{"markdown": ...}` for `{"sections": [...], "title": ...}`."""
    if "sections" not in payload:
        return {"section": payload_of(section(value_of(payload, Summary)))}
    pages = value_of(payload, _Pages)
    if not folded(pages.title):
        raise DocumentInvalid("title: empty; give the page a title or leave the field out")
    return {"markdown": page(pages.title, [_section(index, part) for index, part in enumerate(pages.sections)])}


def _section(index: int, part: Mapping[str, Any]) -> Section:
    try:
        return value_of(part, _Wrapped).section if "section" in part else value_of(part, Section)
    except DocumentInvalid as error:
        raise DocumentInvalid(f"sections[{index}]: {error}") from error
