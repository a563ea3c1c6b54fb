"""The sorted list in blocks against a plain sorted list."""

import random
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.inmemory.ordered import Ordered

_WORDS = st.lists(st.text("abc", min_size=1, max_size=3), unique=True)


@given(_WORDS, st.text("abc", max_size=2))
def test_it_is_a_sorted_list(words: list[str], start: str) -> None:
    ordered: Ordered[str] = Ordered()
    for word in words:
        ordered.add(word)
    gone = words[::2]
    for word in gone:
        ordered.remove(word)
    assert list(ordered.since(start)) == sorted(word for word in words if word not in gone and word >= start)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_split_emptied_and_stay_in_order(seed: int) -> None:
    ordered: Ordered[str] = Ordered()
    words = [f"{number:05d}" for number in range(3_000)]
    random.Random(seed).shuffle(words)
    for word in words:
        ordered.add(word)
    left = sorted(words)[500:]
    for word in sorted(words)[:500]:
        ordered.remove(word)
    assert list(islice(ordered.since(""), 10)) == left[:10]
    assert list(ordered.since("02900")) == [word for word in left if word >= "02900"]
    for word in left:
        ordered.remove(word)
    assert list(ordered.since("")) == []
