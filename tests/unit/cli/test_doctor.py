"""`pushlane doctor` of what is deployed: at moto, or told by clients that are given their answers."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any, cast

import boto3
import msgspec
import pytest
from moto import mock_aws

from pushlane.cli import doctor
from pushlane.cli.checkup.deployed import Deployed
from pushlane.cli.checkup.findings import Finding, Level
from pushlane.client import Installation
from pushlane.client.overview import Overview
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace
from pushlane.ports import Update
from pushlane.state import keys
from tests.unit.cli.test_cli import Installed
from tests.unit.client.doubles import INSTALLATION

pytestmark = pytest.mark.xdist_group("moto")
REGION = "eu-west-1"
SCHEDULE = "every-minute"


class World:
    """An installation at moto that lacks nothing. The dispatcher beside it holds how it stands."""

    def __init__(self) -> None:
        self.session = boto3.session.Session(region_name=REGION)
        self.installed = Installed()
        self.sqs = self.session.client("sqs")
        self.dead = self._queue("dead")
        self.installation = self._deployed()
        self.overview = Overview(self.installation, self.installed.store, self.sqs)
        self.mappings = self._mappings()

    def checks(self) -> Deployed:
        return Deployed(self.session, self.installation, self.overview)

    def _queue(self, name: str) -> str:
        return self.sqs.create_queue(QueueName=name)["QueueUrl"]

    def _work(self, name: str) -> str:
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
        return self.sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"]

    def _deployed(self) -> Installation:
        dynamodb = self.session.client("dynamodb")
        for name in {*INSTALLATION.tables.values()}:
            dynamodb.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )
        self.session.client("kinesis").create_stream(StreamName="stream", ShardCount=1)
        self.installed.store.write(Update(keys.agent_key("default", "extract"), set={"endpoint_kind": "pull"}))
        return msgspec.structs.replace(
            INSTALLATION,
            intake_queue_urls=(self._work("intake-0"), self._work("intake-1")),
            results_queue_url=self._work("results"),
            wakeups_queue_url=self._work("wakeups"),
            held_queue_url=self._work("held"),
            dead_letter_queues=(DeadLetterPlace(name="results", kind=DeadLetterKind.QUEUE, url=self.dead),),
        )

    def _mappings(self) -> dict[str, str]:
        """A function that consumes every source; the ids of its mappings by the name of the source."""
        role = self.session.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        client = self.session.client("lambda")
        client.create_function(
            FunctionName="router", Role=role, Runtime="python3.13", Handler="h.h", Code={"ZipFile": _zipped()}
        )
        found: dict[str, str] = {}
        for source in self.checks()._sources():
            said: Any = {"StartingPosition": "LATEST"} if ":sqs:" not in source.arn else {}
            made = client.create_event_source_mapping(EventSourceArn=source.arn, FunctionName="router", **said)
            found[source.name] = made["UUID"]
        return found


def _zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("h.py", "def h(event, context): pass")
    return made.getvalue()


@pytest.fixture(scope="module")
def whole() -> Iterator[World]:
    with mock_aws():
        yield World()


def levels(found: list[Finding]) -> list[Level]:
    return [one.level for one in found]


@pytest.mark.parametrize("check", ["tables", "queues", "mappings", "dead_letters"])
def test_an_installation_that_lacks_nothing_is_well(whole: World, check: str) -> None:
    assert levels(getattr(whole.checks(), check)()) == [Level.OK]


def test_a_table_that_is_gone_is_a_problem(whole: World) -> None:
    lost = msgspec.structs.replace(whole.installation, config_table="nowhere")
    (found,) = Deployed(whole.session, lost, whole.overview).tables()
    assert (found.level, "nowhere" in found.said, "pushlane up" in (found.fix or "")) == (Level.PROBLEM, True, True)


def test_a_queue_that_is_gone_or_fails_into_nothing_is_told(whole: World) -> None:
    bare = whole._queue("bare")
    lost = msgspec.structs.replace(whole.installation, held_queue_url=bare + "-gone", wakeups_queue_url=bare)
    found = Deployed(whole.session, lost, whole.overview).queues()
    assert [(one.level, one.said) for one in found] == [
        (Level.WARNING, "queue wake-ups has no dead-letter queue"),
        (Level.PROBLEM, "queue held is gone"),
    ]


def test_what_nothing_consumes_is_a_problem(whole: World) -> None:
    lost = msgspec.structs.replace(whole.installation, results_queue_url=whole._queue("new"))
    (found,) = Deployed(whole.session, lost, whole.overview).mappings()
    assert (found.level, found.said) == (Level.PROBLEM, "nothing consumes queue results")


def test_a_disabled_mapping_is_told_with_the_call_that_enables_it(whole: World) -> None:
    client, uuid = whole.session.client("lambda"), whole.mappings["queue results"]
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    try:
        (found,) = whole.checks().mappings()
    finally:
        client.update_event_source_mapping(UUID=uuid, Enabled=True)
    assert (found.level, "queue results is disabled" in found.said) == (Level.PROBLEM, True)
    assert f"--uuid {uuid} --enabled" in (found.fix or "")


def test_dead_letters_are_told_with_the_way_to_them(whole: World) -> None:
    whole.sqs.send_message(QueueUrl=whole.dead, MessageBody="x")
    try:
        (found,) = whole.checks().dead_letters()
    finally:
        whole.sqs.purge_queue(QueueUrl=whole.dead)
    assert (found.level, found.said) == (Level.WARNING, "1 messages in results")
    assert "pushlane dlq show results" in (found.fix or "")


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("CREATE_COMPLETE", Level.OK),
        ("UPDATE_COMPLETE", Level.OK),
        ("UPDATE_ROLLBACK_COMPLETE", Level.WARNING),
        ("UPDATE_IN_PROGRESS", Level.WARNING),
        ("ROLLBACK_COMPLETE", Level.PROBLEM),
        ("UPDATE_ROLLBACK_FAILED", Level.PROBLEM),
    ],
)
def test_a_stack_is_judged_by_its_status(status: str, level: Level) -> None:
    stacks = [{"StackName": "Pushlane-Local-State", "StackStatus": status}, {"StackName": "Other", "StackStatus": "X"}]
    found = _deployed(cloudformation=_Pages(describe_stacks={"Stacks": stacks})).stacks()
    assert levels(found) == [level]


# An app of one's own may call its stack what it likes.
OWN_STACK = {"Stacks": [{"StackName": "Mine", "StackStatus": "CREATE_COMPLETE", "Outputs": [{"OutputValue": "tasks"}]}]}


def test_a_stack_of_any_name_is_found_by_what_it_puts_out() -> None:
    (found,) = _deployed(cloudformation=_Pages(describe_stacks=OWN_STACK)).stacks()
    assert (found.level, found.said) == (Level.OK, "1 stacks, all complete")


@pytest.mark.parametrize(("state", "level"), [("ENABLED", Level.OK), ("DISABLED", Level.PROBLEM)])
def test_the_sweeps_schedule_has_to_be_enabled(state: str, level: Level) -> None:
    kind = "AWS::Scheduler::Schedule"
    resource = {"ResourceType": kind, "LogicalResourceId": "RoutingSweepEveryMinute", "PhysicalResourceId": SCHEDULE}
    other = {"ResourceType": kind, "LogicalResourceId": "Nightly", "PhysicalResourceId": "of-somebody-else"}
    pages = _Pages(list_stack_resources={"StackResourceSummaries": [other, resource]}, describe_stacks=OWN_STACK)
    asked: list[str] = []

    class Scheduler:
        def get_schedule(self, **said: str) -> dict[str, str]:
            asked.append(said["Name"])
            return {"State": state}

    assert levels(_deployed(cloudformation=pages, scheduler=Scheduler()).sweep()) == [level]
    assert asked == [SCHEDULE]


def test_without_a_schedule_the_sweep_is_missed() -> None:
    pages = _Pages(list_stack_resources={"StackResourceSummaries": []}, describe_stacks=OWN_STACK)
    assert levels(_deployed(cloudformation=pages).sweep()) == [Level.PROBLEM]


class _Pages:
    """A client whose pages are given."""

    def __init__(self, **pages: Any) -> None:
        self._pages = pages

    def get_paginator(self, name: str) -> Any:
        page = self._pages[name]

        class Paginator:
            def paginate(self, **_said: Any) -> list[Any]:
                return [page]

        return Paginator()


def _deployed(**clients: Any) -> Deployed:
    class Session:
        def client(self, name: str) -> Any:
            return clients[name]

    nothing: Any = None
    return Deployed(cast(Any, Session()), INSTALLATION, nothing)


def test_every_check_is_made(whole: World) -> None:
    class Everything:
        session, installation, overview = whole.session, whole.installation, whole.overview
        store = whole.installed.store

    assert len(doctor.checks(cast(Any, Everything()))) == 15
