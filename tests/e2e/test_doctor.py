"""`pushlane doctor` and `pushlane top --once` at a deployed Pushlane: it lacks nothing, and all of it is seen."""

import json
from typing import Any

from typer.testing import CliRunner

from pushlane.cli.main import app
from tests.e2e.conftest import Deployed

OF_STACKS = {"stacks", "tables", "queues", "mappings", "sweep", "signing key", "policy", "api"}


def asked(deployed: Deployed, *arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json", "--endpoint", deployed.endpoint_url])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return json.loads(result.stdout)


def test_the_doctor_finds_nothing_missing_in_what_the_stacks_deploy(deployed: Deployed) -> None:
    """What other tests leave behind (agents that are gone, dead letters) is no fault of the stacks."""
    found = asked(deployed, "doctor")
    of_stacks = [one for one in found if one["check"] in OF_STACKS and "agent" not in one["said"]]
    assert [one for one in of_stacks if one["level"] == "problem"] == []
    assert {one["check"] for one in found} >= OF_STACKS


def test_top_sees_the_agents_that_are_deployed(deployed: Deployed) -> None:
    seen = asked(deployed, "top", "--once")["live"]
    assert {one["agent_id"] for one in seen["agents"]} >= {"chaos", "extract"}
    assert seen["pools"][0]["slots"] > 0
