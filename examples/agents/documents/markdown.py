"""Reads Markdown (CommonMark with tables and strikethrough) into outline, links and prose with source lines."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from markdown_it import MarkdownIt
from markdown_it.token import Token

from examples.agents.documents import html
from examples.agents.documents.content import Heading, Link, Paragraph, Parsed, folded
from examples.agents.documents.inline import Inline

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<fields>.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_DECLARED_TITLE = re.compile(r"^title:[ \t]*(?P<quote>[\"']?)(?P<title>.*?)(?P=quote)[ \t]*$", re.MULTILINE)
_MARKER = re.compile(r"(?:\[[ xX]\]|\[![A-Za-z]+\])\s+")


def parse(text: str) -> Parsed:
    """Read `text`, whose lines end with a bare newline; code blocks and tables are not prose, their links count."""
    front = _FRONT_MATTER.match(text)
    declared = _DECLARED_TITLE.search(front["fields"] or "") if front else None
    blanked = "\n" * front[0].count("\n") + text[front.end() :] if front else text
    reader = _Reader()
    reader.read(_parser().parse(blanked))
    return Parsed(
        outline=tuple(reader.outline),
        links=tuple(reader.links),
        body=tuple(reader.body),
        declared_title=declared["title"] if declared else "",
    )


@functools.cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


class _Reader:
    """Walks the flat token list; a block's kind is told by the token that opened it."""

    def __init__(self) -> None:
        self.outline: list[Heading] = []
        self.links: list[Link] = []
        self.body: list[Paragraph] = []

    def read(self, tokens: Iterable[Token]) -> None:
        opened, line = "", 1
        for token in tokens:
            line = token.map[0] + 1 if token.map else line
            if token.type == "inline":
                self._read_inline(token, opened, line)
            elif token.type == "html_block":
                self._add(html.parse(token.content, first_line=line))
            elif token.nesting == 1:
                opened = token.tag

    def _read_inline(self, token: Token, opened: str, line: int) -> None:
        inline = Inline(token.content, line)
        inline.read(token.children or ())
        self.links.extend(inline.links)
        block = inline.prose.paragraph()
        if block is None:
            return
        if opened == "p":
            self.body.extend(_without_marker(block))
        elif opened not in ("th", "td"):
            self.outline.append(Heading(level=int(opened[1]), text=folded(block.text), line=block.line))

    def _add(self, fragment: Parsed) -> None:
        self.outline.extend(fragment.outline)
        self.links.extend(fragment.links)
        self.body.extend(fragment.body)


def _without_marker(block: Paragraph) -> tuple[Paragraph, ...]:
    """The block without a leading task-list box or `[!NOTE]`, which renderers draw as symbols; empty if that is all."""
    marker = _MARKER.match(block.text + "\n")
    if not marker:
        return (block,)
    cut = marker.end()
    if cut >= len(block.text):
        return ()
    code = tuple((start - cut, end - cut) for start, end in block.code if start >= cut)
    return (Paragraph(line=block.line + marker[0].count("\n"), text=block.text[cut:], code=code),)
