"""The outputs of the stacks become an installation, or an error that says what is missing."""

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pushlane.client import Installation, NotInstalled
from pushlane.client.installation import STAGE_TAG, output_name, reachable, stack_prefix
from tests.unit.client.doubles import INSTALLATION

STACKS = {
    "Pushlane-Local-State": {
        "TasksTable": "tasks",
        "AttemptsTable": "attempts",
        "SchedulerTable": "scheduler",
        "ConfigTable": "config",
        "EventsTable": "events",
        "ConnectionsTable": "connections",
        "ClaimsBucket": "claims",
        "DeadLetterQueues": "intake intake queue/dlq-a",
    },
    "Pushlane-Local-Channels": {
        "IngressBusName": "ingress",
        "FactsBusName": "facts",
        "IntakeTopicArns": "arn:topic/0,arn:topic/1",
        "StreamName": "stream",
        "IntakeQueueUrls": "queue/0,queue/1",
        "ResultsQueueUrl": "queue/results",
        "WakeupsQueueUrl": "queue/wakeups",
        "HeldQueueUrl": "queue/held",
        "QuarantineQueueUrl": "queue/quarantine",
        "DeadLetterQueues": "held queue queue/dlq-b queue/held,quarantine quarantine queue/quarantine",
    },
}


class Stacks:
    """CloudFormation with these stacks."""

    def __init__(self, stacks: dict[str, dict[str, str]], tagged: tuple[str, ...] = ()) -> None:
        self._stacks = stacks
        self._tags = {name: [{"Key": STAGE_TAG, "Value": "dev"}] for name in tagged}

    def get_paginator(self, name: str) -> "Stacks":
        assert name == "describe_stacks"
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [
            {"Stacks": [{"StackName": name, "Outputs": _outputs(outputs), "Tags": self._tags.get(name, [])}]}
            for name, outputs in self._stacks.items()
        ]


def _outputs(outputs: dict[str, str]) -> list[dict[str, str]]:
    return [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]


def test_lists_of_equal_name_in_several_stacks_are_joined() -> None:
    assert Installation.from_stacks("local", STACKS) == INSTALLATION


def test_the_outputs_file_of_cdk_is_read(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(STACKS))
    assert Installation.from_outputs_file("local", file) == INSTALLATION


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="--outputs-file"):
        Installation.from_outputs_file("local", tmp_path / "none.json")


def test_missing_outputs_are_named() -> None:
    with pytest.raises(NotInstalled, match="FactsBusName"):
        Installation.from_stacks("local", {"one": STACKS["Pushlane-Local-State"]})


def test_only_the_stacks_of_the_stage_are_looked_at() -> None:
    others = {"Other": {"TasksTable": "theirs"}, "Pushlane-Dev-State": {"TasksTable": "dev"}}
    cloudformation = cast(Any, Stacks({**STACKS, **others}))
    assert Installation.from_cloudformation("local", cloudformation) == INSTALLATION


def test_no_stack_of_the_stage_is_an_error() -> None:
    with pytest.raises(NotInstalled, match="Pushlane-Prod-"):
        Installation.from_cloudformation("prod", cast(Any, Stacks(STACKS)))


WHOLE = {
    name: ",".join(outputs[name] for outputs in STACKS.values() if name in outputs)
    for name in {name for outputs in STACKS.values() for name in outputs}
}


def test_an_app_of_ones_own_is_found_by_its_tag() -> None:
    cloudformation = cast(Any, Stacks({"WordCounter": WHOLE, "Other": {"TasksTable": "theirs"}}, ("WordCounter",)))
    assert Installation.from_cloudformation("dev", cloudformation) == msgspec.structs.replace(INSTALLATION, stage="dev")
    with pytest.raises(NotInstalled, match="Pushlane-Prod-"):
        Installation.from_cloudformation("prod", cloudformation)


def test_of_two_apps_one_has_to_be_named() -> None:
    cloudformation = cast(Any, Stacks({"One": WHOLE, "Two": WHOLE | {"StreamName": "two"}}, ("One", "Two")))
    with pytest.raises(NotInstalled, match="One, Two; set PUSHLANE_STACK"):
        Installation.from_cloudformation("dev", cloudformation)
    assert Installation.from_cloudformation("dev", cloudformation, "Two").stream_name == "two"
    with pytest.raises(NotInstalled, match="no stack Three"):
        Installation.from_cloudformation("dev", cloudformation, "Three")


def test_names_follow_one_rule() -> None:
    assert output_name("intake_queue_urls") == "IntakeQueueUrls"
    assert stack_prefix("dev") == "Pushlane-Dev-"


def test_every_field_has_its_output() -> None:
    outputs = {name for stack in STACKS.values() for name in stack}
    required = [one.name for one in msgspec.structs.fields(Installation) if one.default is msgspec.NODEFAULT]
    assert outputs == {output_name(name) for name in required} - {"Stage"}


API = {
    "HttpUrl": "https://a1.execute-api.eu-west-1.amazonaws.com",
    "IamHttpUrl": "https://a2.execute-api.eu-west-1.amazonaws.com",
    "WebSocketUrl": "wss://a3.execute-api.eu-west-1.amazonaws.com/live",
}


def test_an_installation_with_the_api_says_where_it_is() -> None:
    found = Installation.from_stacks("prod", {**STACKS, "Pushlane-Prod-Api": API})
    assert (found.http_url, found.iam_http_url, found.web_socket_url) == tuple(API.values())


def test_an_emulators_api_is_reached_by_its_path() -> None:
    outputs = {
        "HttpUrl": "http://a1.execute-api.localhost:4566",
        "WebSocketUrl": "http://a3.execute-api.localhost:4566/live",
    }
    found = Installation.from_stacks("local", {**STACKS, "Pushlane-Local-Api": outputs})
    assert found.http_url == "http://127.0.0.1:4566/_aws/execute-api/a1/$default"
    assert found.web_socket_url == "ws://127.0.0.1:4566/_aws/execute-api/a3/live"
    assert found.iam_http_url is None


def test_a_host_that_only_looks_like_an_emulators_is_left_alone() -> None:
    assert reachable("https://a1.execute-api.localhost.example", "http") == "https://a1.execute-api.localhost.example"
