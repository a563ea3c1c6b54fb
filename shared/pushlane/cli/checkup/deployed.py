"""Checks of what is deployed: stacks, tables, queues, who consumes them, and the sweep."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from msgspec import Struct

from pushlane.cli.checkup.findings import Finding, or_well, problem, warning, well
from pushlane.client.installation import Installation, stack_prefix
from pushlane.client.overview import Overview
from pushlane.model.endpoint import EndpointKind
from pushlane.ports import Table

if TYPE_CHECKING:
    from boto3.session import Session

_DEPLOY: Final = "deploy all stacks again: `pushlane up`, or `cdk deploy --all -c stage=...`"
_STREAMED: Final = (Table.TASKS, Table.ATTEMPTS)
_GONE: Final = frozenset({"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_SCHEDULE: Final = "AWS::Scheduler::Schedule"
_SWEEP: Final = "Sweep"
_BACKLOG: Final = 1_000


class _Source(Struct, frozen=True):
    """Something that a function has to consume."""

    name: str
    arn: str


class Deployed:
    """Looks with the operator's credentials; changes nothing."""

    def __init__(self, session: "Session", installation: Installation, overview: Overview) -> None:
        self._session = session
        self._installation = installation
        self._overview = overview

    def stacks(self) -> list[Finding]:
        """Every stack of the stage has come to a good end."""
        ours = self._stacks()
        found = [finding for one in ours if (finding := _stack(one["StackName"], one["StackStatus"]))]
        return or_well("stacks", found, f"{len(ours)} stacks, all complete")

    def tables(self) -> list[Finding]:
        """Every table is there and active, and those whose changes are facts have their streams."""
        client = self._session.client("dynamodb")
        found: list[Finding] = []
        for table, name in self._installation.tables.items():
            try:
                said = client.describe_table(TableName=name)["Table"]
            except ClientError as error:
                if error.response["Error"]["Code"] not in _GONE:
                    raise
                found.append(problem("tables", f"table {table} ({name}) is gone", _DEPLOY))
                continue
            if (status := said.get("TableStatus")) != "ACTIVE":
                found.append(warning("tables", f"table {table} ({name}) is {status}", "wait until it is active"))
            if table in _STREAMED and not said.get("LatestStreamArn"):
                found.append(problem("tables", f"table {table} has no stream, so nothing becomes a fact", _DEPLOY))
        return or_well("tables", found, f"{len(self._installation.tables)} tables, all active")

    def queues(self) -> list[Finding]:
        """Every queue is there, has somewhere for what fails, and no backlog."""
        found: list[Finding] = []
        queues = self._queues()
        for name, url in queues:
            attributes = self._attributes(url)
            if attributes is None:
                found.append(problem("queues", f"queue {name} is gone", _DEPLOY))
                continue
            waiting = int(attributes.get("ApproximateNumberOfMessages", 0))
            if "RedrivePolicy" not in attributes:
                found.append(warning("queues", f"queue {name} has no dead-letter queue", _DEPLOY))
            if waiting > _BACKLOG:
                fix = "see with `pushlane doctor` whether it is consumed, and the errors and throttles of its function"
                found.append(warning("queues", f"{waiting} messages wait in {name}", fix))
        return or_well("queues", found, f"{len(queues)} queues, each with a dead-letter queue and without a backlog")

    def dead_letters(self) -> list[Finding]:
        """Nothing lies in quarantine or among the dead letters."""
        found: list[Finding] = []
        for place in self._installation.dead_letter_queues:
            attributes = self._attributes(place.url)
            if attributes is None:
                found.append(problem("dead letters", f"the dead-letter queue {place.name} is gone", _DEPLOY))
            elif count := int(attributes.get("ApproximateNumberOfMessages", 0)):
                fix = f"look with `pushlane dlq show {place.name}`, then redrive or discard them (docs/recover.md)"
                found.append(warning("dead letters", f"{count} messages in {place.name}", fix))
        return or_well("dead letters", found, f"{len(self._installation.dead_letter_queues)} queues, all empty")

    def mappings(self) -> list[Finding]:
        """Every queue, stream and table that a function has to consume has an enabled mapping."""
        pages = self._session.client("lambda").get_paginator("list_event_source_mappings").paginate()
        by_source: dict[str, list[Any]] = {}
        for page in pages:
            for one in page["EventSourceMappings"]:
                by_source.setdefault(one.get("EventSourceArn", ""), []).append(one)
        sources = list(self._sources())
        found = [one for source in sources for one in _mapped(source, by_source.get(source.arn, []))]
        return or_well("mappings", found, f"{len(sources)} sources, each with an enabled mapping")

    def sweep(self) -> list[Finding]:
        """The sweep's schedule is there and enabled."""
        client = self._session.client("cloudformation")
        pages = [
            page
            for stack in self._stacks()
            for page in client.get_paginator("list_stack_resources").paginate(StackName=stack["StackName"])
        ]
        names = [
            one.get("PhysicalResourceId", "")
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] == _SCHEDULE and _SWEEP in one["LogicalResourceId"]
        ]
        if not names:
            return [problem("sweep", "no stack has a schedule for the sweep", _DEPLOY)]
        return [self._schedule(name.rpartition("/")[2].rpartition("|")[2]) for name in names]

    def _stacks(self) -> list[Any]:
        """Those that are named for the stage, or put out one of the names that the installation was found by."""
        prefix, known = stack_prefix(self._installation.stage), self._installation.tasks_table
        pages = self._session.client("cloudformation").get_paginator("describe_stacks").paginate()
        every = [one for page in pages for one in page["Stacks"]]
        return [one for one in every if one["StackName"].startswith(prefix) or _puts_out(one, known)]

    def _schedule(self, name: str) -> Finding:
        client = self._session.client("scheduler")
        try:
            state = client.get_schedule(Name=name)["State"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            return problem("sweep", f"schedule {name} is gone: nothing makes good what a wake-up loses", _DEPLOY)
        if state != "ENABLED":
            return problem("sweep", f"schedule {name} is {state.lower()}", "enable it in EventBridge Scheduler")
        return well("sweep", "its schedule is enabled")

    def _queues(self) -> list[tuple[str, str]]:
        at = self._installation
        named = [(f"intake {place}", url) for place, url in enumerate(at.intake_queue_urls)]
        named += [("results", at.results_queue_url), ("wake-ups", at.wakeups_queue_url), ("held", at.held_queue_url)]
        agents = [one for one in self._overview.agents() if one.endpoint.kind is EndpointKind.SQS]
        return named + [(f"agent {one.pool}/{one.agent_id}", one.endpoint.target) for one in agents]

    def _sources(self) -> Iterator[_Source]:
        for name, url in self._queues():
            attributes = self._attributes(url)
            if attributes is not None:
                yield _Source(f"queue {name}", attributes["QueueArn"])
        kinesis = self._session.client("kinesis")
        stream = kinesis.describe_stream_summary(StreamName=self._installation.stream_name)
        yield _Source("the intake stream", stream["StreamDescriptionSummary"]["StreamARN"])
        dynamodb = self._session.client("dynamodb")
        for table in _STREAMED:
            said = dynamodb.describe_table(TableName=self._installation.tables[table])["Table"]
            if "LatestStreamArn" in said:
                yield _Source(f"changes of table {table}", said["LatestStreamArn"])

    def _attributes(self, url: str) -> dict[str, str] | None:
        """Of a queue; None when it is gone."""
        sqs = self._session.client("sqs")
        try:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            return {str(name): value for name, value in found.items()}
        except ClientError as error:
            if "NonExistentQueue" not in (code := error.response["Error"]["Code"]) and code not in _GONE:
                raise
            return None


def _puts_out(stack: Any, value: str) -> bool:
    return any(one.get("OutputValue") == value for one in stack.get("Outputs", []))


def _stack(name: str, status: str) -> Finding | None:
    if status.endswith("_COMPLETE") and "ROLLBACK" not in status:
        return None
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return warning("stacks", f"{name}: its last update was rolled back", f"see its events, then {_DEPLOY}")
    if status.endswith("IN_PROGRESS"):
        return warning("stacks", f"{name} is {status}", "wait until it has ended, and look again")
    return problem("stacks", f"{name} is {status}", f"see its events in CloudFormation, then {_DEPLOY}")


def _mapped(source: _Source, mappings: Sequence[Any]) -> Iterator[Finding]:
    if not mappings:
        yield problem("mappings", f"nothing consumes {source.name}", _DEPLOY)
    for one in mappings:
        state, uuid = one.get("State", "Enabled"), one["UUID"]
        if state in ("Disabled", "Disabling"):
            fix = f"aws lambda update-event-source-mapping --uuid {uuid} --enabled"
            yield problem("mappings", f"the mapping of {source.name} is {state.lower()}", fix)
        if str(one.get("LastProcessingResult", "")).startswith("PROBLEM"):
            fix = f"see the log of {one.get('FunctionArn', '').rpartition(':')[2]}"
            yield warning("mappings", f"{source.name}: {one['LastProcessingResult']}", fix)
