"""Who is bound to what, and which AWS identities are the same caller."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.model.iam_identity import identity_of
from pushlane.model.principal import InvalidPrincipal, Principal, Role, require_bounds

ROLE = "arn:aws:iam::123456789012:role/Submitter"


@pytest.mark.parametrize(
    ("role", "bounds", "wrong"),
    [
        (Role.PRODUCER, ("atlas", None, None), None),
        (Role.PRODUCER, (None, None, None), "tenant_id"),
        (Role.OPERATOR, (None, None, None), None),
        (Role.OPERATOR, ("atlas", None, None), None),
        (Role.OPERATOR, (None, "gpu", None), "pool"),
        (Role.ADMIN, (None, None, None), None),
        (Role.ADMIN, ("atlas", None, None), "tenant_id"),
        (Role.AGENT, (None, "gpu", "one"), None),
        (Role.AGENT, ("atlas", "gpu", None), None),
        (Role.AGENT, (None, None, "one"), "pool"),
        (Role.PRODUCER, ("atlas", None, "one"), "pool"),
    ],
)
def test_bounds_of_roles(role: Role, bounds: tuple[Any, Any, Any], wrong: str | None) -> None:
    if wrong is None:
        require_bounds(role, *bounds)
        return
    with pytest.raises(InvalidPrincipal) as caught:
        require_bounds(role, *bounds)
    assert caught.value.field == wrong


def test_whom_a_principal_speaks_for() -> None:
    bound = Principal(principal_id="a", role=Role.OPERATOR, tenant_id="atlas")
    free = Principal(principal_id="b", role=Role.OPERATOR)
    agent = Principal(principal_id="c", role=Role.AGENT, pool="gpu")
    assert [one.may_speak_for("atlas") for one in (bound, free, agent)] == [True, True, True]
    assert [one.may_speak_for("birch") for one in (bound, free, agent)] == [False, True, True]
    assert [one.of_installation for one in (bound, free, agent)] == [False, True, False]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/teams/a/Submitter",
        "arn:aws:sts::123456789012:assumed-role/Submitter/session",
        "arn:aws:sts::123456789012:assumed-role/Submitter/user@example.com",
    ],
)
def test_sessions_and_paths_are_the_same_role(arn: str) -> None:
    assert identity_of(arn) == identity_of(ROLE) is not None


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789013:role/Submitter",
        "arn:aws-cn:iam::123456789012:role/Submitter",
        "arn:aws:iam::123456789012:user/Submitter",
        "arn:aws:iam::123456789012:role/submitter",
        "arn:aws:sts::123456789012:assumed-role/Other/Submitter",
    ],
)
def test_others_are_others(arn: str) -> None:
    assert identity_of(arn) not in (None, identity_of(ROLE))


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:root",
        "arn:aws:sts::123456789012:federated-user/Submitter",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::12345678901:role/Submitter",
        "arn:aws:sts::123456789012:assumed-role/Submitter",
        "arn:aws:iam::123456789012:role/Submitter\n",
        "arn:aws:iam::१२३४५६७८९०१२:role/Submitter",
        f"arn:aws:iam::123456789012:role/{'a/' * 2_000}Submitter",
    ],
)
def test_nobody(arn: str) -> None:
    assert identity_of(arn) is None


@given(st.text(max_size=200))
def test_any_text_is_somebody_or_nobody(text: str) -> None:
    assert identity_of(text) != identity_of(ROLE)
