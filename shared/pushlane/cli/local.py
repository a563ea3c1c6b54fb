"""Verbs around the local AWS: up, down, demo."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Json
from pushlane.cli.place import deploy_folder, project_root, state_folder

if TYPE_CHECKING:
    from pushlane.local.demo.run import Outcome

DEFAULT_PORT = 4566


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(demo)


def up(
    port: Annotated[
        int, typer.Option(envvar="PUSHLANE_PORT", help="Port on 127.0.0.1.", min=1, max=65535)
    ] = DEFAULT_PORT,
    api: Annotated[bool, typer.Option("--api", help="Also the HTTP and WebSocket API, and tasks' event logs.")] = False,
    json: Json = False,
) -> None:
    """Start a local AWS, deploy Pushlane to it, and leave it running.

    Again, it deploys what has changed.

    \b
    Examples:
      pushlane up
      pushlane up --api
      pushlane up --port 4567 && pushlane status
    """
    from pushlane.client import Installation
    from pushlane.local.context import LOCAL_CONTEXT
    from pushlane.local.deploy import CdkApp, deploy
    from pushlane.local.launcher import start
    from pushlane.settings.stage import Stage

    root = project_root(Path.cwd())
    aws = start(state_folder(root), port=port)
    app = CdkApp(root, {**LOCAL_CONTEXT, "api": api})
    deployment = deploy(app, aws, deploy_folder(root), output.note)
    if json:
        output.as_json({"endpoint_url": aws.endpoint_url, "pid": aws.pid, "outputs": deployment.outputs})
        return
    output.line(f"Pushlane is running at {aws.endpoint_url} (log: {aws.log_path}).")
    if api:
        found = Installation.from_stacks(Stage.LOCAL, deployment.outputs)
        output.line(f"HTTP API: {found.http_url}\nWebSocket API: {found.web_socket_url}")
    output.line("Next: pushlane agents; pushlane tenants add atlas; pushlane submit FILE --tenant atlas --type TYPE")
    output.line("Stop it with: pushlane down")


def down(json: Json = False) -> None:
    """Stop the local AWS that `pushlane up` started, and delete its data.

    \b
    Example:
      pushlane down
    """
    from pushlane.local.launcher import stop

    stopped = stop(state_folder(project_root(Path.cwd())))
    if json:
        output.as_json({"stopped": stopped})
    else:
        output.line("stopped" if stopped else "nothing was running")


def demo(
    docs: Annotated[
        Path | None,
        typer.Option(
            envvar="DOCS", exists=True, file_okay=False, help="Folder of *.md and *.html; default: this project's own."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(help="Pickup samples at low load, of each kind.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Show everything on this machine: start, deploy, submit through all doors, account for every task, stop.

    Writes build/demo/digest.md and build/demo/report.json. Ends with status 1 when a promise was broken.

    \b
    Examples:
      pushlane demo
      DOCS=~/notes pushlane demo
      pushlane demo --json | jq .pickup_ms
    """
    from pushlane.local.demo.run import Place, demonstrate
    from pushlane.local.demo.show import show_on_console

    root = project_root(Path.cwd())
    documents = docs.resolve() if docs else None
    place = Place(root=root, documents=documents, output=root / "build" / "demo", work=state_folder(root) / "demo")
    with show_on_console(errors=json) as show:
        outcome = demonstrate(place, show, samples=samples)
    if json:
        output.as_json(outcome.report)
    else:
        _summary(outcome)
    if outcome.report["problems"]:
        raise typer.Exit(1)


def _summary(outcome: "Outcome") -> None:
    report = outcome.report
    pickup = report["pickup_ms"]
    counts = ", ".join(f"{report[name]} {name}" for name in ("submitted", "succeeded", "failed", "lost"))
    output.line(f"{counts} ({len(report['failed_on_purpose'])} failed on purpose)")
    output.line("taken by door: " + ", ".join(f"{door} {count}" for door, count in report["doors"].items()))
    output.line(
        f"left over: {report['live_reservations']} reservations, {report['dlq_depth']} dead letters, "
        f"{report['duplicate_effects']} duplicate effects"
    )
    output.line(
        f"pickup at low load: p50 {pickup['low_load']['p50']:.0f} ms, p99 {pickup['low_load']['p99']:.0f} ms; "
        f"{pickup['ratio_p50']:.2f} and {pickup['ratio_p99']:.2f} times functions that do nothing, "
        f"{pickup['ratio_to_committing_floor_p50']:.2f} and {pickup['ratio_to_committing_floor_p99']:.2f} times "
        "functions that only commit"
    )
    output.line(f"deployed in {report['deploy_s']} s, all in {report['total_s']} s")
    output.line(f"{outcome.digest_path}\n{outcome.report_path}")
    for problem in report["problems"]:
        output.note(f"broken: {problem}")
