"""Reads HTML into outline, links and prose with source lines; scripts, code blocks, tables and menus are not prose."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace
from selectolax.lexbor import LexborHTMLParser, LexborNode

from examples.agents.documents.content import Heading, Link, Paragraph, Parsed, folded
from examples.agents.documents.html_lines import MARK, STRAY_MARK, marked
from examples.agents.documents.prose import Prose


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_INLINE = _tags(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small "
    "span strike strong sub sup time tt u var wbr"
)
_CODE = frozenset({"code", "kbd", "samp", "tt", "var"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NEVER_PROSE = _tags(
    "audio button canvas datalist iframe math noscript object pre script select style svg template textarea "
    "title video xmp"
)
_LINKS_ONLY = frozenset({"footer", "nav", "table"})
_PERMALINKS = ("¶", "#", "§")


def parse(text: str, first_line: int = 1) -> Parsed:
    """Read `text`, a page or a fragment whose lines end with a bare newline and begin at `first_line`."""
    parser = LexborHTMLParser(marked(text, first_line))
    reader = _Reader(first_line)
    if parser.root is not None:
        reader.read(parser.root)
    return Parsed(
        outline=tuple(reader.outline),
        links=tuple(reader.links),
        body=tuple(reader.body),
        declared_title=reader.declared_title,
    )


def base_href(text: str) -> str:
    """The page's own `<base href>`, or an empty string."""
    base = LexborHTMLParser(text).css_first("base[href]")
    return (base.attributes.get("href") or "") if base else ""


def _visit(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node twice, (node, entering), in document order; iterative, for documents nest without limit."""
    end = root.mem_id  # nodes compare by their whole serialised subtree, so identity is asked for
    node: LexborNode | None = root
    while node is not None:
        yield node, True
        if node.first_child is not None:
            node = node.first_child
            continue
        yield node, False
        while node is not None and node.mem_id != end and node.next is None:
            node = node.parent
            if node is not None:
                yield node, False
        node = node.next if node is not None and node.mem_id != end else None


class _OpenLink(Struct, frozen=True):
    """A link whose end is not reached; `start` is the length of the block's text before it."""

    href: str
    start: int
    line: int


class _Reader:
    """Collects while walking; `_muted` counts the open elements whose text is not prose."""

    def __init__(self, first_line: int) -> None:
        self.outline: list[Heading] = []
        self.links: list[Link] = []
        self.body: list[Paragraph] = []
        self.declared_title = ""
        self._line = first_line
        self._prose = Prose()
        self._muted = 0
        self._links_only = 0
        self._code = 0
        self._link: _OpenLink | None = None
        self._alt = ""

    def read(self, root: LexborNode) -> None:
        for node, entering in _visit(root):
            if node.is_comment_node:
                self._sync(node, entering=entering)
            elif node.is_text_node:
                self._text(node, entering=entering)
            elif node.is_element_node:
                self._element(node, node.tag or "", 1 if entering else -1)
        self._end_block("")

    def _sync(self, node: LexborNode, *, entering: bool) -> None:
        mark = MARK.fullmatch(node.comment_content or "") if entering else None
        if mark:
            self._line = int(mark[1])
            if self._link and self._link.start == len(self._prose):
                self._link = replace(self._link, line=self._line)

    def _text(self, node: LexborNode, *, entering: bool) -> None:
        if not entering:
            return
        text = STRAY_MARK.sub("", node.text_content or "")
        if not self._muted:
            self._prose.add(text, self._line, code=self._code > 0)
        self._line += text.count("\n")

    def _element(self, node: LexborNode, tag: str, step: int) -> None:
        self._code += step * (tag in _CODE)
        if tag not in _INLINE:
            self._end_block(tag if step < 0 else "")
        self._muted += step * (tag in _NEVER_PROSE or "hidden" in node.attributes)
        self._links_only += step * (tag in _LINKS_ONLY)
        if tag == "a":
            self._anchor(node, opening=step > 0)
        elif tag == "img" and step > 0:
            self._alt += node.attributes.get("alt") or ""
        elif tag == "title" and step > 0 and not self.declared_title:
            self.declared_title = folded(node.text())

    def _anchor(self, node: LexborNode, *, opening: bool) -> None:
        if opening:
            href = (node.attributes.get("href") or "").strip()
            self._link, self._alt = _OpenLink(href, len(self._prose), self._line), ""
        elif self._link:
            link, self._link = self._link, None
            self._link_closed(link, self._prose.text_since(link.start))

    def _link_closed(self, link: _OpenLink, seen: str) -> None:
        if seen in _PERMALINKS and link.href.startswith("#"):
            self._prose.drop_last_word()
        elif link.href and not self._muted:
            self.links.append(Link(text=seen or folded(self._alt) or link.href, href=link.href, line=link.line))

    def _end_block(self, closed_tag: str) -> None:
        """End the block of text collected so far; the tag that closes it tells whether it was a heading."""
        block, self._prose = self._prose.paragraph(), Prose()
        if self._link:
            self._link = replace(self._link, start=0)
        if block is None:
            return
        if closed_tag in _HEADINGS:
            self.outline.append(Heading(level=_HEADINGS[closed_tag], text=folded(block.text), line=block.line))
        elif not self._links_only:
            self.body.append(block)
