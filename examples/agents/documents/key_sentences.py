"""Chooses the three to five sentences that tell most of a document, each verbatim."""

from __future__ import annotations

import re
from collections.abc import Sequence

from examples.agents.documents import sentences
from examples.agents.documents.content import Extract, Sentence
from examples.agents.documents.ranking import Vector, centrality, similarity, vectors
from examples.agents.documents.words import STOP_WORDS, stems

CHOSEN_MIN = 3
CHOSEN_MAX = 5
RANKED_MAX = 400
"""Only the first so many sentences are compared, for every one is compared with every other."""

_SENTENCES_PER_CHOSEN = 8
_WORDS_MIN, _WORDS_COMFORTABLE, _WORDS_MAX = 6, 30, 45
_REDUNDANCY_WEIGHT = 0.6
_ENDS = re.compile(r"[.!?\u3002\uff01\uff1f]['\"\u201d\u2019)\]]*$")
_STARTS = re.compile(r"['\"\u201c\u2018(\[]*[^\W_]")
_PLAIN_WORD = re.compile(r"[(\"'\u201c\u2018]*[^\W\d_]+(?:[-'\u2019/][^\W\d_]+)*[.,;:!?)\"'\u201d\u2019]*")
_LEANS_BACK = re.compile(
    r"(?:And|Both|But|Each|Else|He|Here|Hence|However|It|Its|Or|She|So|Such|That|Then|There|These|They|This|Those|Thus)\b"
    r"|(?:\S+ ){1,2}(?:it|she|he|them|they|these|those)\b"
)


def key_sentences(extract: Extract) -> tuple[Sentence, ...]:
    """Three to five sentences of the body in document order, fewer only when it has fewer; well-formed ones first."""
    found = _without_repeats(sentences.split(extract.body))[:RANKED_MAX]
    if not found:
        return ()
    labels = {link.text for link in extract.links} | {heading.text for heading in extract.outline}
    whole = [reads_well(sentence.text) and sentence.text not in labels for sentence in found]
    points = vectors([stems(sentence.text) for sentence in found])
    scores = centrality(points, _bias(extract, found, whole))
    return tuple(found[index] for index in sorted(_chosen(whole, points, scores)))


def reads_well(text: str) -> bool:
    """Whether `text` is a whole sentence of prose: 6 to 45 words, most of them plain, begun and ended as one.

    A fifth must be words such as `the` or `is`: what has none is a list or a caption, whatever its punctuation.
    """
    words = text.split()
    plain = sum(1 for word in words if _PLAIN_WORD.fullmatch(word))
    balanced = text.count("(") == text.count(")")
    joining = sum(1 for word in words if word.lower().strip("(),;:.!?\"'") in STOP_WORDS)
    whole = bool(_STARTS.match(text)) and not text[:1].islower() and bool(_ENDS.search(text))
    sized = _WORDS_MIN <= len(words) <= _WORDS_MAX
    return whole and balanced and sized and plain >= 0.7 * len(words) and joining >= 0.2 * len(words)


def _without_repeats(found: Sequence[Sentence]) -> list[Sentence]:
    first: dict[str, Sentence] = {}
    for sentence in found:
        first.setdefault(sentence.text, sentence)
    return list(first.values())


def _bias(extract: Extract, found: Sequence[Sentence], whole: Sequence[bool]) -> list[float]:
    """What the document stresses: its opening, the openings of its paragraphs, the words of its headings and terms."""
    stressed = {*stems(" ".join(extract.key_terms)), *stems(" ".join(heading.text for heading in extract.outline))}
    openings = {sentence for paragraph in extract.body for sentence in sentences.split([paragraph])[:1]}
    weights = []
    for place, (sentence, is_whole) in enumerate(zip(found, whole, strict=True)):
        shared = len(stressed.intersection(stems(sentence.text)))
        weight = 1 + 3 / (1 + place / 2) + 0.5 * (sentence in openings) + 0.25 * min(shared, 4)
        weights.append(weight * _standing(sentence.text) * (1.0 if is_whole else 0.1))
    return weights


def _standing(text: str) -> float:
    """How well a sentence stands alone: one that leans on the one before it or is long does so badly."""
    leaning = 0.4 if _LEANS_BACK.match(text) else 1.0
    long = 0.7 if len(text.split()) > _WORDS_COMFORTABLE else 1.0
    return leaning * long


def _chosen(whole: Sequence[bool], points: Sequence[Vector], scores: Sequence[float]) -> list[int]:
    """Whole sentences first; anything else only where these are fewer than the least that is chosen."""
    wanted = min(max(CHOSEN_MIN, len(whole) // _SENTENCES_PER_CHOSEN), CHOSEN_MAX)
    chosen = _spread([index for index, is_whole in enumerate(whole) if is_whole], [], points, scores, wanted)
    rest = [index for index, is_whole in enumerate(whole) if not is_whole]
    return _spread(rest, chosen, points, scores, CHOSEN_MIN)


def _spread(
    candidates: Sequence[int], chosen: Sequence[int], points: Sequence[Vector], scores: Sequence[float], wanted: int
) -> list[int]:
    """`chosen` filled up to `wanted` with central candidates that do not repeat it (maximal marginal relevance).

    Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998.
    """
    top = max(scores)
    picked, left = list(chosen), list(candidates)

    def marginal(index: int) -> tuple[float, int]:
        repeated = max((similarity(points[index], points[other]) for other in picked), default=0.0)
        return scores[index] / top - _REDUNDANCY_WEIGHT * repeated, -index

    while left and len(picked) < wanted:
        best = max(left, key=marginal)
        picked.append(best)
        left.remove(best)
    return picked
