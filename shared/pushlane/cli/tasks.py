"""Verbs around tasks: submit, watch, wait."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import Api, DoorName, Endpoint, Json, Profile, Stage, StageName
from pushlane.model.task import DEFAULT_POOL, DeadlineKind, Tier

if TYPE_CHECKING:
    from pushlane.cli.ways import SeenTask, Taken, Way

Speaks = Annotated[str | None, typer.Option("--tenant", help="With --api: whom an operator speaks for.")]
Seconds = Annotated[float, typer.Option("--timeout", help="Seconds at most.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(submit)
    app.command()(watch)
    app.command()(wait)


def submit(
    files: Annotated[
        list[str], typer.Argument(help="*.md or *.html become documents, *.json is the payload, - is stdin.")
    ],
    type: Annotated[str, typer.Option(help="Task type, as extract or summarize.")],  # noqa: A002 - the option is --type
    tenant: Annotated[str | None, typer.Option(help="Tenant that submits; with --api the key says it.")] = None,
    tier: Annotated[Tier, typer.Option(help="How urgent.")] = Tier.NORMAL,
    pool: Annotated[str, typer.Option(help="Which agents.")] = DEFAULT_POOL,
    deadline: Annotated[float | None, typer.Option(min=0, help="To be done within so many seconds.")] = None,
    hard: Annotated[bool, typer.Option("--hard", help="A task that cannot make the deadline expires.")] = False,
    label: Annotated[list[str] | None, typer.Option(help="A label as key=value; repeatable.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; with several files each gets key/1, key/2.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results and print them.")] = False,
    timeout: Seconds = 300.0,
    door: Annotated[DoorName | None, typer.Option(help="The way in; without it sqs.")] = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Submit one task for each file.

    \b
    Examples:
      pushlane submit README.md --tenant atlas --type extract --wait
      pushlane submit docs/*.md --tenant atlas --type extract --label chain=digest --door eventbridge
      echo '{"do": "echo"}' | pushlane submit - --tenant atlas --type chaos --tier high --deadline 30 --wait --json
      PUSHLANE_API_KEY=pl_... pushlane submit order.json --type review --api https://api.example.com
    """
    from pushlane.cli.documents import payload_of
    from pushlane.cli.ways import way_to

    common: dict[str, Any] = {"task_type": type, "tier": tier.value, "pool": pool, **_labels(label)}
    common |= _deadline(deadline, hard=hard)
    items = [
        {**common, "payload": payload_of(name), **_key(key, place, len(files))}
        for place, name in enumerate(files, start=1)
    ]
    way = way_to(api, stage, profile, endpoint, tenant=tenant, door=door)
    taken = way.submit(items)
    for refused in taken.refused:
        output.note(f"{files[refused.index]}: refused: {refused.reason}; again with --key {refused.idempotency_key}")
    succeeded = _report(way, taken, wait=wait, timeout=timeout, json=json)
    if taken.refused or not succeeded:
        raise typer.Exit(1)


def watch(
    task: Annotated[str, typer.Argument(help="Task id, as t-...")],
    timeout: Seconds = 300.0,
    tenant: Speaks = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Follow a task to its end and print each change, what its attempts emit, and the result.

    It reads the task's row and event log five times a second, or with --api the task's live stream; a system should
    subscribe to the facts bus instead. Ends with status 1 when the task failed.

    \b
    Examples:
      pushlane watch t-0123456789abcdef0123456789abcdef
      pushlane watch t-0123456789abcdef0123456789abcdef --api https://api.example.com
    """
    from pushlane.cli.ways import plain, way_to

    way = way_to(api, stage, profile, endpoint, tenant=tenant)
    last = way.watch(task, timeout, None if json else output.line)
    if json:
        output.as_json(plain(last))
    elif last.status == "SUCCEEDED":
        output.as_json(way.result(last))
    if last.status != "SUCCEEDED":
        raise typer.Exit(1)


def wait(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK...", help="Task ids, as t-...")],
    timeout: Seconds = 300.0,
    tenant: Speaks = None,
    api: Api = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Wait until tasks are at rest, ended or dead-lettered. Ends with status 1 unless all have succeeded.

    \b
    Examples:
      pushlane wait t-0123456789abcdef0123456789abcdef --timeout 60
      pushlane submit *.md --tenant atlas --type extract | xargs pushlane wait --json
    """
    from pushlane.cli.ways import way_to

    way = way_to(api, stage, profile, endpoint, tenant=tenant)
    found = way.wait(tasks, timeout)
    if not _ended(way, [found[task_id] for task_id in dict.fromkeys(tasks)], json=json):
        raise typer.Exit(1)


def _report(way: "Way", taken: "Taken", *, wait: bool, timeout: float, json: bool) -> bool:
    """Print what was accepted, and with `wait` what came of it; False when a task failed."""
    if wait:
        records = way.wait([one.task_id for one in taken.accepted], timeout)
        return _ended(way, [records[one.task_id] for one in taken.accepted], json=json)
    if json:
        output.as_json(taken.accepted)
    else:
        for one in taken.accepted:
            output.line(one.task_id)
    return True


def _ended(way: "Way", tasks: "Sequence[SeenTask]", *, json: bool) -> bool:
    from pushlane.cli.ways import line_of

    if json:
        output.as_json([_with_result(way, one) for one in tasks])
    else:
        for one in tasks:
            output.line(line_of(one))
    return all(one.status == "SUCCEEDED" for one in tasks)


def _with_result(way: "Way", task: "SeenTask") -> Mapping[str, object]:
    from pushlane.cli.ways import plain

    return {**plain(task), "result": way.result(task) if task.status == "SUCCEEDED" else None}


def _labels(labels: Sequence[str] | None) -> dict[str, Any]:
    return {"labels": dict(_label(one) for one in labels)} if labels else {}


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not key=value", param_hint="--label")
    return key, value


def _deadline(seconds: float | None, *, hard: bool) -> dict[str, Any]:
    from pushlane.cli.target import now_ms

    if seconds is None:
        if hard:
            raise typer.BadParameter("say with --deadline what is to be kept", param_hint="--hard")
        return {}
    kind = DeadlineKind.HARD if hard else DeadlineKind.SOFT
    return {"deadline_ms": now_ms() + round(seconds * 1_000), "deadline_kind": kind.value}


def _key(key: str | None, place: int, files: int) -> dict[str, Any]:
    return {} if key is None else {"idempotency_key": f"{key}/{place}" if files > 1 else key}
