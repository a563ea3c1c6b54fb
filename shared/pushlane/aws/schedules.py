"""`Schedules` on EventBridge Scheduler."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from msgspec import Struct

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.failures import SEND_ERRORS, Failure, error_code, failure_of
from pushlane.model.errors import StoreUnavailable
from pushlane.model.occurrences import At, local_to_ms, parse_expression, zone_of
from pushlane.model.schedule import SCHEDULED_TIME
from pushlane.ports import ScheduleEntry, ScheduleRefused

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

_TIME: Final = "{time}"
_ABSENT: Final = "ResourceNotFoundException"
_TAKEN: Final = "ConflictException"
# The service tries again for a day with growing pauses; what it cannot deliver even then goes to its dead letters.
_RETRY: Final = {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


class SchedulerPlace(Struct, frozen=True, kw_only=True):
    """Where an installation's schedules live and what they may do: its group, the queue that they send to, the queue
    for what could not be sent, and the role that allows it.
    """

    group: str
    queue_arn: str
    dead_letters_arn: str
    role_arn: str


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class EventBridgeSchedules:
    """See `Schedules`. `at(...)` is handed over in UTC, so that it means the same on every backend."""

    def __init__(
        self,
        client: "EventBridgeSchedulerClient",
        place: SchedulerPlace,
        *,
        now_ms: Callable[[], int] = _now_ms,
        backoff: Backoff = DEFAULT_BACKOFF,
    ) -> None:
        self._client = client
        self._place = place
        self._now_ms = now_ms
        self._backoff = backoff

    def put(self, entry: ScheduleEntry) -> None:
        request = _request(entry, self._place, self._now_ms())
        for _ in self._backoff.sends():
            if self._sent(self._client.update_schedule, request, _ABSENT):
                return
            if self._sent(self._client.create_schedule, request, _TAKEN):
                return
        raise StoreUnavailable(f"schedule {entry.name}: it came and went while it was put; repeat the call")

    def delete(self, name: str) -> None:
        self._sent(self._client.delete_schedule, {"Name": name, "GroupName": self._place.group}, _ABSENT)

    def get(self, name: str) -> ScheduleEntry | None:
        found: list[Any] = []

        def read(**request: Any) -> None:
            found.append(self._client.get_schedule(**request))

        self._sent(read, {"Name": name, "GroupName": self._place.group}, _ABSENT)
        return _entry(found[-1]) if found else None

    def _sent(self, call: Callable[..., Any], request: dict[str, Any], beside: str) -> bool:
        """Whether the call succeeded; False when it was answered with the error `beside`."""
        last = ""
        for _ in self._backoff.sends():
            try:
                call(**request)
            except SEND_ERRORS as error:
                code, last = error_code(error), f"{error}"
                if code == beside:
                    return False
                if failure_of(error) is Failure.REFUSED and isinstance(error, ClientError):
                    raise ScheduleRefused(f"the scheduling service refuses it: {error}") from error
                continue
            return True
        raise StoreUnavailable(f"the scheduling service did not answer: {last}")


def _request(entry: ScheduleEntry, place: SchedulerPlace, now_ms: int) -> dict[str, Any]:
    expression, zone = _in_utc(entry)
    request: dict[str, Any] = {
        "Name": entry.name,
        "GroupName": place.group,
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": zone,
        "FlexibleTimeWindow": _window(entry.window_minutes),
        "State": "ENABLED" if entry.enabled else "DISABLED",
        "ActionAfterCompletion": "DELETE",  # what has fired for the last time leaves nothing behind
        "Target": {
            "Arn": place.queue_arn,
            "RoleArn": place.role_arn,
            "Input": entry.message.replace(_TIME, SCHEDULED_TIME),
            "RetryPolicy": _RETRY,
            "DeadLetterConfig": {"Arn": place.dead_letters_arn},
        },
    }
    # The service refuses a start that is over; without one it starts at once, which is the same but for a rate's phase.
    if entry.starts_at_ms is not None and entry.starts_at_ms > now_ms:
        request["StartDate"] = _date(entry.starts_at_ms)
    if entry.ends_at_ms is not None:
        request["EndDate"] = _date(entry.ends_at_ms)
    return request


def _in_utc(entry: ScheduleEntry) -> tuple[str, str]:
    expression = parse_expression(entry.expression)
    if isinstance(expression, At) and (at_ms := local_to_ms(expression.local, zone_of(entry.timezone))) is not None:
        return f"at({_date(at_ms):%Y-%m-%dT%H:%M:%S})", "UTC"
    return entry.expression, entry.timezone


def _window(minutes: int) -> dict[str, Any]:
    return {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes} if minutes else {"Mode": "OFF"}


def _date(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1_000, UTC)


def _entry(found: Any) -> ScheduleEntry:
    return ScheduleEntry(
        name=found["Name"],
        expression=found["ScheduleExpression"],
        timezone=found.get("ScheduleExpressionTimezone", "UTC"),
        message=found["Target"]["Input"].replace(SCHEDULED_TIME, _TIME),
        enabled=found["State"] == "ENABLED",
        window_minutes=found["FlexibleTimeWindow"].get("MaximumWindowInMinutes", 0),
        starts_at_ms=_ms(found.get("StartDate")),
        ends_at_ms=_ms(found.get("EndDate")),
    )


def _ms(value: datetime | None) -> int | None:
    return None if value is None else round(value.timestamp() * 1_000)
