"""With a Bedrock model named, the summarize agent may ask it, and nobody else may."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

MODEL = "amazon.nova-lite-v1:0"


def test_only_summarize_may_ask_the_model(
    context: dict[str, Any], bare: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    import aws_cdk as cdk
    from aws_cdk.assertions import Match, Template

    from stacks.composition import compose

    with bare():
        app = cdk.App(context={**context, "stage": "dev", "summary_model": MODEL, "build_dir": str(tmp_path)})
        template = Template.from_stack(compose(app).agents)
    asks = template.find_resources(
        "AWS::IAM::Policy",
        {
            "Properties": {
                "PolicyDocument": {
                    "Statement": Match.array_with([Match.object_like({"Action": "bedrock:InvokeModel"})])
                }
            }
        },
    )
    assert len(asks) == 1
    assert "Summarize" in next(iter(asks))
    assert f"foundation-model/{MODEL}" in str(asks)
    told = template.find_resources(
        "AWS::Lambda::Function", {"Properties": {"Environment": {"Variables": {"PUSHLANE_SUMMARY_MODEL": MODEL}}}}
    )
    assert len(told) == 1
