"""The stack outputs that clients, the command line and the end-to-end tests read. Their names are an interface."""

from typing import Final

import aws_cdk as cdk
import jsii
from constructs import Construct

from pushlane.cdk.api import Api
from pushlane.cdk.channels import Channels
from pushlane.cdk.queues import DeadLetterQueue
from pushlane.cdk.sockets import Sockets
from pushlane.cdk.state import State

_DEAD_LETTERS: Final = "DeadLetterQueues"


def state_outputs(state: State) -> None:
    """Names of the tables, the claims bucket and the signing secret."""
    _output(state, "TasksTable", state.tasks.table_name)
    _output(state, "AttemptsTable", state.attempts.table_name)
    _output(state, "SchedulerTable", state.scheduler.table_name)
    _output(state, "ConfigTable", state.configuration.table_name)
    _output(state, "EventsTable", state.events.table_name)
    _output(state, "ConnectionsTable", state.connections.table_name)
    _output(state, "MeasuresTable", state.measures.table_name)
    _output(state, "ClaimsBucket", state.claims.bucket_name)
    _output(state, "SigningSecretArn", state.signing_secret.secret_arn)


def channel_outputs(channels: Channels) -> None:
    """Names, ARNs and URLs of the doors, of the facts and of the queues that operators look into."""
    _output(channels, "IngressBusName", channels.ingress_bus.event_bus_name)
    _output(channels, "FactsBusName", channels.facts_bus.event_bus_name)
    _output(channels, "IntakeTopicArns", ",".join(topic.topic_arn for topic in channels.intake_topics))
    _output(channels, "AnnouncementsTopicArn", channels.announcements.topic_arn)
    _output(channels, "IntakeQueueUrls", ",".join(queue.queue_url for queue in channels.intake_queues))
    _output(channels, "StreamName", channels.stream.stream_name)
    _output(channels, "ResultsQueueUrl", channels.results.queue_url)
    _output(channels, "WakeupsQueueUrl", channels.wakeups.queue_url)
    _output(channels, "HeldQueueUrl", channels.held.queue_url)
    _output(channels, "QuarantineQueueUrl", channels.quarantine.queue_url)
    if channels.alarms.topic is not None:
        _output(channels, "AlarmsTopicArn", channels.alarms.topic.topic_arn)


def api_outputs(api: Api, sockets: Sockets) -> None:
    """Where the API answers. At an emulator a client finds its own way to it (`pushlane.client.installation`)."""
    _output(api, "HttpUrl", api.http.url)
    if api.iam_http is not None:
        _output(api, "IamHttpUrl", api.iam_http.url)
    _output(sockets, "WebSocketUrl", sockets.url)
    _output(api, "ScheduleGroup", api.schedules.group.schedule_group_name)


def dead_letter_output(stack: cdk.Stack) -> None:
    """All dead-letter queues of a stack (`pushlane.model.dead_letters`), those that are added later included."""
    _output(stack, _DEAD_LETTERS, cdk.Lazy.string(_DeadLetterPlaces(stack)))


@jsii.implements(cdk.IStableStringProducer)
class _DeadLetterPlaces:
    def __init__(self, stack: cdk.Stack) -> None:
        self._stack = stack

    def produce(self) -> str:
        found = [one for one in self._stack.node.find_all() if isinstance(one, DeadLetterQueue)]
        return ",".join(queue.place.encoded() for queue in found)


def _output(scope: Construct, name: str, value: str) -> None:
    """Outputs lie in the stack itself, so that their names carry no path."""
    cdk.CfnOutput(cdk.Stack.of(scope), name, value=value)
