"""The terms a document is about, found by YAKE from the document's own statistics alone.

Campos et al., "YAKE! Keyword extraction from single documents using multiple local features", Information Sciences
509, 2020.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from examples.agents.documents.words import stem, stems

KEY_TERMS_MAX = 8
SAID_ONCE_MAX = 5
"""Terms that are said only once fill up to so many."""

CHARACTERS_MAX = 6_000
"""Only so much is looked at, headings first: YAKE takes about 14 ms a thousand characters."""

_CANDIDATES_MAX = 60
_WORDS_MAX = 2
_NEVER_TERMS = frozenset({"max", "min", "none", "sec"})
_LETTERS = re.compile(r"[^\W\d_]{2}")


def key_terms(texts: Sequence[str]) -> tuple[str, ...]:
    """At most eight terms of `texts` (headings, then paragraphs), the most telling first.

    Terms said more than once go first, then words said once; one word in several inflections is one term.
    """
    prose = _prose(texts)
    if not _LETTERS.search(prose):
        return ()
    terms = [term for term in _candidates(prose) if _LETTERS.search(term) and term.lower() not in _NEVER_TERMS]
    often = _distinct([], _said_often(terms, prose), KEY_TERMS_MAX)
    return tuple(_distinct(often, [term for term in terms if " " not in term], SAID_ONCE_MAX))


def _said_often(terms: Iterable[str], prose: str) -> list[str]:
    """The terms said more than once: words in any inflection, phrases literally, for two words may just have met."""
    said = Counter(stems(prose))
    lowered = prose.lower()
    words = [term for term in terms if min((said[part] for part in _parts(term)), default=0) > 1]
    return [term for term in words if " " not in term or lowered.count(term.lower()) > 1]


def _prose(texts: Sequence[str]) -> str:
    """The texts as sentences of their own, so that no term spans two of them."""
    return " ".join(f"{text.rstrip(' .:;')}." for text in texts if text.strip())[:CHARACTERS_MAX]


def _candidates(prose: str) -> list[str]:
    # Imported on first use: it brings numpy and networkx, most of a cold start, and a digest needs neither.
    import yake  # type: ignore[import-untyped]  # yake ships no types

    extractor = yake.KeywordExtractor(lan="en", n=_WORDS_MAX, top=_CANDIDATES_MAX)
    scored = sorted((float(score), str(term)) for term, score in extractor.extract_keywords(prose))
    return [term for _, term in scored]


def _parts(term: str) -> frozenset[str]:
    return frozenset(stem(word) for word in term.split())


def _distinct(kept: Sequence[str], terms: Iterable[str], most: int) -> list[str]:
    """`kept` filled up to `most` with the first of `terms` that add a word which none before them has."""
    distinct = list(kept)
    seen = {part for term in kept for part in _parts(term)}
    for term in terms:
        if len(distinct) < most and not _parts(term) <= seen:
            distinct.append(term)
            seen |= _parts(term)
    return distinct
