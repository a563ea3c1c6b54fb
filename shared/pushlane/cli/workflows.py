"""Verbs around workflows: submit, status, list, cancel."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import DoorName, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.client import Client, NodeRecord, WorkflowRecord

workflow = typer.Typer(no_args_is_help=True, help="Submit tasks with dependencies, see where they stand, cancel them.")
Id = Annotated[str, typer.Argument(metavar="WORKFLOW", help="Workflow id, as w-...")]
Way = Annotated[DoorName, typer.Option(help="The way in.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(workflow, name="workflow")


@workflow.command()
def submit(
    file: Annotated[str, typer.Argument(help="The workflow as JSON (docs/workflows.md), - is stdin.")],
    tenant: Annotated[str | None, typer.Option(help="Tenant that submits, if the file names none.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key, if the file names none.")] = None,
    door: Way = DoorName.SQS,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit status 1 unless it succeeded.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Submit a workflow. A cycle, an unknown parent or anything else that is wrong is named, and nothing is sent.

    \b
    Example:
      echo '{"tasks": [{"name": "a", "task_type": "echo"},
                       {"name": "b", "task_type": "echo", "depends_on": ["a"]}]}' |
        pushlane workflow submit - --tenant atlas --wait
    """
    from pushlane.cli.target import connect

    said = {**({"tenant_id": tenant} if tenant else {}), **({"idempotency_key": key} if key else {}), **_document(file)}
    client = connect(stage, profile, endpoint).client
    submitted = client.submit_workflow(said, door=door.value)
    if wait:
        _show(client, client.wait_workflow(submitted.workflow_id, timeout_seconds=timeout), json=json)
    elif json:
        output.as_json(submitted)
    else:
        output.line(submitted.workflow_id)


@workflow.command()
def status(
    workflow_id: Id,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show where a workflow and each of its tasks stand. Ends with status 1 when the workflow ended without success.

    \b
    Example:
      pushlane workflow status w-0123456789abcdef0123456789abcdef
    """
    from pushlane.cli.target import connect

    client = connect(stage, profile, endpoint).client
    _show(client, client.workflow(workflow_id), json=json)


@workflow.command("list")
def list_latest(
    tenant: Annotated[str, typer.Option(help="Whose workflows.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Not more than so many, the newest first.")] = 20,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List a tenant's latest workflows.

    \b
    Example:
      pushlane workflow list --tenant atlas --limit 5
    """
    from pushlane.cli.target import connect

    found = connect(stage, profile, endpoint).client.workflows(tenant, limit=limit)
    if json:
        output.as_json(found)
        return
    rows = [(one.workflow_id, one.name or "", one.status, _ended(one), _seconds(one)) for one in found]
    output.table(f"workflows of {tenant}", ("workflow", "name", "status", "ended", "took"), rows)


@workflow.command()
def cancel(
    workflow_id: Id,
    reason: Annotated[str | None, typer.Option(help="Why, for those who look at it later.")] = None,
    door: Way = DoorName.SQS,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Cancel a workflow: every task of it that has not ended ends as CANCELLED; running ones have a short while.

    \b
    Example:
      pushlane workflow cancel w-0123456789abcdef0123456789abcdef --reason "wrong input"
    """
    from pushlane.cli.target import connect

    client = connect(stage, profile, endpoint).client
    tenant_id = client.workflow(workflow_id).tenant_id
    sent = client.cancel_workflow(tenant_id, workflow_id, reason=reason, door=door.value)
    if json:
        output.as_json(sent)
    else:
        output.line(f"{sent.subject_id}: {sent.command} sent")


def _document(file: str) -> dict[str, Any]:
    import sys
    from pathlib import Path

    import msgspec

    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="FILE") from error
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"{file}: not a JSON object: {error}", param_hint="FILE") from error


def _show(client: "Client", record: "WorkflowRecord", *, json: bool) -> None:
    nodes = client.workflow_nodes(record.workflow_id)
    if json:
        import msgspec

        output.as_json({**msgspec.to_builtins(record), "tasks": nodes})
    else:
        _for_a_person(record, nodes)
    if record.terminal and record.status != "SUCCEEDED":
        raise typer.Exit(1)


def _for_a_person(record: "WorkflowRecord", nodes: tuple["NodeRecord", ...]) -> None:
    said = [("status", record.status.value), ("ended", _ended(record)), ("took", _seconds(record))]
    said += [("reason", record.reason)] if record.reason else []
    output.answers(f"{record.workflow_id} {record.name or ''}".rstrip(), said)
    output.table("tasks", ("node", "status", "task"), [(one.name, one.status, one.task_id) for one in nodes])


def _ended(record: "WorkflowRecord") -> str:
    return f"{record.counts.ended} of {record.counts.nodes}"


def _seconds(record: "WorkflowRecord") -> str:
    over = record.ended_at_ms
    return "" if over is None else f"{(over - record.accepted_at_ms) / 1_000:.1f} s"
