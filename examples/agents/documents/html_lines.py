"""Marks an HTML source with its line numbers, because the parser keeps no positions.

After a tag on a new line a comment `<!--line:12-->` is inserted: comments are allowed everywhere and change no
structure. The scan follows the HTML tokenizer (comments, quoted attributes, raw-text elements), in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MARK = re.compile(r"line:(\d+)")
STRAY_MARK = re.compile(r"<!--line:\d+-->")

_OPENER = re.compile(r"<(?:(?P<comment>!--)|(?P<bogus>[!?]|/(?![a-zA-Z]))|(?P<tag>/?[a-zA-Z]))")
_CONSTRUCTS = {
    "comment": re.compile(r"<!--(?:-?>|.*?--!?>)", re.DOTALL),
    "bogus": re.compile(r"<[^>]*+>"),
    "tag": re.compile(r"""</?(?P<name>[^\s/>]++)(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>"""),
}
_RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})


def marked(source: str, first_line: int) -> str:
    """`source` with a comment after every tag that begins or ends a new line; its first line is `first_line`."""
    pieces: list[str] = []
    line, copied = first_line, 0
    for end in _tag_ends(source):
        pieces.append(source[copied:end])
        breaks = source.count("\n", copied, end)
        if breaks:
            line += breaks
            pieces.append(f"<!--line:{line}-->")
        copied = end
    return "".join(pieces) + source[copied:]


def _tag_ends(source: str) -> Iterator[int]:
    """Offsets just after each tag or comment; an unclosed one ends the scan, as it ends the tokenizer's output."""
    position = 0
    while opener := _OPENER.search(source, position):
        construct = _CONSTRUCTS[opener.lastgroup or ""].match(source, opener.start())
        if not construct:
            return
        position = construct.end()
        if opener["tag"] and construct["name"].lower() in _RAW_TEXT and not construct[0].startswith("</"):
            position = _raw_text_end(source, construct["name"], position)
        else:
            yield position


def _raw_text_end(source: str, name: str, start: int) -> int:
    closing = re.compile(rf"</{re.escape(name)}", re.IGNORECASE).search(source, start)
    return closing.start() if closing else len(source)
