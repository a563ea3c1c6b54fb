"""Where JSON nests too deep: to the very level, in objects, arrays and both."""

from typing import Any

import pytest

from pushlane.model.nesting import NESTING_MAX, nests_too_deep


def nested(levels: int, *, arrays: bool, inmost: Any) -> Any:
    value = inmost
    for level in range(levels):
        value = [value] if arrays and level % 2 else {"a": value, "b": 1}
    return value


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("inmost", [None, "text", 1.5])
def test_the_limit_is_exact(arrays: bool, inmost: Any) -> None:
    assert not nests_too_deep(nested(NESTING_MAX, arrays=arrays, inmost=inmost))
    assert nests_too_deep(nested(NESTING_MAX + 1, arrays=arrays, inmost=inmost))


@pytest.mark.parametrize("inmost", [{}, []])
def test_an_empty_object_or_array_is_a_level_too(inmost: Any) -> None:
    assert not nests_too_deep(nested(NESTING_MAX - 1, arrays=True, inmost=inmost))
    assert nests_too_deep(nested(NESTING_MAX, arrays=True, inmost=inmost))


@pytest.mark.parametrize("value", [None, 1, "text" * 100, {}, [], [{}] * 1_000, {"a": [[1], [2]]}])
def test_wide_is_not_deep(value: Any) -> None:
    assert not nests_too_deep(value)


def test_it_does_not_recurse_itself() -> None:
    assert nests_too_deep(nested(100_000, arrays=False, inmost=None))
