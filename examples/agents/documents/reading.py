"""Reads a document of either media type: checks it, picks the parser, names its title, resolves its links."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from msgspec.structs import replace

from examples.agents.documents import html, markdown
from examples.agents.documents.content import (
    TEXT_CHARACTERS_MAX,
    Described,
    Document,
    DocumentInvalid,
    Link,
    Parsed,
    folded,
)

_UNENCODABLE = re.compile("[\ud800-\udfff]")
_SCRIPTED = ("javascript:", "data:", "vbscript:")


def read(document: Document) -> tuple[Described, Parsed]:
    """The document's description and its parts; raises DocumentInvalid when there is nothing to read."""
    text = _checked(document)
    is_html = document.media_type == "text/html"
    parsed = html.parse(text) if is_html else markdown.parse(text)
    base = urljoin(document.url_base or "", html.base_href(text)) if is_html else document.url_base or ""
    described = Described(
        name=document.name,
        title=_title(document.name, parsed),
        media_type=document.media_type,
        lines=text.removesuffix("\n").count("\n") + 1,
    )
    return described, replace(parsed, links=_resolved(parsed.links, base))


def _checked(document: Document) -> str:
    """The text with its line ends made one kind."""
    if not folded(document.name):
        raise DocumentInvalid("document.name is empty: give the document's file name or address")
    if not document.text.strip():
        raise DocumentInvalid("document.text is empty: submit a document with some text in it")
    if len(document.text) > TEXT_CHARACTERS_MAX:
        raise DocumentInvalid(
            f"document.text has {len(document.text)} characters, more than {TEXT_CHARACTERS_MAX}: split the document"
        )
    text = document.text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _UNENCODABLE.sub("\ufffd", text)


def _title(name: str, parsed: Parsed) -> str:
    """The first top heading, else the first heading, else the title declared outside the text, else the name."""
    texts = [heading.text for heading in parsed.outline if heading.level == 1]
    texts += [heading.text for heading in parsed.outline]
    return next(filter(None, [*texts, folded(parsed.declared_title), folded(name)]))


def _resolved(links: tuple[Link, ...], base: str) -> tuple[Link, ...]:
    kept = (link for link in links if not link.href.lower().startswith(_SCRIPTED))
    return tuple(replace(link, href=_joined(base, link.href)) for link in kept)


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:  # not an address at all, such as `http://[`: kept as the author wrote it
        return href
