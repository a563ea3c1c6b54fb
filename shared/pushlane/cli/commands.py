"""Verbs that tell a task something: cancel, signal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import Api, DoorName, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.cli.ways import Told

Task = Annotated[str, typer.Argument(help="Task id, as t-...")]
Tenant = Annotated[str | None, typer.Option(help="Tenant of the task; looked up when it is left out.")]
Door = Annotated[DoorName | None, typer.Option(help="The way in; without it sqs.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(cancel)
    app.command()(signal)


def cancel(
    task: Task,
    reason: Annotated[str | None, typer.Option(help="Why, for those who look at the task later.")] = None,
    tenant: Tenant = None,
    door: Door = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Cancel a task, whatever it is doing.

    What waits ends at once. A running attempt is told at its next check-in and has a short while to end by itself; a
    success that was there first stays one. `pushlane watch` shows the end.

    \b
    Examples:
      pushlane cancel t-0123456789abcdef0123456789abcdef --reason "the customer is gone"
      pushlane cancel t-0123456789abcdef0123456789abcdef --api https://api.example.com
    """
    from pushlane.cli.ways import way_to

    _say(way_to(api, stage, profile, endpoint, tenant=tenant, door=door).cancel(task, reason), json=json)


def signal(
    task: Task,
    name: Annotated[str, typer.Argument(help="The signal's name, as the agent waits for it.")],
    data: Annotated[str, typer.Option(help="What it says: a JSON object of at most 16 KiB.")] = "{}",
    id: Annotated[str | None, typer.Option(help="Sent twice with the same id it is one signal.")] = None,  # noqa: A002 - the option is --id
    tenant: Tenant = None,
    door: Door = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Tell a task something while it runs or waits: an answer, an interruption, another direction.

    \b
    Examples:
      pushlane signal t-0123456789abcdef0123456789abcdef approval --data '{"approved": true}'
      pushlane signal t-0123456789abcdef0123456789abcdef approval --api https://api.example.com
    """
    from pushlane.cli.ways import way_to

    said = _object(data)
    way = way_to(api, stage, profile, endpoint, tenant=tenant, door=door)
    _say(way.signal(task, name, said, id), json=json)


def _object(text: str) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"not a JSON object: {error}", param_hint="--data") from error


def _say(told: "Told", *, json: bool) -> None:
    if json:
        output.as_json(told)
        return
    said = f"{told.command} sent" if told.status is None else told.status
    notes = [
        *([f"signal id {told.signal_id}"] if told.signal_id else []),
        *(["its attempt is told, and ends within its grace"] if told.ordered else []),
        *(["the task was waiting for it, and goes on"] if told.resumed else []),
    ]
    output.line(f"{told.subject_id}: {said}" + (f" ({'; '.join(notes)})" if notes else ""))
