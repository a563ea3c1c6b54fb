"""Key sentences and key terms are what a reader would mark."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from examples.agents.documents.content import Document, Summary
from examples.agents.documents.extraction import extract
from examples.agents.documents.key_sentences import reads_well
from examples.agents.documents.key_terms import KEY_TERMS_MAX, key_terms
from examples.agents.documents.ranking import centrality, similarity, vectors
from examples.agents.documents.summary import summarize
from examples.agents.documents.words import stem, stems

BEES = """\
# Keeping bees

A bee colony lives through the winter on the honey that it stored in the summer.
It is small.

- honey, wax, pollen

See [the equipment that every keeper of bees needs](kit.md).

## Feeding

When a bee colony has too little honey, the keeper feeds the colony with sugar syrup in the autumn.
The keeper weighs the hive to learn how much honey the bee colony still has.

## Paint

The outside of the box may be painted in any colour.
"""


def summary(text: str) -> Summary:
    return summarize(extract(Document("doc.md", "text/markdown", text)))


def test_key_sentences_are_whole_central_and_in_order() -> None:
    assert [(sentence.line, sentence.text) for sentence in summary(BEES).sentences] == [
        (3, "A bee colony lives through the winter on the honey that it stored in the summer."),
        (12, "When a bee colony has too little honey, the keeper feeds the colony with sugar syrup in the autumn."),
        (13, "The keeper weighs the hive to learn how much honey the bee colony still has."),
    ]


@pytest.mark.parametrize(
    ("sentences", "chosen"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (20, 3), (32, 4), (40, 5), (200, 5)],
)
def test_three_to_five_are_chosen_and_fewer_only_of_fewer(sentences: int, chosen: int) -> None:
    text = "# Title\n\n" + "\n\n".join(
        f"The station number{n} sends its reading number{n} north." for n in range(sentences)
    )
    assert len(summary(text).sentences) == chosen


def test_fragments_fill_up_where_whole_sentences_are_too_few() -> None:
    found = summary(
        "# List\n\n- red paint\n- blue paint\n- The shop sells paint to all of its customers.\n- green paint"
    )
    assert len(found.sentences) == 3
    assert "The shop sells paint to all of its customers." in {sentence.text for sentence in found.sentences}


def test_a_sentence_said_twice_is_chosen_once() -> None:
    found = summary("\n\n".join(["We answer every letter within a week."] * 9))
    assert [(sentence.line, sentence.text) for sentence in found.sentences] == [
        (1, "We answer every letter within a week.")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The scheduler gives each tenant its share of the slots.", True),
        ("the scheduler gives each tenant its share of the slots.", False),
        ("The scheduler gives each tenant its share of the following:", False),
        ("Too short a sentence.", False),
        ("Red, green, blue, yellow, orange, purple, brown, black.", False),
        ("The registry is determined by the scope (see scope.", False),
        ("The " + "long " * 45 + "sentence is not of use to anyone.", False),
    ],
)
def test_what_reads_well(text: str, expected: bool) -> None:
    assert reads_well(text) is expected


def test_key_terms_are_said_often_and_differ_in_their_words() -> None:
    terms = extract(Document("doc.md", "text/markdown", BEES)).key_terms
    assert {"honey", "keeper"} <= {word.lower() for term in terms for word in term.split()}
    assert len(terms) <= KEY_TERMS_MAX
    for index, term in enumerate(terms):
        before = {stem(word) for other in terms[:index] for word in other.split()}
        assert not {stem(word) for word in term.split()} <= before


@pytest.mark.parametrize("text", ["", "...", "1 2 3", "\u2022", "a"])
def test_no_terms_where_there_are_no_words(text: str) -> None:
    assert key_terms([text]) == ()


def test_inflections_share_a_stem() -> None:
    assert {stem("queue"), stem("Queues"), stem("queued")} == {"queu"}
    assert stems("The keeper's bees, and a BEE") == ("keeper", "bee", "bee")


def test_central_sentences_score_highest_and_scores_are_shares() -> None:
    points = vectors([("a", "b"), ("a", "b", "c"), ("b", "c"), ("x", "y"), ()])
    scores = centrality(points, [1.0] * 5)
    assert max(scores) == scores[1]
    assert math.isclose(math.fsum(scores), 1.0)
    assert similarity(points[0], points[3]) == 0
    assert math.isclose(similarity(points[1], points[1]), 1.0)


def test_bias_decides_between_equals() -> None:
    points = vectors([("a", "b"), ("a", "b")])
    first, second = centrality(points, [1.0, 3.0])
    assert second > first


def test_results_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from examples.agents.documents.extraction import extract\n"
        "from examples.agents.documents.content import Document\n"
        "from examples.agents.documents.summary import summarize\n"
        f"print(summarize(extract(Document('d', 'text/markdown', {BEES!r}))))"
    )

    def output(seed: str) -> str:
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        return subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert output("1") == output("2")
