"""Reads the inline tokens of one Markdown block, following in the source where each piece came from.

markdown-it maps blocks to lines but not inline tokens, and drops line breaks inside code spans and link targets; so a
cursor walks the block's raw source along with the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from markdown_it.token import Token

from examples.agents.documents.content import Link, folded
from examples.agents.documents.prose import Prose

_HIDES_SOURCE = frozenset({"link_close", "image", "html_inline", "code_inline"})
_NEVER_PROSE = ("<script", "<style")


class Inline:
    """The prose and the links of one block; `source` is its raw text, which begins on source line `line`."""

    def __init__(self, source: str, line: int) -> None:
        self.prose = Prose()
        self.links: list[Link] = []
        self._source = source
        self._folded = source.replace("\n", " ")
        self._cursor = 0
        self._line = line
        self._href = ""
        self._link_start = (0, line)
        self._alt = ""
        self._muted = False

    def read(self, tokens: Iterable[Token]) -> None:
        """Consume `tokens`, the block's children, once."""
        previous = ""
        for token in tokens:
            self._read(token, crosses_lines=previous in _HIDES_SOURCE)
            previous = token.type

    def _read(self, token: Token, *, crosses_lines: bool) -> None:
        match token.type:
            case "text":
                self._text(token.content, crosses_lines=crosses_lines)
            case "code_inline":
                self._code(token.content)
            case "softbreak" | "hardbreak":
                self._skip_past("\n")
                self.prose.space()
            case "html_inline":
                self._skip_past(token.content)
                self._html(token.content.lower())
            case "image":
                self._alt += token.content
            case "link_open":
                self._link_opened(str(token.attrs.get("href", "")))
            case "link_close":
                self._link_closed()

    def _text(self, text: str, *, crosses_lines: bool) -> None:
        """Text decoded from escapes or entities is not found in the source: it stands at the cursor then."""
        limit = len(self._source) if crosses_lines else self._line_end()
        found = self._source.find(text, self._cursor, limit)
        if found >= 0:
            self._move(found)
        self._add(text)
        if found >= 0:
            self._move(found + len(text))

    def _code(self, content: str) -> None:
        found = self._folded.find(content, self._cursor)
        if found < 0:
            self._add(content, code=True)
            return
        self._move(found)
        self._add(self._source[found : found + len(content)], code=True)
        self._move(found + len(content))

    def _html(self, tag: str) -> None:
        if tag.startswith("<br"):
            self.prose.space()
        elif tag.startswith(_NEVER_PROSE):
            self._muted = True
        elif tag.startswith(("</script", "</style")):
            self._muted = False

    def _link_opened(self, href: str) -> None:
        self._href, self._alt = href, ""
        self._link_start = len(self.prose), self._line

    def _link_closed(self) -> None:
        length, line = self._link_start
        if self._href:
            text = self.prose.text_since(length) or folded(self._alt) or self._href
            self.links.append(Link(text=text, href=self._href, line=line))

    def _add(self, text: str, *, code: bool = False) -> None:
        if not self._muted:
            self.prose.add(text, self._line, code=code)

    def _line_end(self) -> int:
        end = self._source.find("\n", self._cursor)
        return len(self._source) if end < 0 else end

    def _skip_past(self, piece: str) -> None:
        found = self._source.find(piece, self._cursor)
        if found >= 0:
            self._move(found + len(piece))

    def _move(self, cursor: int) -> None:
        self._line += self._source.count("\n", self._cursor, cursor)
        self._cursor = cursor
