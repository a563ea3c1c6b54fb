"""Verbs that look: status, agents."""

from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Api, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.cli.target import Target
    from pushlane.cli.ways import Way
    from pushlane.client.overview import Seen

_LATEST = 20


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(status)
    app.command()(agents)


def status(
    task: Annotated[str | None, typer.Argument(help="One task, as t-...; without it the installation.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Count tasks by status too; reads the whole table.")] = False,
    tenant: Annotated[str | None, typer.Option(help="With --api: whom an operator speaks for.")] = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Show queue depths, parked tasks, live reservations and dead letters; or one task as it stands.

    With --api and no task: the tenant's latest tasks.

    \b
    Examples:
      pushlane status
      pushlane status --count --stage prod --profile ops
      pushlane status t-0123456789abcdef0123456789abcdef --json
      pushlane status --api https://api.example.com
    """
    if task is not None or api is not None:
        from pushlane.cli.ways import way_to

        _tasks(way_to(api, stage, profile, endpoint, tenant=tenant), task, json=json)
        return
    from pushlane.cli.target import connect

    seen = _seen(connect(stage, profile, endpoint), count=count)
    if json:
        output.as_json(seen)
    else:
        _installation(seen)


def _installation(seen: "Seen") -> None:
    dead = [queue for queue in seen.dead_letters if queue.total]
    queues = [(q.name, q.waiting, q.in_flight, q.delayed) for q in (*seen.queues, seen.quarantine, *dead)]
    output.table("Queues", ("queue", "waiting", "in flight", "delayed"), queues)
    output.line(f"dead letters: {sum(queue.total for queue in dead)} in {len(seen.dead_letters)} queues")
    lanes = [(lane.pool, lane.tier, lane.tenant_id, ", ".join(lane.capabilities), lane.depth) for lane in seen.lanes]
    output.table("Lanes (parked tasks)", ("pool", "tier", "tenant", "capabilities", "tasks"), lanes)
    output.line(f"live reservations: {seen.live_reservations}")
    if seen.tasks is not None:
        output.line("tasks: " + (", ".join(f"{n} {status}" for status, n in sorted(seen.tasks.items())) or "none"))


def _tasks(way: "Way", task_id: str | None, *, json: bool) -> None:
    from pushlane.cli.ways import line_of, plain

    if task_id is not None:
        one = way.task(task_id)
        if json:
            output.as_json(plain(one))
        else:
            output.line(line_of(one))
        return
    found = way.latest(_LATEST)
    if json:
        output.as_json([plain(one) for one in found])
        return
    for one in found:
        output.line(line_of(one))


def agents(
    json: Json = False, stage: Stage = StageName.LOCAL, profile: Profile = None, endpoint: Endpoint = None
) -> None:
    """List the registered agents with their slots.

    \b
    Example:
      pushlane agents --json
    """
    from pushlane.cli.target import connect

    found = connect(stage, profile, endpoint).overview.agents()
    if json:
        output.as_json(found)
        return
    rows = [
        (one.pool, one.agent_id, ", ".join(sorted(one.capabilities)), f"{one.used}/{one.slots}", one.status.value)
        for one in found
    ]
    output.table("Agents", ("pool", "agent", "capabilities", "used/slots", "status"), rows)


def _seen(target: "Target", *, count: bool) -> "Seen":
    from pushlane.client.overview import count_by_status

    tasks = count_by_status(target.aws.dynamodb, target.installation) if count else None
    return target.overview.seen(tasks)
