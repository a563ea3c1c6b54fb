"""Schedules: their changes carried to the scheduling service, and their firings submitted like everything else."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.events import FactName
from pushlane.model.ids import digest, keyed_task_id
from pushlane.model.schedule import (
    Fires,
    MissedPolicy,
    firing_key,
    iso_time,
    scheduled_at_ms,
    submission_body,
    timing_of,
)
from pushlane.model.task import Door, Source
from pushlane.model.workflow import keyed_workflow_id
from pushlane.ports import ItemStore, Message, Scalar, Schedules
from pushlane.router.intake import Record, reject
from pushlane.router.ports import RouterPorts
from pushlane.router.quarantine import record_fact
from pushlane.router.submissions import Submissions
from pushlane.router.workflows import Workflows
from pushlane.state.items import task_of, to_json
from pushlane.state.keys import task_key
from pushlane.state.schedules import Schedule, Unapplied, applied, load_schedule, stands_for_all, unapplied
from pushlane.state.workflows import load_row

_TURNS_MAX: Final = 4
# Younger marks belong to requests that are still at work.
_SETTLE_AFTER_MS: Final = 30_000
_firing_decoder: Final = msgspec.json.Decoder(Fires)


class ScheduleContended(PushlaneError):
    """The schedule is being changed by others at this very moment. Its mark stays, so it is settled soon."""


class Firing(Struct, frozen=True, kw_only=True):
    """One firing of a stored schedule, and the time that it was due."""

    schedule: Schedule
    due_ms: int
    held: bool = False

    @property
    def subject_id(self) -> str:
        """The task or workflow that it submits."""
        tenant_id, key = self.schedule.tenant_id, firing_key(self.schedule.schedule_id, self.due_ms)
        named = keyed_task_id if self.schedule.data.task is not None else keyed_workflow_id
        return named(tenant_id, key)


def settle(store: ItemStore, schedules: Schedules, schedule_id: str, change_id: str) -> None:
    """Have the scheduling service know the schedule as it stands, then remove the mark of the change.

    It looks again afterwards: a slower change may have overwritten in the service what a later one had told it.
    Raises `StoreUnavailable`, `ScheduleRefused` and `ScheduleContended`; then the mark stays.
    """
    for _ in range(_TURNS_MAX):
        told = load_schedule(store, schedule_id)
        if told is None:
            schedules.delete(schedule_id)
        else:
            schedules.put(told.entry)
        if load_schedule(store, schedule_id) == told:
            applied(store, change_id)
            return
    raise ScheduleContended(f"schedule {schedule_id} is being changed by others; repeat the call")


def settle_unfinished(
    store: ItemStore, schedules_at: Callable[[str], Schedules], now_ms: int, log: Callable[..., None]
) -> int:
    """Finish changes that broke off; returns how many. `schedules_at`: the scheduling service at a mark's place."""
    settled = 0
    for mark in unapplied(store):
        if now_ms - mark.since_ms < _SETTLE_AFTER_MS:
            continue
        settled += _settled(store, schedules_at, mark, log)
    return settled


def _settled(
    store: ItemStore, schedules_at: Callable[[str], Schedules], mark: Unapplied, log: Callable[..., None]
) -> bool:
    try:
        settle(store, schedules_at(mark.place), mark.schedule_id, mark.change_id)
    except PushlaneError as error:
        log("schedule-not-settled", schedule_id=mark.schedule_id, error=str(error)[:300])
        return False
    log("schedule-settled", schedule_id=mark.schedule_id, since_ms=mark.since_ms)
    return True


class Firings:
    """Takes firings from the wake-ups queue. The schedule says whose they are, so they need no other proof."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        vouched = msgspec.structs.replace(ports, accept_unsigned_tenant=True)
        self._submissions = Submissions(vouched)
        self._workflows = Workflows(vouched)

    def take(self, message: Mapping[str, Any]) -> bool:
        """Submit what the message's firing asks for; says whether the message is done with. Raises what the store
        raises: then it is delivered again.
        """
        fires = _firing_decoder.decode(message["body"])
        schedule = load_schedule(self._ports.turn.store, fires.schedule_id)
        if schedule is None or not schedule.data.enabled:
            self._ports.log("firing-ignored", schedule_id=fires.schedule_id, reason="deleted or paused")
            return True
        due_ms = firing_due_ms(fires, schedule, message)
        if due_ms is None:
            self._ports.log("firing-ignored", schedule_id=fires.schedule_id, reason="nothing was due")
            return True
        firing = Firing(schedule=schedule, due_ms=due_ms, held=fires.held)
        return self._run(firing, str(message["messageId"]))

    def _run(self, firing: Firing, item_id: str) -> bool:
        schedule = firing.schedule
        if schedule.tenant_id not in self._ports.tenants.active():
            self._told(FactName.SCHEDULE_MISSED, firing, code="tenant_not_active", reason="its tenant is not active")
            return True
        made_by = self._made_by(firing)
        if made_by is not None and made_by != _correlation(firing):
            return True  # it fired when the schedule said something else, and this is that firing again
        if made_by is None and (reason := self._missed(firing)) is not None:
            self._told(FactName.SCHEDULE_MISSED, firing, code="late", reason=reason)
            return True
        if made_by is None and (delay_seconds := self._over(schedule)) is not None:
            return self._held(firing, delay_seconds)
        if not self._submitted(firing, item_id):
            return False
        self._told(FactName.SCHEDULE_FIRED, firing)
        return True

    def _over(self, schedule: Schedule) -> int | None:
        """For how many seconds its tenant is over its bound."""
        template = schedule.data.task or schedule.data.workflow
        if template is None:
            return None
        now_ms = self._ports.turn.clock.now_ms()
        return self._ports.held.over(template.pool, schedule.tenant_id, now_ms, template.tier)

    def _held(self, firing: Firing, delay_seconds: int) -> bool:
        """It comes again later; the held queue is for what proves itself."""
        fires = Fires(schedule_id=firing.schedule.schedule_id, scheduled_at=iso_time(firing.due_ms), held=True)
        later = Message(to_json(fires), delay_seconds=delay_seconds)
        return not self._ports.turn.sender.send(self._ports.turn.wakeups_queue_url, [later])

    def _submitted(self, firing: Firing, item_id: str) -> bool:
        schedule = firing.schedule
        body = submission_body(schedule.data, schedule.schedule_id, schedule.tenant_id, firing.due_ms)
        body["metadata"]["correlation_id"] = _correlation(firing)
        record = Record(
            item_id=item_id,
            source=Source(door=Door.SCHEDULE, source_id=f"{schedule.schedule_id}/{firing.due_ms}"),
            body=to_json(body).encode(),
            name=body["metadata"]["name"],
        )
        if schedule.data.task is not None:
            return not self._submissions.handle([record])
        try:
            return self._workflows.take(record)
        except InvalidEvent as refused:  # as the policy stands now; kept in quarantine, as a task is
            return not self._submissions.reject(reject(record, refused))

    def _made_by(self, firing: Firing) -> str | None:
        """The correlation of what an earlier delivery of the firing submitted; None when there is nothing."""
        store, subject_id = self._ports.turn.store, firing.subject_id
        if firing.schedule.data.task is None:
            row = load_row(store, subject_id)
            return None if row is None else row.accepted.correlation_id or ""
        found = store.get([task_key(subject_id)]).get(task_key(subject_id))
        return None if found is None else task_of(found.attributes).correlation_id or ""

    def _missed(self, firing: Firing) -> str | None:
        """Why the firing comes too late to be run; None when it is to be run."""
        data, now_ms = firing.schedule.data, self._ports.turn.clock.now_ms()
        late_ms = now_ms - firing.due_ms - data.window_minutes * 60_000
        if firing.held or late_ms <= data.missed.late_seconds * 1_000 or data.missed.policy is MissedPolicy.RUN:
            return None
        said = f"{late_ms // 1_000} s late"
        if data.missed.policy is MissedPolicy.SKIP:
            return f"{said}: skipped, as its schedule says"
        store = self._ports.turn.store
        return (
            None if stands_for_all(store, firing.schedule, firing.due_ms, now_ms) else f"{said}: another one ran for it"
        )

    def _told(self, name: FactName, firing: Firing, **more: Scalar) -> None:
        schedule = firing.schedule
        fact_id = digest(name, schedule.schedule_id, str(firing.due_ms))
        subject = "task_id" if schedule.data.task is not None else "workflow_id"
        attributes: dict[str, Scalar] = {
            "tenant_id": schedule.tenant_id,
            "schedule_id": schedule.schedule_id,
            "scheduled_at_ms": firing.due_ms,
            "revision": schedule.revision,
            **({subject: firing.subject_id} if name is FactName.SCHEDULE_FIRED else {}),
            **more,
        }
        turn = self._ports.turn
        self._ports.log("firing", fact=name.value, schedule_id=schedule.schedule_id, due_ms=firing.due_ms, **more)
        record_fact(turn.store, turn.clock, name, fact_id, attributes)


def is_firing(body: str) -> bool:
    """Whether a message of the wake-ups queue is a firing."""
    try:
        _firing_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _correlation(firing: Firing) -> str:
    """What tells the submissions of one firing under different revisions of its schedule apart."""
    schedule = firing.schedule
    return f"{schedule.schedule_id}/{firing.due_ms}/{schedule.revision}"


def firing_due_ms(fires: Fires, schedule: Schedule, message: Mapping[str, Any]) -> int | None:
    """When the firing was due: as the service says, or else the last time up to when its message was sent."""
    said = scheduled_at_ms(fires.scheduled_at)
    if said is not None:
        return said
    sent_at_ms = int(message.get("attributes", {}).get("SentTimestamp", 0))
    return timing_of(schedule.data, schedule.created_at_ms).last_until(sent_at_ms)
