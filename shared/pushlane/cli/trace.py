"""The verb that shows where a task's time went: trace."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushlane.model.span import Span


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(trace)


def trace(
    task: Annotated[str, typer.Argument(help="Task id, as t-...")],
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show where a task's time went, as a waterfall: its door, queues, waits by their reasons, its attempts.

    It is drawn from what the installation has stored, so it needs no exporter. Where event logs are written, each
    attempt and each wait is told, for as long as the log is kept (a week by default); else the last of them. `=` is
    work, `-` is waiting; steps within an attempt are in the exported trace of the same id.

    \b
    Examples:
      pushlane trace t-0123456789abcdef0123456789abcdef
      pushlane trace t-0123456789abcdef0123456789abcdef --json | jq '.[].name'
    """
    from pushlane.cli.target import connect, now_ms
    from pushlane.client.errors import TaskUnknown
    from pushlane.telemetry.task_spans import task_spans

    spans = task_spans(connect(stage, profile, endpoint).store, task)
    if not spans:
        raise TaskUnknown(task)
    if json:
        output.as_json(spans)
    else:
        _draw(task, spans, now_ms())


def _draw(task_id: str, spans: "Sequence[Span]", now_ms: int) -> None:
    from rich.console import Console

    from pushlane.cli.durations import told_ms
    from pushlane.cli.waterfall import waterfall

    root = spans[0]
    took = told_ms((now_ms if root.end_ms is None else root.end_ms) - root.start_ms)
    status = root.attributes.get("status", "")
    output.line(f"{task_id}  {status}  {took}{'' if root.end_ms is not None else ' so far'}  trace {root.trace_id}")
    console = Console()
    console.print(waterfall(spans, now_ms, console.width))
