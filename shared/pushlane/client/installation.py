"""Where a deployed Pushlane is: names and addresses, as the CDK stacks put them out."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as fields_of

from pushlane.client.errors import NotInstalled
from pushlane.model.dead_letters import DeadLetterPlace, dead_letter_place
from pushlane.ports import Table

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

_DEAD_LETTERS: Final = "dead_letter_queues"
_LISTS: Final = frozenset({"intake_queue_urls", "intake_topic_arns", _DEAD_LETTERS})
_URLS: Final = frozenset({"http_url", "iam_http_url", "web_socket_url"})
_API_HOST: Final = ".execute-api.localhost"
# What `Dispatcher` tags its stack with, and everything in it.
STAGE_TAG: Final = "pushlane:stage"
# Names the stack of an installation where an account and region have several of a stage.
STACK_VARIABLE: Final = "PUSHLANE_STACK"


class Installation(Struct, frozen=True, kw_only=True):
    """One deployed Pushlane. Each field is a stack output of that name in CamelCase (`tasks_table` is `TasksTable`).

    `measures_table` is None where a version is deployed that keeps none. `http_url`, `iam_http_url` (for callers that
    sign with AWS credentials) and `web_socket_url` are None where the API is not deployed.
    """

    stage: str
    tasks_table: str
    attempts_table: str
    scheduler_table: str
    config_table: str
    events_table: str
    connections_table: str
    claims_bucket: str
    ingress_bus_name: str
    facts_bus_name: str
    intake_topic_arns: tuple[str, ...]
    stream_name: str
    intake_queue_urls: tuple[str, ...]
    results_queue_url: str
    wakeups_queue_url: str
    held_queue_url: str
    quarantine_queue_url: str
    dead_letter_queues: tuple[DeadLetterPlace, ...]
    measures_table: str | None = None
    signing_secret_arn: str | None = None
    schedule_group: str | None = None
    http_url: str | None = None
    iam_http_url: str | None = None
    web_socket_url: str | None = None

    @property
    def tables(self) -> dict[Table, str]:
        """The physical name of each table."""
        return {
            Table.TASKS: self.tasks_table,
            Table.ATTEMPTS: self.attempts_table,
            Table.SCHEDULER: self.scheduler_table,
            Table.CONFIG: self.config_table,
            Table.EVENTS: self.events_table,
            Table.CONNECTIONS: self.connections_table,
            **({} if self.measures_table is None else {Table.MEASURES: self.measures_table}),
        }

    @classmethod
    def from_outputs(cls, stage: str, outputs: Mapping[str, str]) -> "Installation":
        """From the outputs of all stacks, merged; raises `NotInstalled` naming the missing ones."""
        required = [field.name for field in fields_of(cls) if field.default is NODEFAULT and field.name != "stage"]
        missing = [output_name(name) for name in required if not outputs.get(output_name(name))]
        if missing:
            raise NotInstalled(
                f"stage {stage}: the stacks have no output {', '.join(missing)}; deploy all stacks again"
            )
        given = [name for name in cls.__struct_fields__ if output_name(name) in outputs]
        values: dict[str, Any] = {name: _value(name, outputs[output_name(name)]) for name in given}
        return cls(stage=stage, **values)

    @classmethod
    def from_stacks(cls, stage: str, stacks: Mapping[str, Mapping[str, str]]) -> "Installation":
        """From the outputs of each stack by its name, as a deployment gives them."""
        return cls.from_outputs(stage, _merged(stacks.values()))

    @classmethod
    def from_outputs_file(cls, stage: str, path: Path) -> "Installation":
        """From the file that `cdk deploy --outputs-file` writes: `{stack: {output: value}}`."""
        try:
            stacks: dict[str, dict[str, str]] = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError) as error:
            raise NotInstalled(f"{path}: {error}; deploy with --outputs-file") from error
        return cls.from_stacks(stage, stacks)

    @classmethod
    def from_cloudformation(
        cls, stage: str, cloudformation: "CloudFormationClient", stack: str | None = None
    ) -> "Installation":
        """From the outputs of the stage's stacks in the account and region that the client speaks to.

        Those are the stacks that are named for the stage; else the stack that a `Dispatcher` tagged with it, in an app
        of your own. `stack` names that one where there are several. Raises `NotInstalled`.
        """
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        stacks = [one for page in pages for one in page["Stacks"]]
        outputs = {one["StackName"]: _outputs(one) for one in _stacks_of(stage, stacks, stack)}
        homes = sorted(name for name, values in outputs.items() if output_name("tasks_table") in values)
        if len(homes) > 1:
            raise NotInstalled(
                f"stage {stage} is there more than once: {', '.join(homes)}; set {STACK_VARIABLE} to one"
            )
        return cls.from_stacks(stage, outputs)


def _stacks_of(stage: str, stacks: "Iterable[StackTypeDef]", stack: str | None) -> "list[StackTypeDef]":
    """The stacks of one installation; raises `NotInstalled` when there are none."""
    listed, prefix = list(stacks), stack_prefix(stage)
    if stack is not None:
        found = [one for one in listed if one["StackName"] == stack]
    else:
        named = [one for one in listed if one["StackName"].startswith(prefix)]
        found = named or [one for one in listed if {"Key": STAGE_TAG, "Value": stage} in one.get("Tags", [])]
    if not found:
        raise NotInstalled(
            f"no stack {stack or f'{prefix}*'} in this account and region; deploy with `cdk deploy -c stage={stage}`"
        )
    return found


def _outputs(stack: "StackTypeDef") -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def stack_prefix(stage: str) -> str:
    """Every stack of a stage is named with this first."""
    return f"Pushlane-{stage.capitalize()}-"


def output_name(field: str) -> str:
    """The stack output that fills a field."""
    return "".join(word.capitalize() for word in field.split("_"))


def _merged(stacks: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """All outputs together. Each stack lists its own dead-letter queues, so equal names are joined as lists."""
    merged: dict[str, str] = {}
    for outputs in stacks:
        for name, value in outputs.items():
            merged[name] = f"{merged[name]},{value}" if name in merged else value
    return merged


def _value(name: str, text: str) -> str | tuple[str, ...] | tuple[DeadLetterPlace, ...]:
    if name in _URLS:
        return reachable(text, "ws" if name == "web_socket_url" else "http")
    if name not in _LISTS:
        return text
    parts = tuple(part for part in text.split(",") if part)
    return tuple(map(dead_letter_place, parts)) if name == _DEAD_LETTERS else parts


def reachable(url: str, scheme: str) -> str:
    """The address of an API as it can be called, without a slash at its end. An emulator says a host under `localhost`
    that few resolvers know, and says `http` of a WebSocket API too: there the same API is found by its path.

    >>> reachable("https://a1.execute-api.eu-west-1.amazonaws.com/", "http")
    'https://a1.execute-api.eu-west-1.amazonaws.com'
    >>> reachable("http://a1.execute-api.localhost:4566/live", "ws")
    'ws://127.0.0.1:4566/_aws/execute-api/a1/live'
    """
    parts = urlsplit(url)
    api_id, found, rest = (parts.hostname or "").partition(_API_HOST)
    if not found or rest:
        return url.rstrip("/")
    stage = parts.path.strip("/") or "$default"
    return f"{scheme}://127.0.0.1:{parts.port or 80}/_aws/execute-api/{api_id}/{stage}"
