"""Sections and pages are Markdown that renders as meant, with working links and nothing empty."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from examples.agents.documents.content import Described, DocumentInvalid, Heading, Link, Sentence, Summary, folded
from examples.agents.documents.digest import digest
from examples.agents.documents.digest_page import OUTLINE_MAX
from examples.agents.documents.markdown_text import escaped, target
from examples.agents.documents.payloads import payload_of

LINE = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).map(folded).filter(bool)
TRICKY = st.text("\\`*_[]<>#+-=.)(!&~|1a ;:", min_size=1, max_size=20).map(folded).filter(bool)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def summary(**changes: Any) -> Summary:
    given: dict[str, Any] = {
        "document": Described(name="docs/a guide.md", title="A *guide*", media_type="text/markdown", lines=42),
        "outline": (
            Heading(1, "A *guide*", 1),
            Heading(2, "First", 5),
            Heading(4, "Deep", 7),
            Heading(2, "Second", 30),
        ),
        "links": (Link("x", "y", 3),),
        "key_terms": ("queue", "agent_id"),
        "sentences": (Sentence(5, "One [is] said."), Sentence(9, "1. Two is too.")),
        "method": "extractive",
    }
    return Summary(**{**given, **changes})


def section(**changes: Any) -> Mapping[str, Any]:
    written: Mapping[str, Any] = digest(payload_of(summary(**changes)))["section"]
    return written


def test_a_section_shows_title_sentences_outline_and_terms() -> None:
    assert section() == {
        "name": "docs/a guide.md",
        "title": "A *guide*",
        "markdown": """\
## A \\*guide\\*

[docs/a guide.md](docs/a%20guide.md), 42 lines

**Key sentences**

- One \\[is\\] said. [L5](docs/a%20guide.md#L5)
- 1\\. Two is too. [L9](docs/a%20guide.md#L9)

**Outline**

- First [L5](docs/a%20guide.md#L5)
  - Deep [L7](docs/a%20guide.md#L7)
- Second [L30](docs/a%20guide.md#L30)

**Key terms:** queue, agent_id
""",
    }


def test_a_model_summary_names_its_method() -> None:
    written = section(method="bedrock:some.model-v1", summary="It is *short*.\nVery.")["markdown"]
    assert "**Summary** (bedrock:some.model-v1). It is \\*short\\*. Very.\n" in written


def test_what_is_missing_leaves_no_empty_part() -> None:
    bare = section(outline=(), sentences=(), key_terms=())["markdown"]
    assert bare.endswith("\n\nThis document has no prose and no headings to show.\n")
    assert "**" not in bare


def test_a_long_outline_is_cut_and_says_so() -> None:
    outline = tuple(Heading(2, f"Part {number}", number) for number in range(1, OUTLINE_MAX + 4))
    assert "- and 3 more" in section(outline=outline)["markdown"]


def test_a_page_links_to_each_section_by_a_unique_anchor() -> None:
    same = section()
    page = digest({"title": "All & sundry", "sections": [same, {"section": same}]})["markdown"]
    assert page.startswith(
        "# All & sundry\n\n1. [A \\*guide\\*](#1-a-guide) - docs/a guide.md\n2. [A \\*guide\\*](#2-a-guide)"
    )
    anchors = re.findall(r'<a id="([^"]+)"></a>\n\n## ', page)
    assert anchors == re.findall(r"\]\(#([^)]+)\)", page) == ["1-a-guide", "2-a-guide"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, "payload: Object missing required field `document`"),
        ({"sections": []}, "sections: Expected `array` of length >= 1"),
        ({"sections": [{"name": "a", "title": "b"}]}, "sections[0]: payload: Object missing required field `markdown`"),
        ({"sections": [{"section": {"name": "", "title": "b", "markdown": "c"}}]}, "sections[0]: section.name:"),
        ({"sections": [{"name": "a", "title": "b", "markdown": "c"}], "title": " "}, "title: empty"),
    ],
)
def test_a_payload_that_is_neither_is_refused_by_field(payload: Mapping[str, Any], message: str) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        digest(payload)
    assert str(caught.value).startswith(message)


@given(st.one_of(LINE, TRICKY), st.sampled_from(["- {} end", "## {}", "{}", "x {}", "- [{}](y)"]))
def test_escaped_text_renders_as_itself(text: str, place: str) -> None:
    tokens = [token for token in PARSER.parse(place.format(escaped(text))) if token.type == "inline"]
    assert len(tokens) == 1
    rendered = "".join(child.content for child in tokens[0].children or ())
    assert rendered == place.replace("- ", "").replace("## ", "").replace("[{}](y)", "{}").format(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("docs/a.md", "docs/a.md"),
        ("a b(1).md", "a%20b%281%29.md"),
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
    ],
)
def test_a_name_becomes_a_target_that_stays_one(name: str, expected: str) -> None:
    assert target(name) == expected
