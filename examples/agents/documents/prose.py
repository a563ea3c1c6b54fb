"""Collects the rendered text of one block, folding whitespace but keeping where source lines and code spans begin."""

from __future__ import annotations

import re

from examples.agents.documents.content import Paragraph, folded

_RUN = re.compile(r"\S+|\s+")


class Prose:
    """The text of one block under construction; `line` is the 1-based source line of its first word, 0 while empty."""

    def __init__(self) -> None:
        self.line = 0
        self._pieces: list[str] = []
        self._length = 0
        self._line_now = 0
        self._spaced = False
        self._code: list[tuple[int, int]] = []

    def add(self, text: str, line: int, *, code: bool = False) -> None:
        """Append `text`, whose first character stands on source line `line`."""
        start = self._length + int(self._spaced and self._length > 0)
        for run in _RUN.findall(text):
            if run.isspace():
                self._spaced = True
                line += run.count("\n")
            else:
                self._add_word(run, line)
        if code and self._length > start:
            self._code.append((start, self._length))

    def space(self) -> None:
        """Note that whitespace, such as a line break, separates what was added from what comes."""
        self._spaced = True

    def drop_last_word(self) -> None:
        """Take back the last word, a permalink sign that is drawn but not meant to be read."""
        self._length -= len(self._pieces.pop())

    def text_since(self, length: int) -> str:
        """What was added after the text was `length` long, folded."""
        return folded("".join(self._pieces)[length:])

    def __len__(self) -> int:
        return self._length

    def paragraph(self) -> Paragraph | None:
        """The block as a paragraph, or None if nothing but whitespace was added."""
        if not self._length:
            return None
        return Paragraph(line=self.line, text="".join(self._pieces), code=tuple(self._code))

    def _add_word(self, word: str, line: int) -> None:
        if not self._length:
            self.line = self._line_now = line
        elif self._spaced:
            self._append("\n" * (line - self._line_now) or " ")
            self._line_now = max(line, self._line_now)
        self._append(word)
        self._spaced = False

    def _append(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)
