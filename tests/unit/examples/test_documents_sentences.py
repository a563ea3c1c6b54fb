"""Sentences are verbatim, keep their lines, and survive abbreviations, code and wrapped lines."""

from __future__ import annotations

import pytest

from examples.agents.documents.content import Document, Paragraph, Sentence
from examples.agents.documents.reading import read
from examples.agents.documents.sentences import PIECE_CHARACTERS_MAX, split


def texts(markdown: str) -> list[str]:
    return [sentence.text for sentence in split(read(Document("doc", "text/markdown", markdown))[1].body)]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("One is here. Two is here!\nThree?", ["One is here.", "Two is here!", "Three?"]),
        ("Use a queue, e.g. SQS. Or i.e. a topic, cf. Fig. 3 there.", None),
        ("It takes approx. 3 s, max. 5 s. Then it ends.", ["It takes approx. 3 s, max. 5 s.", "Then it ends."]),
        ("Dr. A. Smith met Mr. Jones. They spoke.", ["Dr. A. Smith met Mr. Jones.", "They spoke."]),
        ("Version 3.11.7 runs. boto3 is next.", ["Version 3.11.7 runs.", "boto3 is next."]),
        ("Call `log('Hi. There')` now. **Then** *stop*.", ["Call log('Hi. There') now.", "Then stop."]),
        ("Wait... and see. Done (really). Yes.", ["Wait... and see.", "Done (really).", "Yes."]),
        ("- first item\n- second item.", ["first item", "second item."]),
        ("1. 2. 3.\n\n---\n\n***", []),
    ],
)
def test_splitting(markdown: str, expected: list[str] | None) -> None:
    whole = ["Use a queue, e.g. SQS.", "Or i.e. a topic, cf. Fig. 3 there."]
    assert texts(markdown) == (whole if expected is None else expected)


def test_a_sentence_has_the_line_where_its_first_word_stands() -> None:
    paragraph = Paragraph(10, "One ends\nhere. Two\n\nbegins above. Three.")
    assert split([paragraph]) == (
        Sentence(10, "One ends here."),
        Sentence(11, "Two begins above."),
        Sentence(13, "Three."),
    )


def test_a_paragraph_without_end_is_split_in_bounded_time() -> None:
    found = split([Paragraph(1, "(" * (3 * PIECE_CHARACTERS_MAX) + " a. B c.")])
    assert found[-1].text.endswith("B c.")
