"""Whatever the document: no crash, every sentence verbatim at its line, and the same result again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from examples.agents.documents.content import Document, DocumentInvalid, MediaType, Summary
from examples.agents.documents.digest import digest
from examples.agents.documents.extraction import extract
from examples.agents.documents.payloads import payload_of
from examples.agents.documents.reading import read
from examples.agents.documents.sentences import split
from examples.agents.documents.summary import extract_of, summarize

TEXT = """Queues agents. The e.g. `code. X` *two* __three__ &amp; \\* <b>bold</b> [link](u "t") ![i](s) <br> 3.1 a_b"""
WORDS = TEXT.split(" ")
LINES = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
STARTS = ["", "# ", "## ", "- ", "  - ", "1. ", "> ", "    ", "```\n", "---\n", "| ", "- [ ] ", "\t"]
HTML_STARTS = [*STARTS, "<div>\n", "<!-- ", "<script>\n"]
ENDS = ["\n", "\n\n", "\n===\n", "\n|-|\n"]
PLAIN_BLOCKS = st.builds("{}{}{}".format, st.sampled_from(STARTS), LINES, st.sampled_from(ENDS))
BLOCKS = st.builds("{}{}{}".format, st.sampled_from(HTML_STARTS), LINES, st.sampled_from(ENDS))
TAG_NAMES = [
    "p",
    "h1",
    "h2",
    "li",
    "a",
    "b",
    "pre",
    "table",
    "tr",
    "td",
    "script",
    "title",
    "div",
    "code",
    "svg",
    "nav",
]
TAGS = [f"<{slash}{tag}>" for tag in TAG_NAMES for slash in ("", "/")]
ODD = [
    "<!-- x",
    "-->",
    "<a href='\n",
    "<",
    ">",
    "&lt;",
    "<!doctype html>\n",
    "<p hidden>",
    "\x00",
    "\ufeff",
    "\ud800",
    '<a href="http://[">',
]
PAGES = st.lists(st.one_of(st.sampled_from([*TAGS, *ODD, "\n", " "]), LINES), max_size=30).map("".join)
ANY = st.text(max_size=80)
MARKDOWN = st.one_of(st.lists(BLOCKS, max_size=12).map("".join), ANY, PAGES)
HTML = st.one_of(PAGES, ANY)


def squeezed(text: str) -> str:
    return "".join(text.split())


def submitted(text: str, media_type: MediaType) -> Document:
    return Document(name="doc", media_type=media_type, text=text, url_base="https://example.org/d/")


def summarized(text: str, media_type: MediaType) -> Summary:
    """Through JSON between the agents, as the platform does it."""
    first = json.loads(json.dumps(payload_of(extract(submitted(text, media_type)))))
    return summarize(extract_of(first))


def checked(text: str, media_type: MediaType) -> None:
    try:
        found = summarized(text, media_type)
    except DocumentInvalid:
        assert not text.strip()
        return
    assert found.document.title
    assert len(found.sentences) <= 5
    lines = [each.line for each in found.sentences]
    lines += [each.line for each in found.outline]
    lines += [each.line for each in found.links]
    assert all(1 <= line <= found.document.lines for line in lines)
    assert all(heading.text for heading in found.outline)
    assert found == summarize(extract(submitted(text, media_type)))
    assert digest(payload_of(found))["section"]["markdown"]


@settings(max_examples=150, deadline=None)
@given(MARKDOWN)
def test_any_markdown_is_summarized_or_refused_as_empty(text: str) -> None:
    checked(text, "text/markdown")


@settings(max_examples=150, deadline=None)
@given(HTML)
def test_any_html_is_summarized_or_refused_as_empty(text: str) -> None:
    checked(text, "text/html")


@settings(max_examples=150, deadline=None)
@given(st.lists(PLAIN_BLOCKS, max_size=12).map("".join))
def test_every_sentence_of_markdown_stands_in_what_another_renderer_shows(text: str) -> None:
    assume(text.strip() and not text.startswith("---"))
    shown = LexborHTMLParser(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)).text()
    for sentence in split(read(submitted(text, "text/markdown"))[1].body):
        assert squeezed(sentence.text) in squeezed(shown)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(LINES, min_size=1, max_size=4), min_size=1, max_size=6))
def test_every_paragraph_line_stands_on_its_source_line(paragraphs: list[list[str]]) -> None:
    numbered = iter(range(10_000))
    marked = [[f"w{next(numbered)} {line} w{next(numbered)}" for line in lines] for lines in paragraphs]
    source = "\n\n".join("\n".join(lines) for lines in marked)
    lines = source.split("\n")
    for media_type in ("text/markdown", "text/html"):
        for paragraph in read(submitted(source, media_type))[1].body:
            for offset, shown in enumerate(paragraph.text.split("\n")):
                marks = re.findall(r"\bw\d+\b", shown)
                assert all(mark in lines[paragraph.line - 1 + offset].split() for mark in marks)


@given(st.dictionaries(st.sampled_from(["document", "body", "sections"]), st.one_of(st.none(), st.integers(), ANY)))
def test_any_payload_is_refused_by_field(payload: Mapping[str, Any]) -> None:
    with pytest.raises(DocumentInvalid, match=r"."):
        extract_of(payload)
