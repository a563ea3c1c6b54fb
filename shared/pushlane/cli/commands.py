"""Verbs that tell a task something: cancel, signal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import DoorName, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.client import Client, Commanded

Task = Annotated[str, typer.Argument(help="Task id, as t-...")]
Tenant = Annotated[str | None, typer.Option(help="Tenant of the task; looked up when it is left out.")]
Way = Annotated[DoorName, typer.Option(help="The way in.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(cancel)
    app.command()(signal)


def cancel(
    task: Task,
    reason: Annotated[str | None, typer.Option(help="Why, for those who look at the task later.")] = None,
    tenant: Tenant = None,
    door: Way = DoorName.SQS,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Cancel a task, whatever it is doing.

    What waits ends at once. A running attempt is told at its next check-in and has a short while to end by itself; a
    success that was there first stays one. `pushlane watch` shows the end.

    \b
    Example:
      pushlane cancel t-0123456789abcdef0123456789abcdef --reason "the customer is gone"
    """
    from pushlane.cli.target import connect

    client = connect(stage, profile, endpoint).client
    _told(client.cancel(tenant or tenant_of(client, task), task, reason=reason, door=door.value), json=json)


def signal(
    task: Task,
    name: Annotated[str, typer.Argument(help="The signal's name, as the agent waits for it.")],
    data: Annotated[str, typer.Option(help="What it says: a JSON object of at most 16 KiB.")] = "{}",
    id: Annotated[str | None, typer.Option(help="Sent twice with the same id it is one signal.")] = None,  # noqa: A002 - the option is --id
    tenant: Tenant = None,
    door: Way = DoorName.SQS,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Tell a task something while it runs or waits: an answer, an interruption, another direction.

    \b
    Example:
      pushlane signal t-0123456789abcdef0123456789abcdef approval --data '{"approved": true}'
    """
    from pushlane.cli.target import connect

    said = _object(data)
    client = connect(stage, profile, endpoint).client
    sent = client.signal(tenant or tenant_of(client, task), task, name, said, signal_id=id, door=door.value)
    _told(sent, json=json)


def tenant_of(client: "Client", task_id: str) -> str:
    """The tenant of a task, read from the task; raises `TaskUnknown`."""
    return client.task(task_id).tenant_id


def _object(text: str) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"not a JSON object: {error}", param_hint="--data") from error


def _told(sent: "Commanded", *, json: bool) -> None:
    if json:
        output.as_json(sent)
        return
    as_signal = f" (signal id {sent.signal_id})" if sent.signal_id else ""
    output.line(f"{sent.subject_id}: {sent.command} sent{as_signal}")
