"""Markdown and HTML are read into outline, links and prose, each at its own source line."""

from __future__ import annotations

import pytest

from examples.agents.documents.content import (
    TEXT_CHARACTERS_MAX,
    Document,
    DocumentInvalid,
    Heading,
    Link,
    MediaType,
    Paragraph,
    Parsed,
)
from examples.agents.documents.reading import read

GUIDE = """\
---
title: Declared
layout: page
---
Intro before any heading, with **strong** words and `code. Not an end`.

# The *real* title

A paragraph that is wrapped
over two lines with a [link](other.md#x) in it.

- item one
- [x] item two
  continues here

| a | b |
|---|---|
| [cell](t.md) | not prose |

```python
not_prose = "# not a heading"
```

    also not prose

Setext heading
--------------

> [!NOTE]
> A quoted *remark*.
"""

PAGE = """\
<!doctype html>
<html>
<head>
<title>Declared
 title</title>
<base href="/docs/">
<script>
var html = "<p>not prose</p>";
</script>
</head>
<body>
<nav><a href="home.html">Home</a> not prose</nav>
<h1
  class="big">Real
  title<a href="#real">\u00b6</a></h1>
<p>One <b>bold</b>word. <!-- a
comment --> Two <code>a
b</code> end.
<p hidden>not prose
<p>Three
 <a href="next.html"><img alt="Next page"></a>
<pre>
not prose
</pre>
after the code
<ul><li>four<li>five
</ul>
<table><tr><td>not prose <a href="//cdn.example/x">cell</a></table>
<a href="javascript:alert(1)">six</a>
</body>
"""


def parsed(text: str, media_type: MediaType = "text/markdown", url_base: str | None = None) -> Parsed:
    return read(Document(name="doc", media_type=media_type, text=text, url_base=url_base))[1]


def title(text: str, media_type: MediaType = "text/markdown") -> str:
    return read(Document(name="dir/doc.md", media_type=media_type, text=text))[0].title


def test_markdown_outline_has_rendered_text_and_lines() -> None:
    assert parsed(GUIDE).outline == (Heading(1, "The real title", 7), Heading(2, "Setext heading", 26))


def test_markdown_prose_is_rendered_and_leaves_out_code_and_tables() -> None:
    assert parsed(GUIDE).body == (
        Paragraph(5, "Intro before any heading, with strong words and code. Not an end.", code=((48, 64),)),
        Paragraph(9, "A paragraph that is wrapped\nover two lines with a link in it."),
        Paragraph(12, "item one"),
        Paragraph(13, "item two\ncontinues here"),
        Paragraph(30, "A quoted remark."),
    )


def test_markdown_links_come_from_prose_and_tables() -> None:
    links = parsed(GUIDE, url_base="https://example.org/docs/guide.md").links
    assert links == (
        Link("link", "https://example.org/docs/other.md#x", 10),
        Link("cell", "https://example.org/docs/t.md", 18),
    )


@pytest.mark.parametrize(
    ("text", "media_type"),
    [("one\n[two\nthree](x)", "text/markdown"), ("one\n<a\n href=x>\ntwo three</a>", "text/html")],
)
def test_a_link_over_several_lines_stands_where_it_begins(text: str, media_type: MediaType) -> None:
    expected_line = 2 if media_type == "text/markdown" else 3
    assert parsed(text, media_type).links == (Link("two three", "x", expected_line),)


def test_links_stay_relative_without_a_base() -> None:
    assert [link.href for link in parsed(GUIDE).links] == ["other.md#x", "t.md"]


def test_a_link_around_an_image_reads_as_its_alternative_text() -> None:
    assert parsed("[![Build  status](badge.svg)](ci.html)\n").links == (Link("Build status", "ci.html", 1),)
    assert parsed("[![Build status](badge.svg)](ci.html)\n").body == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a `b\nc` d\ne", "a b\nc d\ne"),
        ('[a](\n"x") b\nc', "a\nb\nc"),
        ("a <b\nc> d\ne", "a\nd\ne"),
        ("&lt;x\\*\ny < z", "<x*\ny < z"),
        ("a\\\nb", "a\nb"),
        ("> a\n> b\nlazy", "a\nb\nlazy"),
        ("a<br>b <script>hidden</script> c", "a b c"),
    ],
)
def test_each_rendered_line_break_stands_where_the_source_line_ends(source: str, expected: str) -> None:
    assert [paragraph.text for paragraph in parsed(source).body] == [expected]


def test_html_inside_markdown_keeps_the_lines_of_the_file() -> None:
    found = parsed('Intro.\n\n<div align="center">\n\n<h1>Name</h1>\n<p>Slogan\nhere</p>\n\n</div>\n')
    assert found.outline == (Heading(1, "Name", 5),)
    assert found.body == (Paragraph(1, "Intro."), Paragraph(6, "Slogan\nhere"))


def test_html_outline_drops_the_permalink() -> None:
    assert parsed(PAGE, "text/html").outline == (Heading(1, "Real title", 14),)


def test_html_prose_leaves_out_scripts_menus_code_tables_and_hidden_text() -> None:
    assert parsed(PAGE, "text/html").body == (
        Paragraph(16, "One boldword.\nTwo a\nb end.", code=((18, 21),)),
        Paragraph(20, "Three"),
        Paragraph(25, "after the code"),
        Paragraph(26, "four"),
        Paragraph(26, "five"),
        Paragraph(29, "six"),
    )


def test_html_links_resolve_against_the_page_and_never_run() -> None:
    assert parsed(PAGE, "text/html", "https://example.org/a/b.html").links == (
        Link("Home", "https://example.org/docs/home.html", 12),
        Link("Next page", "https://example.org/docs/next.html", 21),
        Link("cell", "https://cdn.example/x", 28),
    )


@pytest.mark.parametrize(
    ("text", "media_type", "expected"),
    [
        ("## Second\n\n# First\n", "text/markdown", "First"),
        ("### Only\n", "text/markdown", "Only"),
        ("#\n\n## \n\ntext", "text/markdown", "dir/doc.md"),
        ('---\ntitle: "From the front"\n---\ntext', "text/markdown", "From the front"),
        ("<title>From\n the head</title><p>text", "text/html", "From the head"),
        ("<h1> </h1><h2>Shown</h2>", "text/html", "Shown"),
        ("<p>text", "text/html", "dir/doc.md"),
    ],
)
def test_the_title_is_the_best_there_is(text: str, media_type: MediaType, expected: str) -> None:
    assert title(text, media_type) == expected


def test_lines_are_counted_alike_for_every_line_end() -> None:
    for ending in ("\n", "\r\n", "\r"):
        described, found = read(Document("doc", "text/markdown", "\ufeff# T\n\none\ntwo\n".replace("\n", ending)))
        assert (described.lines, found.body) == (4, (Paragraph(3, "one\ntwo"),))


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_an_empty_document_is_refused(text: str) -> None:
    with pytest.raises(DocumentInvalid, match=r"^document\.text is empty"):
        parsed(text)


def test_a_document_without_a_name_or_too_long_is_refused() -> None:
    with pytest.raises(DocumentInvalid, match=r"^document\.name is empty"):
        read(Document(name=" ", media_type="text/markdown", text="x"))
    with pytest.raises(DocumentInvalid, match="1000001 characters"):
        parsed("x" * (TEXT_CHARACTERS_MAX + 1))


def test_deep_nesting_and_unclosed_tags_are_read_in_linear_time() -> None:
    assert parsed("<div>" * 20_000 + "deep", "text/html").body[-1].text == "deep"
    assert parsed("<p>text" + "<a " * 50_000, "text/html").body == (Paragraph(1, "text"),)
