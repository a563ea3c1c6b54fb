"""Where a deployed Pushlane is: names and addresses, as the CDK stacks put them out."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from pushlane.client.errors import NotInstalled
from pushlane.model.dead_letters import DeadLetterPlace, dead_letter_place
from pushlane.ports import Table

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_DEAD_LETTERS: Final = "dead_letter_queues"
_LISTS: Final = frozenset({"intake_queue_urls", "intake_topic_arns", _DEAD_LETTERS})


class Installation(Struct, frozen=True, kw_only=True):
    """One deployed Pushlane. Each field is a stack output of that name in CamelCase (`tasks_table` is `TasksTable`)."""

    stage: str
    tasks_table: str
    attempts_table: str
    scheduler_table: str
    config_table: str
    events_table: str
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

    @property
    def tables(self) -> dict[Table, str]:
        """The physical name of each table."""
        return {
            Table.TASKS: self.tasks_table,
            Table.ATTEMPTS: self.attempts_table,
            Table.SCHEDULER: self.scheduler_table,
            Table.CONFIG: self.config_table,
            Table.EVENTS: self.events_table,
        }

    @classmethod
    def from_outputs(cls, stage: str, outputs: Mapping[str, str]) -> "Installation":
        """From the outputs of all stacks, merged; raises `NotInstalled` naming the missing ones."""
        fields = [name for name in cls.__struct_fields__ if name != "stage"]
        missing = [output_name(name) for name in fields if not outputs.get(output_name(name))]
        if missing:
            raise NotInstalled(
                f"stage {stage}: the stacks have no output {', '.join(missing)}; deploy all stacks again"
            )
        values: dict[str, Any] = {name: _value(name, outputs[output_name(name)]) for name in fields}
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
    def from_cloudformation(cls, stage: str, cloudformation: "CloudFormationClient") -> "Installation":
        """From the outputs of the stage's stacks in the account and region that the client speaks to."""
        prefix = stack_prefix(stage)
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackName"].startswith(prefix)]
        if not stacks:
            raise NotInstalled(
                f"no stack {prefix}* in this account and region; deploy with `cdk deploy -c stage={stage}`"
            )
        outputs = [{o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])} for stack in stacks]
        return cls.from_outputs(stage, _merged(outputs))


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
    if name not in _LISTS:
        return text
    parts = tuple(part for part in text.split(",") if part)
    return tuple(map(dead_letter_place, parts)) if name == _DEAD_LETTERS else parts
