"""Every function: its own role with exactly its rights, its settings complete, its logs kept as the stage says."""

import dataclasses
import platform
import sys
from typing import Any

import pytest

from pushlane.settings import edge
from pushlane.settings import functions as settings
from pushlane.settings.environment import variable
from tests.infrastructure.templates import Resource, Templates, actions, resource_values

pytestmark = pytest.mark.xdist_group("infrastructure")  # what these tests share is expensive

SETTINGS = {
    "RouterFunction": settings.RouterSettings,
    "SweepFunction": settings.SweepSettings,
    "LifecycleFunction": settings.LifecycleSettings,
    "StreamerFunction": settings.StreamerSettings,
    "RegistryFunction": settings.RegistrySettings,
    "AuthorizerFunction": edge.AuthorizerSettings,
    "ApiFunction": edge.ApiSettings,
    "SocketsFunction": edge.SocketsSettings,
    "CourierFunction": edge.CourierSettings,
    "Extract": settings.AgentSettings,
    "Summarize": settings.AgentSettings,
    "Digest": settings.AgentSettings,
}
AGENTS = ("Extract", "Summarize", "Digest")
READ = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
WRITE = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"}


def functions(templates: Templates) -> list[Resource]:
    return [one for one in templates.resources("AWS::Lambda::Function") if is_ours(one)]


def is_ours(function: Resource) -> bool:
    return str(function.properties.get("Handler", "")).endswith(".handler.handler")


def function(templates: Templates, name: str) -> Resource:
    return next(one for one in functions(templates) if name in one.logical_id)


def rights(templates: Templates, name: str) -> set[tuple[str, str]]:
    """(action, what it is allowed on) of a function's role; resources by the name of their construct."""
    role = templates.role_of(function(templates, name))
    return {
        (action, _label(templates, value, policy.stack))
        for policy in templates.policies(role)
        for statement in policy.properties["PolicyDocument"]["Statement"]
        for action in actions(statement)
        for value in resource_values(statement)
    }


def _label(templates: Templates, value: Any, stack: str) -> str:
    if isinstance(value, str):
        return value
    if "Fn::Join" not in value:
        return templates.target(value, stack).logical_id[:-8]
    parts = value["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else _part(templates, part, stack) for part in parts)


def _part(templates: Templates, part: Any, stack: str) -> str:
    pseudo = part.get("Ref", "")
    return f"<{pseudo}>" if pseudo.startswith("AWS::") else _label(templates, part, stack)


def test_every_function_of_production_runs_on_graviton_with_the_deployed_python(prod: Templates) -> None:
    assert len(functions(prod)) == len(SETTINGS)
    for one in functions(prod):
        assert one.properties["Architectures"] == ["arm64"]
        assert one.properties["Runtime"] == "python3.13"
        assert one.properties["TracingConfig"] == {"Mode": "Active"}
        assert "ReservedConcurrentExecutions" not in one.properties


def test_local_functions_run_on_this_machine(local: Templates) -> None:
    arm = platform.machine() in {"aarch64", "arm64"}
    for one in functions(local):
        assert one.properties["Architectures"] == ["arm64" if arm else "x86_64"]
        assert one.properties["Runtime"] == f"python3.{sys.version_info.minor}"
        assert "TracingConfig" not in one.properties


def test_chaos_is_deployed_locally_only(local: Templates, prod: Templates) -> None:
    assert local.resources(named="Chaos")
    assert not prod.resources(named="Chaos")


def test_roles_are_not_shared(prod: Templates) -> None:
    roles = [prod.role_of(one).logical_id for one in functions(prod)]
    assert len(set(roles)) == len(roles) == len(SETTINGS)
    for role in prod.resources("AWS::IAM::Role"):
        if "CustomResourceProvider" not in role.logical_id:
            assert not role.properties.get("ManagedPolicyArns"), role.logical_id


@pytest.mark.parametrize("name", SETTINGS)
def test_the_environment_holds_every_setting(prod: Templates, name: str) -> None:
    variables = function(prod, name).properties["Environment"]["Variables"]
    needed = {
        variable(field.name) for field in dataclasses.fields(SETTINGS[name]) if field.default is dataclasses.MISSING
    }
    assert needed <= variables.keys()
    assert {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"} <= variables.keys()


@pytest.mark.parametrize(("stage", "days"), [("local", 1), ("prod", 90)])
def test_logs_are_kept_as_long_as_the_stage_says(request: pytest.FixtureRequest, stage: str, days: int) -> None:
    templates: Templates = request.getfixturevalue(stage)
    for one in functions(templates):
        group = templates.target(one.properties["LoggingConfig"]["LogGroup"], one.stack)
        assert group.properties["RetentionInDays"] == days
        assert one.properties["LoggingConfig"]["LogFormat"] == "JSON"


def own(templates: Templates, name: str) -> set[tuple[str, str]]:
    """Rights beside writing the own log, tracing, and receiving from the own event sources."""
    plumbing = {"sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl", "sqs:DeleteMessage"}
    plumbing |= {"sqs:GetQueueAttributes", "dynamodb:ListStreams", "dynamodb:DescribeStream"}
    plumbing |= {"dynamodb:GetRecords", "dynamodb:GetShardIterator"}
    skipped = ("logs:", "xray:", "kinesis:", "kms:")
    return {
        (action, on)
        for action, on in rights(templates, name)
        if action not in plumbing and not action.startswith(skipped)
    }


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_may_update_its_attempt_nudge_emit_submit_and_exchange_large_values(
    prod: Templates, name: str
) -> None:
    assert own(prod, name) == {
        ("dynamodb:UpdateItem", "StateAttempts"),
        ("sqs:SendMessage", "ChannelsResults"),
        ("sqs:SendMessage", "ChannelsEvents"),
        *(("sqs:SendMessage", f"ChannelsIntake{number}") for number in range(8)),
        ("s3:GetObject", "StateClaims/claims/*"),
        ("s3:PutObject", "StateClaims/claims/*"),
    }


@pytest.mark.parametrize("name", ["RouterFunction", "SweepFunction"])
def test_a_turn_may_read_and_write_the_state_and_push(prod: Templates, name: str) -> None:
    state = {(action, table) for action in READ | WRITE for table in STATE_TABLES}
    indexes = {("dynamodb:Query", "StateAttempts/index/by_lease")}
    indexes |= {("dynamodb:Query", f"StateScheduler/index/{name}") for name in ("by_turn", "by_urgency", "by_late")}
    agents = "arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:pushlane-prod-agent-*"
    expected = state | indexes | {(action, "StateConfig") for action in READ}
    expected |= {("secretsmanager:GetSecretValue", "StateSigningSecret")}
    expected |= {("sqs:SendMessage", on) for on in ("ChannelsWakeups", "ChannelsOutbound", agents)}
    expected |= {
        ("lambda:InvokeFunction", agents.replace(":sqs:", ":lambda:").replace(":pushlane", ":function:pushlane"))
    }
    expected |= {("sns:Publish", agents.replace(":sqs:", ":sns:"))}
    expected |= {(action, "StateClaims/claims/*") for action in ("s3:GetObject", "s3:PutObject")}
    expected |= {("s3:ListBucket", "StateClaims")}
    if name == "RouterFunction":
        expected |= {("sqs:SendMessage", "ChannelsQuarantine"), ("sqs:SendMessage", "ChannelsHeld")}
        expected |= {("sqs:SendMessage", "RoutingRouterStreamDeadLetters")}
    else:
        expected |= {("sqs:SendMessage", "RoutingSweepScheduleDeadLetters"), ("dynamodb:DeleteItem", "StateConfig")}
        expected |= {("dynamodb:PutItem", "StateMeasures")}  # a sample of each pool
    granted = own(prod, name)
    settling = {one for one in granted if one[0].startswith(("scheduler:", "iam:PassRole"))}
    assert granted - settling == expected
    # The sweep finishes changes of schedules that broke off.
    calls = {"iam:PassRole", *(f"scheduler:{call}Schedule" for call in ("Create", "Update", "Delete", "Get"))}
    assert {action for action, _ in settling} == (calls if name == "SweepFunction" else set())


STATE_TABLES = ("StateTasks", "StateAttempts", "StateScheduler")


def test_the_lifecycle_may_publish_and_put_aside_and_reads_no_table(prod: Templates) -> None:
    assert own(prod, "LifecycleFunction") == {
        ("events:PutEvents", "ChannelsFacts"),
        ("sns:Publish", "ChannelsAnnouncements"),
        ("sqs:SendMessage", "ChannelsEvents"),
        ("dynamodb:UpdateItem", "StateMeasures"),
        ("secretsmanager:GetSecretValue", "StateSigningSecret"),
        ("sqs:SendMessage", "ChannelsQuarantine"),
        ("sqs:SendMessage", "RoutingLifecycleTasksStreamDeadLetters"),
        ("sqs:SendMessage", "RoutingLifecycleAttemptsStreamDeadLetters"),
    }


def test_the_streamer_may_check_proofs_write_the_event_logs_and_post_them_and_nothing_else(prod: Templates) -> None:
    read = ("dynamodb:GetItem", "dynamodb:BatchGetItem")
    expected = {(action, "StateTasks") for action in read}
    expected |= {(action, "StateEvents") for action in (*read, "dynamodb:Query", "dynamodb:PutItem")}
    changes = ("dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
    expected |= {(action, "StateConnections") for action in (*read, *changes)}
    expected |= {("sqs:SendMessage", "ChannelsEvents"), ("secretsmanager:GetSecretValue", "StateSigningSecret")}
    granted = own(prod, "StreamerFunction")
    posting = {one for one in granted if one[0] == "execute-api:ManageConnections"}
    assert granted - posting == expected
    assert {on.rpartition("/live/")[2] for _, on in posting} == {"POST/@connections/*", "DELETE/@connections/*"}


def test_nobody_but_the_streamer_may_write_the_event_logs(prod: Templates) -> None:
    reading = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
    for name in SETTINGS.keys() - {"StreamerFunction"}:
        assert {action for action, on in rights(prod, name) if on == "StateEvents"} <= reading, name


def test_only_the_lifecycle_and_the_sweep_may_write_measures_and_only_the_api_reads_them(prod: Templates) -> None:
    granted = {name: {action for action, on in rights(prod, name) if on == "StateMeasures"} for name in SETTINGS}
    assert {name: actions for name, actions in granted.items() if actions} == {
        "LifecycleFunction": {"dynamodb:UpdateItem"},
        "SweepFunction": {"dynamodb:PutItem"},
        "ApiFunction": {"dynamodb:Query"},
    }


def test_the_registry_may_only_change_items_of_the_scheduler_and_wake_pools(prod: Templates) -> None:
    calls = ("dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")
    wakes = {("sqs:SendMessage", "ChannelsWakeups"), ("sqs:SendMessage", "RoutingRegistryDeadLetters")}
    assert own(prod, "RegistryFunction") == {(action, "StateScheduler") for action in calls} | wakes


def test_the_name_of_an_agents_queue_is_covered_by_the_right_to_push(prod: Templates) -> None:
    queues = prod.resources("AWS::SQS::Queue", named="Dispatch")
    names = {queue.properties["QueueName"] for queue in queues}
    assert names == {f"pushlane-prod-agent-{name.lower()}" for name in AGENTS}


def test_no_action_is_a_wildcard(prod: Templates) -> None:
    for policy in prod.resources("AWS::IAM::Policy"):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            assert not [action for action in actions(statement) if "*" in action], policy.logical_id
