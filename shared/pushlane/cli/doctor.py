"""The verb that checks an installation and says what to fix: doctor."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.cli.checkup.findings import Check, Finding
    from pushlane.cli.target import Target


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(doctor)


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 for a warning too.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Check an installation, and say what to fix. It reads only.

    Looked at are: stacks, tables, queues and their dead letters, event source mappings, the sweep, wake-ups, the
    policy, the signing key, tenants, agents, lanes that stand still, clocks, the API. Ends with status 1 when there is
    a problem: something that keeps tasks from coming in, from running or from being seen.

    \b
    Examples:
      pushlane doctor
      pushlane doctor --stage prod --profile ops --strict
      pushlane doctor --json | jq '.[] | select(.level != "ok")'
    """
    from pushlane.cli.checkup.findings import Level, run_checks, worst
    from pushlane.cli.failures import explained
    from pushlane.cli.target import connect

    findings = list(run_checks(checks(connect(stage, profile, endpoint)), explained))
    if json:
        output.as_json(findings)
    else:
        _show(findings)
    level = worst(findings)
    if level is Level.PROBLEM or (strict and level is Level.WARNING):
        raise typer.Exit(1)


def checks(target: "Target") -> "dict[str, Check]":
    """Every check by its name, in the order in which it is worth looking."""
    from pushlane.cli.checkup.deployed import Deployed
    from pushlane.cli.checkup.standing import Standing
    from pushlane.cli.target import now_ms

    deployed = Deployed(target.session, target.installation, target.overview)
    standing = Standing(target, now_ms)
    return {
        "stacks": deployed.stacks,
        "tables": deployed.tables,
        "queues": deployed.queues,
        "mappings": deployed.mappings,
        "schedule of the sweep": deployed.sweep,
        "sweep": standing.swept,
        "wake-ups": standing.wake_ups,
        "signing key": standing.signing_key,
        "policy": standing.policy,
        "tenants": standing.tenants,
        "agents": standing.agents,
        "lanes": standing.lanes,
        "dead letters": deployed.dead_letters,
        "clock": standing.clock,
        "api": standing.api,
    }


def _show(findings: "Sequence[Finding]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pushlane.cli.checkup.findings import Level

    styles = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}
    grid = Table.grid(padding=(0, 2))
    for one in findings:
        said = Text(one.said) if one.fix is None else Text(f"{one.said}\n-> {one.fix}")
        grid.add_row(Text(one.level.value, style=styles[one.level]), Text(one.check), said)
    Console().print(grid)
    counts = {level: sum(one.level is level for one in findings) for level in (Level.PROBLEM, Level.WARNING)}
    output.line(f"{counts[Level.PROBLEM]} problems, {counts[Level.WARNING]} warnings")
