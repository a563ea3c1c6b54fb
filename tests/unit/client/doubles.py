"""Doubles of AWS clients for the producer SDK: they record what they were asked and answer what they are told."""

from collections.abc import Callable
from typing import Any, cast

from pushlane.client import AwsClients, Installation
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace

INSTALLATION = Installation(
    stage="local",
    tasks_table="tasks",
    attempts_table="attempts",
    scheduler_table="scheduler",
    config_table="config",
    events_table="events",
    connections_table="connections",
    claims_bucket="claims",
    ingress_bus_name="ingress",
    facts_bus_name="facts",
    intake_topic_arns=("arn:topic/0", "arn:topic/1"),
    stream_name="stream",
    intake_queue_urls=("queue/0", "queue/1"),
    results_queue_url="queue/results",
    wakeups_queue_url="queue/wakeups",
    held_queue_url="queue/held",
    quarantine_queue_url="queue/quarantine",
    dead_letter_queues=(
        DeadLetterPlace(name="intake", kind=DeadLetterKind.INTAKE, url="queue/dlq-a"),
        DeadLetterPlace(name="held", kind=DeadLetterKind.QUEUE, url="queue/dlq-b", back_to="queue/held"),
        DeadLetterPlace(name="quarantine", kind=DeadLetterKind.QUARANTINE, url="queue/quarantine"),
    ),
)


class RecordingClient:
    """Answers any method with `answer(method, arguments)` and remembers the calls."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return self._answer(name, arguments)

        return call


def accepting(name: str, arguments: dict[str, Any]) -> Any:
    """Every service's way of saying that it took all entries."""
    match name:
        case "put_events":
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in arguments["Entries"]]}
        case "put_records":
            return {"FailedRecordCount": 0, "Records": [{"SequenceNumber": "1"} for _ in arguments["Records"]]}
        case _:
            return {"Successful": []}


def aws_of(client: RecordingClient) -> AwsClients:
    """The one double in the place of every client."""
    one = cast(Any, client)
    return AwsClients(dynamodb=one, events=one, kinesis=one, s3=one, sns=one, sqs=one)
