"""The codec of stored values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.aws.marshal import attributes_from_wire, attributes_to_wire, from_wire, to_wire
from pushlane.ports import InvalidRequest, Scalar

scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.text(), st.integers(-(10**37), 10**37), st.booleans(), st.lists(st.text())
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in ("pk", "sk")), scalars))
def test_attributes_come_back_with_their_types(attributes: dict[str, Scalar]) -> None:
    back = attributes_from_wire({"pk": {"S": "p"}, "sk": {"S": "s"}, **attributes_to_wire(attributes)})
    assert back == attributes
    assert [type(value) for value in back.values()] == [type(value) for value in attributes.values()]


@pytest.mark.parametrize("value", [1.5, None, b"x", {"a": 1}, ("a",), [1], ["a", None]])
def test_a_value_of_another_type_is_refused_by_the_name_of_its_attribute(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="'weight'"):
        to_wire("weight", value)


@pytest.mark.parametrize("wire", [{"M": {}}, {"B": b"x"}, {"NULL": True}, {"SS": ["a"]}, {"L": [{"N": "1"}]}])
def test_a_stored_value_that_pushlane_never_writes_is_an_error_that_names_its_attribute(wire: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="'weight'"):
        from_wire("weight", wire)
