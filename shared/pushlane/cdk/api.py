"""The API over HTTP: one function behind an HTTP API for callers with keys, tokens and tickets, and behind a second one
for callers that sign with AWS credentials.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from pushlane.cdk.authorizer import Authorizer
from pushlane.cdk.bundling import Sources
from pushlane.cdk.channels import Channels
from pushlane.cdk.http_api import PUBLIC, HttpApi
from pushlane.cdk.python_function import PythonFunction
from pushlane.cdk.queues import DeadLetterQueue
from pushlane.cdk.router import router_settings
from pushlane.cdk.state import State
from pushlane.cdk.turn_grants import TURN_SERVICES, allow_turns
from pushlane.model.dead_letters import DeadLetterKind
from pushlane.settings.edge import ApiSettings, SocketsSettings
from pushlane.settings.stage import Stage, StageConfig

_TIMEOUT_SECONDS: Final = 29  # API Gateway waits no longer
# Memory is processor time, and a submission waits for it.
_MEMORY_MB: Final = {Stage.LOCAL: 512, Stage.DEV: 1024, Stage.PROD: 1769}
_SCHEDULER: Final = "scheduler.amazonaws.com"
_READ: Final = ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
CONFIGURING: Final = ("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem")


class Schedules(Construct):
    """Tenants' schedules: their group, the role by which they send to the wake-ups, and what could not be sent."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig, channels: Channels) -> None:
        super().__init__(scope, construct_id)
        self.group = scheduler.ScheduleGroup(self, "Group", removal_policy=cdk.RemovalPolicy.DESTROY)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            config=config,
            alarms=channels.alarms,
            name="schedules",
            kind=DeadLetterKind.QUEUE,
        )
        self.dead_letters.take_from(channels.wakeups)
        # Only for schedules of this account: else any other's could be made to act by this role.
        own = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal(_SCHEDULER, conditions=own))
        queues = [channels.wakeups.queue_arn, self.dead_letters.queue_arn]
        self.role.add_to_principal_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=queues))

    def let_change(self, function: PythonFunction) -> None:
        """Let a function create, change and remove schedules of the group, which act by the role."""
        for statement in self._changing():
            function.role.add_to_principal_policy(statement)

    def let_settle(self, scope: Construct, construct_id: str, role: iam.IRole, state: State) -> None:
        """Let the sweep finish what a function broke off, by a policy that lies in `scope`: the sweep's own stack comes
        before this one, and does not know of it.
        """
        marks = iam.PolicyStatement(actions=["dynamodb:DeleteItem"], resources=[state.configuration.table_arn])
        iam.Policy(scope, construct_id, roles=[role], statements=[*self._changing(), marks])

    def _changing(self) -> list[iam.PolicyStatement]:
        schedules = cdk.Stack.of(self).format_arn(
            service="scheduler", resource="schedule", resource_name=f"{self.group.schedule_group_name}/*"
        )
        calls = [f"scheduler:{call}Schedule" for call in ("Create", "Update", "Delete", "Get")]
        passing = iam.PolicyStatement(
            actions=["iam:PassRole"],
            resources=[self.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": _SCHEDULER}},
        )
        return [iam.PolicyStatement(actions=calls, resources=[schedules]), passing]


class Api(Construct):
    """The API's function with its rights, and the HTTP APIs that lead to it.

    `origins`: where web pages may call from.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: StageConfig,
        state: State,
        channels: Channels,
        agent_queue_prefix: str,
        authorizer: Authorizer,
        origins: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self.schedules = Schedules(self, "Schedules", config=config, channels=channels)
        self.answering = PythonFunction(
            self,
            "Api",
            entry="lambdas.api.handler",
            sources=Sources.of_pushlane(),
            settings=_settings(config, state, channels, self.schedules),
            config=config,
            timeout_seconds=_TIMEOUT_SECONDS,
            memory_mb=_MEMORY_MB[config.stage],
            aws_services=(*TURN_SERVICES, "scheduler", "lambda", "sns"),
        )
        allow_calls(self.answering, state, channels, agent_queue_prefix)
        self.answering.allow(*CONFIGURING, on=[state.configuration.table_arn])
        self.answering.allow("dynamodb:Query", on=[f"{state.tasks.table_arn}/index/by_tenant"])
        self.answering.allow("dynamodb:Query", on=[state.measures.table_arn])
        self.schedules.let_change(self.answering)
        self.http = HttpApi(
            self,
            "Http",
            config=config,
            function=self.answering,
            authorizer=authorizer.of_http(),
            public=PUBLIC,
            origins=origins,
        )
        self.iam_http = self._for_machines(config) if config.iam_api else None

    def _for_machines(self, config: StageConfig) -> HttpApi:
        return HttpApi(
            self, "IamHttp", config=config, function=self.answering, authorizer=authorizers.HttpIamAuthorizer()
        )


def allow_calls(function: PythonFunction, state: State, channels: Channels, agent_queue_prefix: str) -> None:
    """What commands of callers do: the turn, as in the router; words to and about running attempts; reading logs."""
    allow_turns(function, state, channels, agent_queue_prefix)
    function.allow(*_READ, on=[state.events.table_arn, state.connections.table_arn])
    queues = (channels.held, channels.quarantine, channels.results, channels.events)
    function.allow("sqs:SendMessage", on=[queue.queue_arn for queue in queues])


def calls_settings(config: StageConfig, state: State, channels: Channels) -> SocketsSettings:
    """What a function knows that runs callers' commands."""
    return SocketsSettings(
        **dataclasses.asdict(router_settings(config, state, channels)),
        events_table=state.events.table_name,
        connections_table=state.connections.table_name,
        events_queue_url=channels.events.queue_url,
        results_queue_url=channels.results.queue_url,
    )


def _settings(config: StageConfig, state: State, channels: Channels, schedules: Schedules) -> ApiSettings:
    return ApiSettings(
        **dataclasses.asdict(calls_settings(config, state, channels)),
        schedule_group=schedules.group.schedule_group_name,
        schedule_role_arn=schedules.role.role_arn,
        schedule_dead_letters_arn=schedules.dead_letters.queue_arn,
        measures_table=state.measures.table_name,
    )
