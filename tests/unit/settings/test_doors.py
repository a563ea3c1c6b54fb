"""The doors of tenants as one setting."""

import pytest

from pushlane.settings.doors import tenant_doors_of, tenant_doors_text


@pytest.mark.parametrize(
    "doors", [{}, {"arn:aws:sqs:us-east-1:1:a": "atlas"}, {"arn:aws-cn:sqs:cn-north-1:1:a_b-c": "a.b", "arn:2": "b-c"}]
)
def test_it_is_read_back_as_it_was(doors: dict[str, str]) -> None:
    assert tenant_doors_of(tenant_doors_text(doors)) == doors
