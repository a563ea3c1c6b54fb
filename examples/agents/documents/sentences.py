"""Splits paragraphs into sentences that keep their source lines, with segtok's rules for abbreviations and brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from segtok.segmenter import split_multi  # type: ignore[import-untyped]  # segtok ships no types

from examples.agents.documents.content import Paragraph, Sentence, folded

PIECE_CHARACTERS_MAX = 20_000
"""Longer paragraphs are split in pieces of this size first: segtok's bracket rules take quadratic time."""

_ABBREVIATED = re.compile(r"(?:^|[\s(])(?:al|ca|dept|eq|esp|est|etc|incl|max|min|resp|sec|v|ver)\.$", re.IGNORECASE)
_ENDS_ELLIPSIS = re.compile(r"(?:\.\.\.|…)[\"')\]]*$")


def split(paragraphs: Iterable[Paragraph]) -> tuple[Sentence, ...]:
    """Every sentence of `paragraphs`, in order, verbatim with whitespace folded; one without a letter is left out."""
    return tuple(sentence for paragraph in paragraphs for sentence in _sentences(paragraph))


def _sentences(paragraph: Paragraph) -> Iterator[Sentence]:
    start = 0
    for end in _ends(_masked(paragraph)):
        text = folded(paragraph.text[start:end])
        if any(character.isalpha() for character in text):
            skipped = len(paragraph.text[start:end]) - len(paragraph.text[start:end].lstrip())
            yield Sentence(line=paragraph.line + paragraph.text.count("\n", 0, start + skipped), text=text)
        start = end


def _masked(paragraph: Paragraph) -> str:
    """The text with code spans as one word each and line ends as spaces, so that neither ends a sentence."""
    text = re.sub(r"\s", " ", paragraph.text)
    for start, end in paragraph.code:
        text = text[:start] + "x" * (end - start) + text[end:]
    return text


def _ends(text: str) -> Iterator[int]:
    """Offsets where a sentence of `text` ends."""
    end = 0
    for piece in _pieces(text):
        sentence = ""
        for part in split_multi(piece):
            if sentence and not _continues(sentence, part):
                yield end
            end = text.index(part, end) + len(part)
            sentence = part
        if sentence:
            yield end


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE_CHARACTERS_MAX):
        yield text[start : start + PIECE_CHARACTERS_MAX]


def _continues(sentence: str, following: str) -> bool:
    """Whether a split is none: after an abbreviation or an ellipsis the sentence goes on in lower case or a number."""
    goes_on = following[:1].islower() or following[:1].isdigit()
    return goes_on and bool(_ABBREVIATED.search(sentence) or _ENDS_ELLIPSIS.search(sentence))
