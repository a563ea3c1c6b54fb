"""Conditions and updates as expressions: one row each."""

import pytest

from pushlane.aws.expressions import Placeholders, condition_expression, request_parameters
from pushlane.ports import (
    Absent,
    AnyOf,
    AtLeast,
    AtMost,
    Condition,
    Delete,
    Equals,
    InvalidRequest,
    Key,
    Missing,
    Present,
    Put,
    Table,
    Update,
)

KEY = Key(Table.TASKS, "p", "s")
WIRE_KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}


@pytest.mark.parametrize(
    ("condition", "expression", "names", "values"),
    [
        (Present(), "attribute_exists(#n0)", {"#n0": "pk"}, {}),
        (Absent(), "attribute_not_exists(#n0)", {"#n0": "pk"}, {}),
        (Missing("runner"), "attribute_not_exists(#n0)", {"#n0": "runner"}, {}),
        (Equals("status", "A"), "#n0 = :v0", {"#n0": "status"}, {":v0": {"S": "A"}}),
        (Equals("ready", True), "#n0 = :v0", {"#n0": "ready"}, {":v0": {"BOOL": True}}),
        (Equals("can", ["a"]), "#n0 = :v0", {"#n0": "can"}, {":v0": {"L": [{"S": "a"}]}}),
        (AtMost("used", 3), "#n0 <= :v0", {"#n0": "used"}, {":v0": {"N": "3"}}),
        (AtLeast("used", -1), "#n0 >= :v0", {"#n0": "used"}, {":v0": {"N": "-1"}}),
        (
            AnyOf((Missing("a"), Equals("a", 1), Equals("b", 1))),
            "(attribute_not_exists(#n0) OR #n0 = :v0 OR #n1 = :v1)",
            {"#n0": "a", "#n1": "b"},
            {":v0": {"N": "1"}, ":v1": {"N": "1"}},
        ),
        (AnyOf((Present(),)), "attribute_exists(#n0)", {"#n0": "pk"}, {}),
        (
            AnyOf((AnyOf((Present(), Missing("a"))),)),
            "(attribute_exists(#n0) OR attribute_not_exists(#n1))",
            {"#n0": "pk", "#n1": "a"},
            {},
        ),
    ],
)
def test_each_condition_has_its_expression(
    condition: Condition, expression: str, names: dict[str, str], values: dict[str, object]
) -> None:
    placeholders = Placeholders()
    assert condition_expression(condition, placeholders) == expression
    used = placeholders.parameters()
    assert used.get("ExpressionAttributeNames", {}) == names
    assert used.get("ExpressionAttributeValues", {}) == values


def test_an_unconditional_put_has_no_expression() -> None:
    assert request_parameters(Put(KEY, {"n": 1})) == {"Item": {**WIRE_KEY, "n": {"N": "1"}}}


def test_a_delete_joins_all_conditions() -> None:
    assert request_parameters(Delete(KEY, (Present(), Equals("epoch", 2)))) == {
        "Key": WIRE_KEY,
        "ConditionExpression": "attribute_exists(#n0) AND #n1 = :v0",
        "ExpressionAttributeNames": {"#n0": "pk", "#n1": "epoch"},
        "ExpressionAttributeValues": {":v0": {"N": "2"}},
    }


def test_an_update_shares_names_between_its_changes_and_its_conditions() -> None:
    update = Update(KEY, {"status": "A"}, {"used": -1}, ("runner",), (AtLeast("used", 1), Equals("status", "B")))
    assert request_parameters(update) == {
        "Key": WIRE_KEY,
        "UpdateExpression": "SET #n0 = :v0 ADD #n1 :v1 REMOVE #n2",
        "ConditionExpression": "#n1 >= :v2 AND #n0 = :v3",
        "ExpressionAttributeNames": {"#n0": "status", "#n1": "used", "#n2": "runner"},
        "ExpressionAttributeValues": {":v0": {"S": "A"}, ":v1": {"N": "-1"}, ":v2": {"N": "1"}, ":v3": {"S": "B"}},
    }


@pytest.mark.parametrize(
    ("update", "expression"),
    [
        (Update(KEY, set={"a": 1, "b": 2}), "SET #n0 = :v0, #n1 = :v1"),
        (Update(KEY, add={"a": 1, "b": 2}), "ADD #n0 :v0, #n1 :v1"),
        (Update(KEY, remove=("a", "b")), "REMOVE #n0, #n1"),
    ],
)
def test_an_update_has_only_the_clauses_that_it_needs(update: Update, expression: str) -> None:
    assert request_parameters(update)["UpdateExpression"] == expression


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Update(KEY), "changes nothing"),
        (Update(KEY, set={"a": 1}, remove=("a",)), "two ways"),
        (Update(KEY, add={"pk": 1}), "'pk'"),
        (Put(KEY, {"sk": "x"}), "'sk'"),
        (Delete(KEY, (AnyOf(()),)), "at least one"),
    ],
)
def test_what_dynamodb_would_refuse_is_refused_by_name(operation: Put | Update | Delete, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        request_parameters(operation)
