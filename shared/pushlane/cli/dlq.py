"""Verbs around dead letters: list, show, redrive, discard. Of queues, and of tasks whose retries are used up."""

from typing import Annotated

import typer

from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

dlq = typer.Typer(
    no_args_is_help=True, help="Look at dead letters (of queues, and tasks), send them back, or throw them away."
)
What = Annotated[str, typer.Argument(help="A queue by its name in `pushlane dlq list`, `tasks`, or a task id.")]
Tenant = Annotated[str | None, typer.Option(help="Only tasks of this tenant.")]
Type = Annotated[str | None, typer.Option("--type", help="Only tasks of this type.")]
Pool = Annotated[str | None, typer.Option(help="Only tasks of this pool.")]
Error = Annotated[str | None, typer.Option(help="Only tasks whose error contains this, as Timeout.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Not more than so many, the oldest first.")]
Rate = Annotated[float, typer.Option("--per-second", help="Not more than so many a second.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(dlq, name="dlq")


@dlq.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help="Empty queues too.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """List dead letters: messages by queue, tasks by pool and tenant.

    The age is that of the oldest of ten messages; a look hides them from others for a moment.

    \b
    Examples:
      pushlane dlq list
      pushlane dlq list --all --stage prod --json
    """
    from pushlane.cli.dead_letters import DeadLetters
    from pushlane.cli.target import connect

    DeadLetters(connect(stage, profile, endpoint), json=json).list(every=every)


@dlq.command()
def show(
    what: What,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Not more than so many, the oldest first.")] = 10,
    tenant: Tenant = None,
    task_type: Type = None,
    pool: Pool = None,
    error: Error = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show dead messages of a queue, dead tasks, or one dead task with the history of its attempts.

    Nothing is taken away: messages are there for others again when this ends.

    \b
    Examples:
      pushlane dlq show quarantine --limit 5 --json
      pushlane dlq show tasks --tenant atlas --error Timeout
      pushlane dlq show t-0123456789abcdef0123456789abcdef
    """
    from pushlane.cli.dead_letters import DeadLetters, filters
    from pushlane.cli.target import connect

    wanted = filters(what, tenant, task_type, pool, error)
    DeadLetters(connect(stage, profile, endpoint), json=json).show(what, wanted, limit)


@dlq.command()
def redrive(
    what: What,
    limit: Limit = None,
    per_second: Rate = 10.0,
    tenant: Tenant = None,
    task_type: Type = None,
    pool: Pool = None,
    error: Error = None,
    wait: Annotated[bool, typer.Option("--wait", help="Of tasks: wait, and say what became of them.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Send dead letters back: messages where they came from, tasks through admission like a retry.

    Each stays what it was: a redriven task is the same task and succeeds once, a redriven submission is the same
    submission. Stop it at any time and start it again; nothing is lost, and what is sent twice counts once.

    \b
    Examples:
      pushlane dlq redrive agent/extract
      pushlane dlq redrive tasks --type summarize --error Throttled --per-second 5 --wait
      pushlane dlq redrive t-0123456789abcdef0123456789abcdef --wait
    """
    from pushlane.cli.dead_letters import DeadLetters, filters
    from pushlane.cli.target import connect
    from pushlane.client.pace import Pace

    pace, wanted = Pace(per_second), filters(what, tenant, task_type, pool, error)
    letters = DeadLetters(connect(stage, profile, endpoint), json=json)
    letters.redrive(what, wanted, limit, pace, timeout if wait else None)


@dlq.command()
def discard(
    what: What,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, for good.")] = False,
    limit: Limit = None,
    per_second: Rate = 10.0,
    tenant: Tenant = None,
    task_type: Type = None,
    pool: Pool = None,
    error: Error = None,
    reason: Annotated[str | None, typer.Option(help="Of tasks: why, for those who look at them later.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Of tasks: wait, and say what became of them.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Throw dead letters away: messages are deleted, tasks end as FAILED.

    \b
    Examples:
      pushlane dlq discard sweep --yes
      pushlane dlq discard tasks --tenant atlas --reason "the customer is gone" --yes
    """
    from pushlane.cli.dead_letters import DeadLetters, filters
    from pushlane.cli.target import connect
    from pushlane.client.pace import Pace

    if not yes:
        hint = f"what is discarded is gone: look with `pushlane dlq show {what}`, and repeat with --yes"
        raise typer.BadParameter(hint, param_hint="--yes")
    pace, wanted = Pace(per_second), filters(what, tenant, task_type, pool, error)
    letters = DeadLetters(connect(stage, profile, endpoint), json=json)
    letters.discard(what, wanted, limit, pace, timeout if wait else None, reason)
