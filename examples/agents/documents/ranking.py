"""Ranks sentences by how central they are: LexRank, biased towards what the document itself stresses.

Erkan and Radev, "LexRank: graph-based lexical centrality as salience in text summarization", JAIR 22, 2004; the bias is
that of Otterbacher, Erkan and Radev, "Biased LexRank: passage retrieval using random walks with question-based priors",
Information Processing and Management 45, 2009. Pure and deterministic.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

Vector = Mapping[str, float]

_RESTARTS = 0.5
_SIMILARITY_MIN = 0.05
_ROUNDS_MAX = 50
_CHANGE_MIN = 1e-6


def vectors(texts: Sequence[Sequence[str]]) -> list[Vector]:
    """Each text's stems as a unit vector of frequency x inverse frequency over `texts`; empty for a text without."""
    spread = Counter(stem for text in texts for stem in set(text))
    weights = {stem: math.log(1 + len(texts) / count) for stem, count in spread.items()}
    return [_unit({stem: count * weights[stem] for stem, count in Counter(text).items()}) for text in texts]


def similarity(one: Vector, other: Vector) -> float:
    """Cosine of two unit vectors, 0 to 1."""
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    return sum(weight * longer[stem] for stem, weight in shorter.items() if stem in longer)


def centrality(sentences: Sequence[Vector], bias: Sequence[float]) -> list[float]:
    """Each sentence's share of a random walk over similar sentences that restarts at one in proportion to `bias`.

    `bias` is positive; the shares add up to 1. Time grows with the square of the number of sentences.
    """
    prior = _shares(bias)
    links = _links(sentences)
    scores = prior
    for _ in range(_ROUNDS_MAX):
        walked = _step(links, scores, prior)
        change = sum(abs(new - old) for new, old in zip(walked, scores, strict=True))
        scores = walked
        if change < _CHANGE_MIN:
            break
    return scores


def _links(sentences: Sequence[Vector]) -> list[list[tuple[int, float]]]:
    """For each sentence the similar ones with the probability of walking there."""
    holders: dict[str, list[tuple[int, float]]] = {}
    for index, vector in enumerate(sentences):
        for stem, weight in vector.items():
            holders.setdefault(stem, []).append((index, weight))
    return [_normalised(_similar(index, vector, holders)) for index, vector in enumerate(sentences)]


def _similar(index: int, vector: Vector, holders: Mapping[str, Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    similarities: dict[int, float] = {}
    for stem, weight in vector.items():
        for other, other_weight in holders[stem]:
            similarities[other] = similarities.get(other, 0.0) + weight * other_weight
    return [(other, found) for other, found in similarities.items() if other != index and found >= _SIMILARITY_MIN]


def _step(links: Sequence[Sequence[tuple[int, float]]], scores: Sequence[float], prior: Sequence[float]) -> list[float]:
    """One step of the walk; a sentence that is like no other restarts it."""
    stranded = sum(score for score, row in zip(scores, links, strict=True) if not row)
    walked = [(_RESTARTS + (1 - _RESTARTS) * stranded) * share for share in prior]
    for score, row in zip(scores, links, strict=True):
        for j, probability in row:
            walked[j] += (1 - _RESTARTS) * score * probability
    return walked


def _normalised(row: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    total = math.fsum(weight for _, weight in row)
    return [(j, weight / total) for j, weight in row]


def _shares(bias: Sequence[float]) -> list[float]:
    total = math.fsum(bias)
    return [weight / total for weight in bias]


def _unit(vector: Vector) -> Vector:
    length = math.sqrt(math.fsum(weight * weight for weight in vector.values()))
    return {stem: weight / length for stem, weight in vector.items()}
