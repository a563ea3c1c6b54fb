"""Every scheduling service against its port: what is put is there, replaced, gone; and what it sends."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pushlane.aws.schedules import EventBridgeSchedules, SchedulerPlace
from pushlane.inmemory import InMemorySender
from pushlane.inmemory.schedules import InMemorySchedules
from pushlane.model.schedule import Fires, ScheduleData, TaskTemplate
from pushlane.ports import ScheduleEntry, ScheduleRefused, Schedules
from pushlane.router.schedules import firing_due_ms, is_firing
from pushlane.state.items import to_json
from pushlane.state.schedules import Schedule
from tests.conformance.backends import MEMORY, MINISTACK, Backend, new_queue

FIRES = to_json(Fires(schedule_id="s-1", scheduled_at="{time}"))
FAR_MS = 4_102_444_800_000  # 2100-01-01
ENTRY = ScheduleEntry(
    name="s-1", expression="cron(0 9 ? * MON-FRI *)", timezone="Europe/Berlin", message=FIRES, window_minutes=5
)
PLACE = SchedulerPlace(
    group="tenants",
    queue_arn="arn:aws:sqs:us-east-1:123456789012:wakeups",
    dead_letters_arn="arn:aws:sqs:us-east-1:123456789012:schedules-dead",
    role_arn="arn:aws:iam::123456789012:role/scheduler",
)


@pytest.fixture
def service(backend: Backend) -> Schedules:
    if backend.name == MEMORY:
        return InMemorySchedules(backend.clock, InMemorySender(backend.clock), "queue")
    client = backend.client("scheduler")
    if not any(group["Name"] == PLACE.group for group in client.list_schedule_groups()["ScheduleGroups"]):
        client.create_schedule_group(Name=PLACE.group)
    return EventBridgeSchedules(client, PLACE)


def test_what_is_put_is_there_and_is_replaced(service: Schedules) -> None:
    assert service.get("s-1") is None
    service.put(ENTRY)
    assert service.get("s-1") == ENTRY
    service.put(ENTRY)
    changed = ScheduleEntry(
        name="s-1",
        expression="rate(5 minutes)",
        timezone="UTC",
        message=FIRES,
        enabled=False,
        starts_at_ms=FAR_MS,
        ends_at_ms=FAR_MS + 86_400_000,
    )
    service.put(changed)
    assert service.get("s-1") == changed
    service.delete("s-1")
    assert service.get("s-1") is None


def test_removing_twice_is_removing(service: Schedules) -> None:
    service.put(ENTRY)
    service.delete("s-1")
    service.delete("s-1")
    service.delete("s-never-was")


def test_a_single_time_is_kept_in_utc(service: Schedules) -> None:
    once = ScheduleEntry(name="s-once", expression="at(2100-07-01T09:00:00)", timezone="Europe/Berlin", message=FIRES)
    service.put(once)
    kept = service.get("s-once")
    assert kept is not None
    assert (kept.expression, kept.timezone) == ("at(2100-07-01T07:00:00)", "UTC")
    service.delete("s-once")


def test_a_start_that_is_over_does_not_stand_in_the_way(service: Schedules) -> None:
    started = ScheduleEntry(
        name="s-old", expression="rate(5 minutes)", timezone="UTC", message=FIRES, starts_at_ms=1_600_000_000_000
    )
    service.put(started)
    assert service.get("s-old") is not None
    service.delete("s-old")


@pytest.mark.parametrize("backend", [MINISTACK], indirect=True)
def test_a_firing_of_the_embedded_service_is_taken_at_its_time(backend: Backend) -> None:
    """It looks every ten seconds, and leaves the time out: that of the message stands for it."""
    sqs, queue_url = backend.client("sqs"), new_queue(backend)
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client = backend.client("scheduler")
    if not any(group["Name"] == PLACE.group for group in client.list_schedule_groups()["ScheduleGroups"]):
        client.create_schedule_group(Name=PLACE.group)
    due_s = int(time.time()) + 1
    local = datetime.fromtimestamp(due_s, ZoneInfo("Asia/Kathmandu")).strftime("%Y-%m-%dT%H:%M:%S")
    data = ScheduleData(
        name="once", expression=f"at({local})", timezone="Asia/Kathmandu", task=TaskTemplate(task_type="work")
    )
    schedule = Schedule(
        schedule_id="s-fires",
        tenant_id="atlas",
        revision=1,
        change_id="c",
        created_at_ms=due_s * 1_000 - 5_000,
        changed_at_ms=due_s * 1_000 - 5_000,
        data=data,
    )
    service = EventBridgeSchedules(client, msgspec.structs.replace(PLACE, queue_arn=arn))
    service.put(schedule.entry)
    found: list[Any] = []
    deadline = time.monotonic() + 25
    while not found and time.monotonic() < deadline:
        asked = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=2, AttributeNames=["SentTimestamp"])
        found = asked.get("Messages", [])
    [message] = found
    assert is_firing(message["Body"])
    fires = msgspec.json.decode(message["Body"], type=Fires)
    assert fires.schedule_id == "s-fires"
    assert firing_due_ms(fires, schedule, {"attributes": message["Attributes"]}) == due_s * 1_000
    assert service.get("s-fires") is None  # it has fired for the last time


class Answers:
    """A client of the service that answers as it is told."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = list(errors)
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> dict[str, Any]:
            self.calls.append(name)
            error = self._errors.pop(0) if self._errors else None
            if error is not None:
                raise error
            return {}

        return call


def client_error(code: str, status: int) -> Exception:
    from botocore.exceptions import ClientError

    said: Any = {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "PutSchedule")


def on(answers: Answers) -> EventBridgeSchedules:
    from pushlane.aws.backoff import Backoff

    fake: Any = answers
    return EventBridgeSchedules(fake, PLACE, backoff=Backoff(sleep=lambda _seconds: None))


def test_what_comes_between_update_and_create_is_met() -> None:
    gone, taken = client_error("ResourceNotFoundException", 404), client_error("ConflictException", 409)
    answers = Answers(gone, taken, None)
    on(answers).put(ENTRY)
    assert answers.calls == ["update_schedule", "create_schedule", "update_schedule"]


def test_a_refusal_is_said_and_a_fault_is_repeated() -> None:
    with pytest.raises(ScheduleRefused, match="said"):
        on(Answers(client_error("ValidationException", 400))).put(ENTRY)
    answers = Answers(client_error("InternalServerException", 500), client_error("ThrottlingException", 429), None)
    on(answers).put(ENTRY)
    assert len(answers.calls) == 3


def test_a_service_that_does_not_answer_is_said() -> None:
    from pushlane.model.errors import StoreUnavailable

    with pytest.raises(StoreUnavailable):
        on(Answers(*[client_error("InternalServerException", 500)] * 9)).put(ENTRY)
