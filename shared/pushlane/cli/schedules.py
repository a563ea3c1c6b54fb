"""Verbs around schedules, over the API: list, show, make, pause, resume, remove."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.client.api import Client, ScheduleView

schedules = typer.Typer(
    no_args_is_help=True, help="Submit tasks and workflows by the clock: make schedules, pause and remove them."
)
Url = Annotated[
    str | None,
    typer.Option(
        "--api", "--url", metavar="URL", envvar="PUSHLANE_API_URL", help="The API's address; else that of the stage."
    ),
]
ApiKey = Annotated[
    str | None, typer.Option(envvar="PUSHLANE_API_KEY", help="An API key (`pushlane keys create`), or a JWT.")
]
Tenant = Annotated[str | None, typer.Option(help="Whom an operator of the installation speaks for.")]
Id = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Schedule id, as s-...")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(schedules, name="schedules")


@schedules.command("list")
def list_all(
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List the tenant's schedules and when they are due next.

    \b
    Examples:
      PUSHLANE_API_KEY=pl_... pushlane schedules list --stage prod
      PUSHLANE_API_KEY=pl_... pushlane schedules list --api https://api.example.com
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        found = list(client.schedules())
    if json:
        output.as_json(found)
        return
    rows = [(one.schedule_id, one.name, one.expression, one.timezone, _next(one)) for one in found]
    output.table("schedules", ("schedule", "name", "when", "zone", "next"), rows)


@schedules.command()
def show(
    schedule_id: Id,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show one schedule, with what it submits.

    \b
    Example:
      pushlane schedules show s-0123456789abcdef0123456789abcdef
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        _show(client.schedule(schedule_id), json=json)


@schedules.command()
def make(
    file: Annotated[str, typer.Argument(help="The schedule as JSON (docs/schedules.md), - is stdin.")],
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Make a schedule. What is wrong with it is named, and nothing is made.

    \b
    Example:
      echo '{"name": "nightly", "expression": "cron(0 3 * * ? *)", "timezone": "Europe/Berlin",
             "task": {"task_type": "report"}}' | pushlane schedules make -
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        _show(client.make_schedule(_document(file)), json=json)


@schedules.command()
def pause(
    schedule_id: Id,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Let a schedule rest: it fires no more until it is resumed.

    \b
    Example:
      pushlane schedules pause s-0123456789abcdef0123456789abcdef
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        _show(client.change_schedule(schedule_id, enabled=False), json=json)


@schedules.command()
def resume(
    schedule_id: Id,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Let a paused schedule go on. What was due in between is not made up for.

    \b
    Example:
      pushlane schedules resume s-0123456789abcdef0123456789abcdef
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        _show(client.change_schedule(schedule_id, enabled=True), json=json)


@schedules.command()
def remove(
    schedule_id: Id,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Remove a schedule. What it has submitted stays.

    \b
    Example:
      pushlane schedules remove s-0123456789abcdef0123456789abcdef
    """
    with _client(url, api_key, tenant, (stage, profile, endpoint)) as client:
        client.remove_schedule(schedule_id)
    if json:
        output.as_json({"schedule_id": schedule_id, "removed": True})
    else:
        output.line(f"{schedule_id}: removed")


def _client(
    url: str | None, api_key: str | None, tenant: str | None, where: tuple[StageName, str | None, str | None]
) -> "Client":
    """For the address that is given, else for that of the installation that the options name."""
    from pushlane.cli.over_http import api_client, http_url

    if url is None:
        from pushlane.cli.target import connect

        url = http_url(connect(*where).installation)
    return api_client(url, tenant=tenant, api_key=api_key)


def _document(file: str) -> dict[str, Any]:
    import sys

    import msgspec

    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="FILE") from error
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"{file}: not a JSON object: {error}", param_hint="FILE") from error


def _show(found: "ScheduleView", *, json: bool) -> None:
    if json:
        output.as_json(found)
        return
    said = [("when", found.expression), ("zone", found.timezone), ("next", _next(found))]
    said += [("window", f"{found.window_minutes} min")] if found.window_minutes else []
    missed = found.missed
    said += [("missed", f"{missed.get('policy')} when {missed.get('late_seconds')} s late")] if missed else []
    said += [("submits", str((found.task or {}).get("task_type", "a workflow"))), ("revision", str(found.revision))]
    output.answers(f"{found.schedule_id} {found.name}", said)


def _next(found: "ScheduleView") -> str:
    if found.next_at_ms is None:
        return "paused" if not found.enabled else "never again"
    return datetime.fromtimestamp(found.next_at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
