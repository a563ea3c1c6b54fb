"""Strict JSON: what is refused, and the field that is named."""

import pytest
from msgspec import Struct

from pushlane.api.problems import Problem
from pushlane.api.strict import OneOf, decode, read_json

DEEP = "[" * 64 + "]" * 64
TOO_DEEP = "[" * 65 + "]" * 65


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        (b"", "$", "not_json"),
        (b"{", "$", "not_json"),
        (b'{"a":1} x', "$", "not_json"),
        (b"\xef\xbb\xbf{}", "$", "not_json"),
        (b'{"a":"\xff"}', "$", "not_json"),
        (b'{"a":"\xed\xa0\x80"}', "$", "not_json"),
        (b'{"a":1,"a":1}', "$.a", "duplicate_key"),
        (b'{"a":{"b":[0,{"c":1,"d":2,"c":3}]}}', "$.a.b[1].c", "duplicate_key"),
        (b'{"a":{"x":1,"x":2},"a":1}', "$.a", "duplicate_key"),
        (b'{"a":[NaN]}', "$.a[0]", "out_of_range"),
        (b'{"a":-Infinity}', "$.a", "out_of_range"),
        (b'{"a":1e999}', "$.a", "out_of_range"),
        (b'{"a":-1e999}', "$.a", "out_of_range"),
        (b'{"a":' + b"9" * 5_000 + b"}", "$.a", "out_of_range"),
        (b'{"a":9223372036854775808}', "$.a", "out_of_range"),
        (b'{"a":"\\ud800"}', "$.a", "surrogate"),
        (b'{"\\udfff":1}', "$", "surrogate"),
        (TOO_DEEP.encode(), "$" + "[0]" * 64, "too_deep"),
        (b"[" * 100_000, "$", "too_deep"),
        (b'{"a":' * 100_000, "$", "too_deep"),
    ],
)
def test_refused_and_named(raw: bytes, field: str, code: str) -> None:
    with pytest.raises(Problem) as refused:
        read_json(raw)
    [error] = refused.value.errors
    assert (refused.value.status, error.field, error.code) == (422, field, code)


@pytest.mark.parametrize(
    "raw",
    [
        b"9223372036854775807",
        b"-9223372036854775807",
        b'"\\ud83d\\ude00"',
        DEEP.encode(),
        b'{"a":{"a":{"a":1}}}',
        b"1.7976931348623157e308",
        b'"\\u0000"',
    ],
)
def test_taken(raw: bytes) -> None:
    read_json(raw)


class Cat(Struct, frozen=True, forbid_unknown_fields=True):
    """A body with a mark."""

    purrs: int


class Dog(Struct, frozen=True, forbid_unknown_fields=True):
    """The other one."""

    barks: dict[str, int] = {}


ANIMAL = OneOf(types=(Cat, Dog), marks=("purrs",))


def test_one_of_several_is_told_by_its_mark() -> None:
    assert decode(b'{"purrs":1}', ANIMAL) == Cat(1)
    assert decode(b"{}", ANIMAL) == Dog()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"purrs":"x"}', "$.purrs"),
        (b'{"purrs":1,"barks":{}}', "$.barks"),
        (b'{"barks":{"loud":"x"}}', "$.barks.loud"),
        (b"[]", "$"),
        (b"null", "$"),
    ],
)
def test_a_misfit_names_its_field(raw: bytes, field: str) -> None:
    with pytest.raises(Problem) as refused:
        decode(raw, ANIMAL)
    assert refused.value.errors[0].field == field
