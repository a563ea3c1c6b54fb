"""Templates as others judge them: cfn-lint for CloudFormation's own rules, cdk-nag for AWS's recommendations."""

import json
import re

import pytest
from cfnlint import ManualArgs, lint_file  # type: ignore[import-untyped]  # it ships no types

from tests.infrastructure.nag_exceptions import exceptions
from tests.infrastructure.templates import Templates

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

# W3005: CDK states dependencies that CloudFormation would find by itself.
# W6001: the list of dead-letter queues names one that another stack made.
IGNORED = ("W3005", "W6001")


@pytest.mark.parametrize(("stage", "stacks"), [("local", 4), ("prod", 6)])
def test_templates_are_valid_for_cloudformation(request: pytest.FixtureRequest, stage: str, stacks: int) -> None:
    templates: Templates = request.getfixturevalue(stage)
    files = sorted(templates.folder.glob("*.template.json"))
    assert len(files) == stacks
    rules = ManualArgs(regions=["eu-west-1"], ignore_checks=list(IGNORED))
    found = [f"{file.name}: {match}" for file in files for match in lint_file(file, rules)]
    assert not found, "\n".join(found)


def findings(templates: Templates) -> set[tuple[str, str]]:
    report = json.loads((templates.folder / "validation-report.json").read_text())
    (audit,) = [one for one in report["pluginReports"] if one["pluginName"] == "AwsSolutions"]
    return {
        (masked(violation["ruleName"]), masked(construct["constructPath"]))
        for violation in audit["violations"]
        for construct in violation["violatingConstructs"]
    }


def masked(text: str) -> str:
    """Without generated names: exports of other stacks, attributes, hashes."""
    text = re.sub(r"<[A-Za-z0-9]+\.Arn>|Pushlane-\w+-State:Exports\w+", "<...>", text)
    return re.sub(r"(SchedulerRoleForTarget-|EdgeSocketsApi|Schedules-Group-)[0-9A-Fa-f]{6,}", r"\1<...>", text)


def test_every_finding_of_cdk_nag_has_a_reason_and_every_reason_a_finding(prod: Templates) -> None:
    found, explained = findings(prod), exceptions()
    assert found - explained.keys() == set(), "findings without a reason"
    assert explained.keys() - found == set(), "reasons without a finding"
