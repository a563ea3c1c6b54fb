"""Writes summaries as Markdown: one section for each document, and a page of sections with an index on top."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from examples.agents.documents.content import Heading, Section, Summary, folded
from examples.agents.documents.markdown_text import escaped, target

OUTLINE_MAX = 40
"""A section lists only so many headings and says how many it leaves out."""

_NOT_SLUG = re.compile(r"[^\w]+")


def section(summary: Summary) -> Section:
    """The section of one document: its title, outline, key sentences with links to their lines, and key terms."""
    path = target(summary.document.name)
    blocks = [f"## {escaped(summary.document.title)}", _about(summary, path), *_parts(summary, path)]
    return Section(
        name=summary.document.name,
        title=summary.document.title,
        markdown="\n\n".join(blocks) + "\n",
    )


def page(title: str, sections: Sequence[Section]) -> str:
    """The page `title` with an index that links to each of `sections` by an anchor of its own."""
    anchors = [_anchor(number, part.title) for number, part in enumerate(sections, start=1)]
    index = [
        f"{number}. [{escaped(part.title)}](#{anchor}) - {escaped(part.name)}"
        for number, (part, anchor) in enumerate(zip(sections, anchors, strict=True), start=1)
    ]
    bodies = [f'<a id="{anchor}"></a>\n\n{part.markdown}' for part, anchor in zip(sections, anchors, strict=True)]
    return "\n".join([f"# {escaped(folded(title))}\n", *index, "", "\n".join(bodies)])


def _about(summary: Summary, path: str) -> str:
    lines = summary.document.lines
    return f"[{escaped(folded(summary.document.name))}]({path}), {lines} {'line' if lines == 1 else 'lines'}"


def _parts(summary: Summary, path: str) -> Iterator[str]:
    """The parts that have something in them; a document with none says so."""
    outline = _outline(summary)
    if summary.summary:
        yield f"**Summary** ({escaped(summary.method)}). {escaped(folded(summary.summary))}"
    if summary.sentences:
        quoted = (f"- {escaped(said.text)} [L{said.line}]({path}#L{said.line})" for said in summary.sentences)
        yield "**Key sentences**\n\n" + "\n".join(quoted)
    if outline:
        yield "**Outline**\n\n" + "\n".join(_nested(outline, path))
    if summary.key_terms:
        yield "**Key terms:** " + ", ".join(map(escaped, summary.key_terms))
    if not (summary.sentences or outline):
        yield "This document has no prose and no headings to show."


def _outline(summary: Summary) -> Sequence[Heading]:
    """The headings, without the one that is the document's title."""
    first = next((heading for heading in summary.outline if heading.text == summary.document.title), None)
    return [heading for heading in summary.outline if heading is not first]


def _nested(outline: Sequence[Heading], path: str) -> Iterator[str]:
    """Nested list items; a skipped level does not indent twice, for that would make a code block."""
    open_levels: list[int] = []
    for heading in outline[:OUTLINE_MAX]:
        while open_levels and open_levels[-1] >= heading.level:
            open_levels.pop()
        yield f"{'  ' * len(open_levels)}- {escaped(heading.text)} [L{heading.line}]({path}#L{heading.line})"
        open_levels.append(heading.level)
    if len(outline) > OUTLINE_MAX:
        yield f"- and {len(outline) - OUTLINE_MAX} more"


def _anchor(number: int, title: str) -> str:
    """Unique by its number, readable by its title."""
    return f"{number}-{_NOT_SLUG.sub('-', title.lower()).strip('-')}".rstrip("-")
