"""Verbs around tasks: submit, watch."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import DoorName, Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from pushlane.cli.target import Target
    from pushlane.client import Client, Submitted, TaskRecord

WATCH_SECONDS = 0.2
# From a door's yes to the task's row; through the stream it can take a second or two.
APPEAR_SECONDS = 10.0
# From the end of a task to the end of its event log.
LOGGED_SECONDS = 2.0


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(submit)
    app.command()(watch)


def submit(
    files: Annotated[
        list[str], typer.Argument(help="*.md or *.html become documents, *.json is the payload, - is stdin.")
    ],
    tenant: Annotated[str, typer.Option(help="Tenant that submits.")],
    type: Annotated[str, typer.Option(help="Task type, as extract or summarize.")],  # noqa: A002 - the option is --type
    door: Annotated[DoorName, typer.Option(help="The way in.")] = DoorName.SQS,
    label: Annotated[list[str] | None, typer.Option(help="A label as key=value; repeatable.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key; with several files each gets key/1, key/2.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results and print them.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
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
      echo '{"do": "echo"}' | pushlane submit - --tenant atlas --type chaos --wait --json
    """
    from pushlane.cli.documents import payload_of
    from pushlane.cli.target import connect

    labels = dict(_label(one) for one in label or [])
    common = {"tenant_id": tenant, "task_type": type, "labels": labels}
    items = [
        {**common, "payload": payload_of(name), "idempotency_key": _key(key, place, len(files))}
        for place, name in enumerate(files, start=1)
    ]
    target = connect(stage, profile, endpoint)
    batch = target.client.submit_many(items, door=door.value)
    for refused in batch.refused:
        output.note(f"{files[refused.index]}: refused: {refused.reason}; again with --key {refused.idempotency_key}")
    succeeded = _report(target, batch.accepted, wait=wait, timeout=timeout, json=json)
    if batch.refused or not succeeded:
        raise typer.Exit(1)


def watch(
    task: Annotated[str, typer.Argument(help="Task id, as t-...")],
    timeout: Annotated[float, typer.Option(help="Seconds to watch.")] = 300.0,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Follow a task to its end and print each change, what its attempts emit, and the result.

    It reads the task's row and event log five times a second; a system should subscribe to the facts bus instead.
    Changes between two reads are seen as one. Ends with status 1 when the task failed.

    \b
    Example:
      pushlane watch t-0123456789abcdef0123456789abcdef
    """
    from pushlane.cli.emits import Emits
    from pushlane.cli.target import connect
    from pushlane.client.event_log import EventLog

    target = connect(stage, profile, endpoint)
    client, emits = target.client, Emits(EventLog(target.store), task)
    last: TaskRecord | None = None
    for record in transitions(client, task, timeout, look=None if json else emits.show):
        if not json:
            output.line(_transition(record))
        last = record
    if last is not None and json:
        output.as_json(_plain(last))
    elif last is not None:
        emits.show_rest(LOGGED_SECONDS)
    if last is not None and last.status == "SUCCEEDED":
        if not json:
            output.as_json(client.result(last))
        return
    raise typer.Exit(1)


def transitions(
    client: "Client", task_id: str, timeout_seconds: float, look: Callable[[], None] | None = None
) -> Iterator["TaskRecord"]:
    """The task's record each time that it has changed, the terminal one last; `look` is called once a round. Raises
    `TaskUnknown` when the task does not appear within a few seconds, and `StillRunning` when the time is over.
    """
    import time

    from pushlane.client import StillRunning, TaskUnknown

    started = time.monotonic()
    last: TaskRecord | None = None
    while last is None or not last.at_rest:
        record = client.tasks([task_id]).get(task_id)
        if look is not None:
            look()
        waited = time.monotonic() - started
        if record is None and waited >= min(APPEAR_SECONDS, timeout_seconds):
            raise TaskUnknown(task_id)
        if record is not None and record != last:
            yield record
            last = record
        elif waited >= timeout_seconds:
            raise StillRunning([task_id], timeout_seconds)
        else:
            time.sleep(WATCH_SECONDS)


def _report(target: "Target", accepted: tuple["Submitted", ...], *, wait: bool, timeout: float, json: bool) -> bool:
    """Print what was accepted, and with `wait` what came of it; False when a task failed."""
    if not wait:
        if json:
            output.as_json(accepted)
        else:
            for one in accepted:
                output.line(one.task_id)
        return True
    records = target.client.wait([one.task_id for one in accepted], timeout_seconds=timeout)
    ended = [records[one.task_id] for one in accepted]
    if json:
        output.as_json([_with_result(target, record) for record in ended])
    else:
        for record in ended:
            output.line(_transition(record))
    return all(record.status == "SUCCEEDED" for record in ended)


def _with_result(target: "Target", record: "TaskRecord") -> dict[str, object]:
    result = target.client.result(record) if record.status == "SUCCEEDED" else None
    return {**_plain(record), "result": result}


def _plain(record: "TaskRecord") -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(msgspec.structs.replace(record, task=None))
    plain.pop("task")
    return plain


def _transition(record: "TaskRecord") -> str:
    parts = [record.task_id, record.status.value, f"attempt {record.epoch}"]
    if record.park_reason and record.status == "PARKED":
        parts.append(f"waits for {record.park_reason}")
    if record.started_at_ms and record.finished_at_ms:
        parts.append(f"ran {record.finished_at_ms - record.started_at_ms} ms")
    if record.error:
        parts.append(f"{record.error.error_type}: {record.error.message}")
    return "  ".join(parts)


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator:
        raise typer.BadParameter(f"{text!r} is not key=value", param_hint="--label")
    return key, value


def _key(key: str | None, place: int, files: int) -> str | None:
    return f"{key}/{place}" if key and files > 1 else key
