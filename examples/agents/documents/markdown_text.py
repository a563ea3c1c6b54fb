"""Writes plain text into Markdown so that it renders as exactly that text, and names into link targets."""

from __future__ import annotations

import re
from urllib.parse import quote

_ALWAYS = re.compile(r"[\\`*\[\]<~]")
_LONE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=[#a-zA-Z])")
_BLOCK_START = re.compile(r"\A(?P<number>\d{0,9})(?P<sign>[#+\-=.):>])")
_HEADING_END = re.compile(r"#(?=#*\Z)")


def escaped(text: str) -> str:
    """`text`, one line, for use in a paragraph, list item, heading or link text."""
    text = _ALWAYS.sub(r"\\\g<0>", text)
    for special in (_LONE_UNDERSCORE, _ENTITY, _HEADING_END):
        text = special.sub(r"\\\g<0>", text)
    return _BLOCK_START.sub(r"\g<number>\\\g<sign>", text)


def target(name: str) -> str:
    """A document's name, a path or an http address, as a link target; anything else cannot become a scheme."""
    is_address = name.startswith(("http://", "https://"))
    return quote(name, safe="/:?=&%~@" if is_address else "/~@", errors="replace")
