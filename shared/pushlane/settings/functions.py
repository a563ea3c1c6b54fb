"""What each Lambda function of Pushlane needs to know, one class a function."""

from dataclasses import dataclass

from pushlane.settings.traces import TraceSettings


@dataclass(frozen=True, kw_only=True)
class RouterSettings(TraceSettings):
    """The router: turns on every pool, from intake, results and wake-ups."""

    stage: str
    tasks_table: str
    attempts_table: str
    scheduler_table: str
    config_table: str
    claims_bucket: str
    results_queue_arn: str
    wakeups_queue_arn: str
    wakeups_queue_url: str
    held_queue_arn: str
    held_queue_url: str
    quarantine_queue_url: str
    signing_secret_arn: str
    accept_unsigned_tenant: bool
    tenant_doors: str  # "queue ARN=tenant", separated by commas; empty: no tenant has a door of its own
    outbound_queue_url: str  # the courier's; empty: there is none


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The sweep, once a minute: the same turn over every pool, and the repair of drifted counters."""

    stage: str
    tasks_table: str
    attempts_table: str
    scheduler_table: str
    config_table: str
    claims_bucket: str
    wakeups_queue_url: str
    signing_secret_arn: str
    outbound_queue_url: str
    measures_table: str


@dataclass(frozen=True, kw_only=True)
class LifecycleSettings(TraceSettings):
    """Table streams to facts."""

    stage: str
    tasks_table: str
    attempts_table: str
    facts_bus_name: str
    announcements_topic_arn: str
    quarantine_queue_url: str
    signing_secret_arn: str
    events_queue_url: str  # empty: tasks' event logs are not written
    measures_table: str


@dataclass(frozen=True, kw_only=True)
class StreamerSettings:
    """The events queue to the tasks' event logs, how long an event is kept, and who follows them live."""

    stage: str
    tasks_table: str
    events_table: str
    events_queue_url: str
    signing_secret_arn: str
    retention_seconds: int
    connections_table: str  # empty: nobody is connected


@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """The custom resource that registers agents declared in CDK, and drains them when they go."""

    scheduler_table: str
    wakeups_queue_url: str


@dataclass(frozen=True, kw_only=True)
class AgentSettings(TraceSettings):
    """An agent's function: the one table it may update, where it nudges and emits, where its children and its large
    values go. `intake_queue_urls` are separated by commas, in the order of their numbers.
    """

    stage: str
    agent_id: str
    attempts_table: str
    results_queue_url: str
    events_queue_url: str
    intake_queue_urls: str
    claims_bucket: str
