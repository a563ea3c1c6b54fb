"""The router: a batch of records from any of its event sources -> turns -> which records to deliver again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.attempt import OutcomeKind
from pushlane.model.errors import InvalidEvent, InvalidToken, PushlaneError
from pushlane.model.events import FactName, Nudge, WakeUp
from pushlane.model.ids import digest
from pushlane.model.task import Status, Task
from pushlane.ports import InvalidRequest
from pushlane.router.due import UNREADABLE, run_due
from pushlane.router.intake import Record, Rejection, normalise, record_of_kinesis, record_of_sqs, reject
from pushlane.router.push import Pusher
from pushlane.router.quarantine import Quarantine, record_fact
from pushlane.router.redelivery import push_again
from pushlane.router.resolution import Resolution, Resolved, input_key, met
from pushlane.router.tenants import TenantDirectory
from pushlane.router.turn import Turn, TurnPorts
from pushlane.scheduling.snapshot import Arrival, Finished, Input, RetryState, entry_of
from pushlane.state.items import new_task_attributes
from pushlane.state.loading import load_tasks

# Ten arrivals and what they set in motion fit into one transaction of 100 items.
INPUTS_MAX = 10


class StreamBatchUnfinished(PushlaneError):
    """Some records of a Kinesis batch met a fault of the infrastructure. Raised, because not every backend honours a
    partial response for streams (`localstack/README.md`); on AWS the mapping halves the batch and tries again.
    """


class RouterPorts(Struct, frozen=True, kw_only=True):
    """The turn's ports, and what intake and completion need beside them. `log` takes an event name and its fields."""

    turn: TurnPorts
    pusher: Pusher
    tenants: TenantDirectory
    quarantine: Quarantine
    signing_key: Callable[[], bytes]
    accept_unsigned_tenant: bool
    results_queue_arn: str
    wakeups_queue_arn: str
    log: Callable[..., None]


class Router:
    """Handles Lambda events of SQS and Kinesis mappings; answers with the partial batch response, and raises
    `StreamBatchUnfinished` where that would not be heard.
    """

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Handle every record; a bad record never fails its neighbours. Returns `batchItemFailures`."""
        records = event["Records"]
        source = records[0].get("eventSourceARN") if records else None
        if source == self._ports.results_queue_arn:
            failed = self._results(records)
        elif source == self._ports.wakeups_queue_arn:
            failed = self._wakeups(records)
        elif records and records[0].get("eventSource") == "aws:kinesis":
            self._stream(records)
            failed = []
        else:
            failed = self._intake([record_of_sqs(record) for record in records])
        return {"batchItemFailures": [{"itemIdentifier": item_id} for item_id in failed]}

    def _stream(self, records: Sequence[Mapping[str, Any]]) -> None:
        """A stream's batch succeeds or comes again as a whole. What was taken of it is recognised when it does."""
        failed = self._intake([record_of_kinesis(record) for record in records])
        if failed:
            raise StreamBatchUnfinished(
                f"{len(failed)} of {len(records)} records were not taken; deliver the batch again"
            )

    def _intake(self, records: Sequence[Record]) -> list[str]:
        failed: list[str] = []
        accepted: dict[str, list[tuple[Record, Task]]] = {}
        active = self._ports.tenants.active()
        now_ms = self._ports.turn.clock.now_ms()
        for record in records:
            try:
                task = normalise(
                    record, now_ms, accept_unsigned_tenant=self._ports.accept_unsigned_tenant, tenants=active
                )
                accepted.setdefault(task.pool, []).append((record, task))
            except InvalidEvent as error:
                failed += self._reject(reject(record, error))
        for pool, pairs in accepted.items():
            for start in range(0, len(pairs), INPUTS_MAX):
                failed += self._arrivals(pool, pairs[start : start + INPUTS_MAX])
        return failed

    def _arrivals(self, pool: str, pairs: Sequence[tuple[Record, Task]]) -> list[str]:
        first: dict[str, Task] = {}
        for _, task in pairs:
            first.setdefault(task.task_id, task)
        resolved = self._turn(pool, [Arrival(task) for task in first.values()])
        failed: list[str] = []
        for record, task in pairs:
            said = resolved.get(input_key(Arrival(task)))
            if said is not None and task is not first[task.task_id]:  # a repeat within this very batch
                stored = said.stored or new_task_attributes(first[task.task_id], Status.PARKED, 0)
                said = Resolved(met(task, stored), stored)
            failed += self._settle(record, task, said or Resolved(Resolution.UNPUSHED))
        return failed

    def _settle(self, record: Record, task: Task, said: Resolved) -> list[str]:
        self._ports.log("intake", task_id=task.task_id, tenant_id=task.tenant_id, resolution=said.resolution.value)
        match said.resolution:
            case Resolution.CONFLICT:
                error = InvalidEvent(
                    "$.data.idempotency_key", f"task {task.task_id} has this key and another body", "key_conflict"
                )
                return self._reject(reject(record, error))
            case Resolution.UNPUSHED:
                return [record.item_id]
            case Resolution.REDELIVERED:
                pushed = push_again(self._ports.turn, self._ports.pusher, task)
                return [] if pushed else [record.item_id]
            case _:
                return []

    def _reject(self, rejection: Rejection) -> list[str]:
        self._ports.log("rejected", code=rejection.code, field=rejection.field, door=rejection.record.source.door.value)
        try:
            self._ports.quarantine.keep(rejection)
        except PushlaneError as error:
            self._ports.log("quarantine-failed", error=str(error))
            return [rejection.record.item_id]
        return []

    def _results(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        failed: list[str] = []
        by_pool: dict[str, dict[str, Finished]] = {}
        for message in messages:
            finished = self._finished(message)
            if finished is not None:
                pool, one = finished
                by_pool.setdefault(pool, {})[str(message["messageId"])] = one
        for pool, named in by_pool.items():
            inputs = self._with_retry(list(named.values()))
            resolved = self._turn(pool, inputs)
            for item_id, one in named.items():
                said = resolved.get(input_key(one))
                if said is None:
                    failed.append(item_id)
                elif said.resolution is Resolution.STALE:
                    self._stale(one)
        return failed

    def _finished(self, message: Mapping[str, Any]) -> tuple[str, Finished] | None:
        """The completion that a nudge announces; a forged or unreadable nudge is dropped (the attempt is the truth)."""
        try:
            nudge = msgspec.json.decode(message["body"], type=Nudge)
            claims = token.verify(nudge.token, self._ports.signing_key(), self._ports.turn.clock.now_ms())
        except (msgspec.DecodeError, InvalidToken) as error:
            self._ports.log("nudge-refused", message_id=message["messageId"], error=str(error)[:200])
            return None
        finished = Finished(claims.task_id, claims.epoch, claims.agent_id, nudge.runner, nudge.outcome)
        return claims.pool, finished

    def _with_retry(self, finished: Sequence[Finished]) -> list[Input]:
        """A failure's next step depends on the task's policy, so failures read their tasks (successes do not)."""
        tasks = load_tasks(
            self._ports.turn.store, [f.task_id for f in finished if f.outcome.kind is OutcomeKind.FAILED]
        )
        inputs: list[Input] = []
        for one in finished:
            task = tasks.get(one.task_id)
            state = None if task is None else RetryState(entry=entry_of(task, one.epoch), retry=task.retry)
            inputs.append(msgspec.structs.replace(one, retry=state))
        return inputs

    def _stale(self, one: Finished) -> None:
        fact_id = digest("stale", one.task_id, str(one.epoch), one.runner)
        attributes: dict[str, str | int | bool | list[str]] = {
            "task_id": one.task_id,
            "epoch": one.epoch,
            "agent_id": one.agent_id,
            "reason": "the attempt was no longer current; its result was not taken",
        }
        record_fact(self._ports.turn.store, self._ports.turn.clock, FactName.RESULT_STALE, fact_id, attributes)

    def _wakeups(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """A turn for each pool that is woken; several wake-ups of a pool are one."""
        failed: list[str] = []
        by_pool: dict[str, list[str]] = {}
        for message in messages:
            try:
                pool = msgspec.json.decode(message["body"], type=WakeUp).pool
            except msgspec.DecodeError as error:
                self._ports.log("wakeup-refused", message_id=message["messageId"], error=str(error)[:200])
                continue
            by_pool.setdefault(pool, []).append(str(message["messageId"]))
        for pool, item_ids in by_pool.items():
            try:
                run_due(self._ports.turn, self._ports.pusher, pool)
            except (PushlaneError, *UNREADABLE) as error:
                self._ports.log("turn-failed", pool=pool, error=f"{type(error).__name__}: {error}")
                failed += item_ids
        return failed

    def _turn(self, pool: str, inputs: Sequence[Input]) -> dict[str, Resolved]:
        """One turn; a failure of infrastructure leaves its inputs unresolved, and they are delivered again."""
        turn = Turn(self._ports.turn, self._ports.pusher, pool)
        try:
            resolved = turn.run(inputs)
        except InvalidRequest as error:
            # One of them can never be stored as it is. Alone it does not hold up its neighbours.
            self._ports.log("turn-refused", pool=pool, inputs=len(inputs), error=str(error))
            alone = inputs if len(inputs) > 1 else []
            return {key: said for one in alone for key, said in self._turn(pool, [one]).items()}
        except PushlaneError as error:
            self._ports.log("turn-failed", pool=pool, error=str(error))
            return {}
        self._ports.log("turn", pool=pool, inputs=len(inputs), replans=turn.replans)
        return resolved
