"""What each Lambda function of the edge (authorizer, API, sockets, courier) needs to know, one class a function."""

from dataclasses import dataclass

from pushlane.settings.functions import RouterSettings


@dataclass(frozen=True, kw_only=True)
class AuthorizerSettings:
    """The authorizer: credentials of API callers to principals. It reads the config table, and writes nothing."""

    stage: str
    config_table: str
    signing_secret_arn: str


@dataclass(frozen=True, kw_only=True)
class SocketsSettings(RouterSettings):
    """The WebSocket API's function: connections come and go, what they want to follow is passed on to the streamer, and
    commands run as the HTTP API runs them: a turn inside the call, so it knows what the router knows.
    """

    events_table: str
    connections_table: str
    events_queue_url: str
    results_queue_url: str


@dataclass(frozen=True, kw_only=True)
class ApiSettings(SocketsSettings):
    """The HTTP API: also where schedules are kept, and by which role they act; and the measures."""

    measures_table: str
    schedule_group: str
    schedule_role_arn: str
    schedule_dead_letters_arn: str


@dataclass(frozen=True, kw_only=True)
class CourierSettings:
    """The courier: what it looks up to tell of a task's end, and its two queues. It reads, and posts to the outside."""

    stage: str
    tasks_table: str
    config_table: str
    connections_table: str
    claims_bucket: str
    signing_secret_arn: str
    callbacks_queue_arn: str
    callbacks_queue_url: str
    outbound_queue_arn: str
    outbound_queue_url: str
