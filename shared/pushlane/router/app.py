"""The router: a batch of records from any of its event sources -> turns -> which records to deliver again."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pushlane.model.commands import COMMANDS
from pushlane.model.errors import InvalidEvent, PushlaneError
from pushlane.model.events import SET_POLICY_DETAIL_TYPE, WakeUp
from pushlane.model.workflow_document import SUBMIT_WORKFLOW
from pushlane.router.commands import Commands
from pushlane.router.due import UNREADABLE, run_due
from pushlane.router.intake import Record, record_of_held, record_of_kinesis, record_of_sqs, reject
from pushlane.router.ports import RouterPorts
from pushlane.router.results import Results
from pushlane.router.schedules import Firings, is_firing
from pushlane.router.set_policy import set_by_event
from pushlane.router.submissions import Submissions
from pushlane.router.workflows import Workflows


class StreamBatchUnfinished(PushlaneError):
    """Some records of a Kinesis batch met a fault of the infrastructure. Raised, because not every backend honours a
    partial response for streams (`localstack/README.md`); on AWS the mapping halves the batch and tries again.
    """


class Router:
    """Handles Lambda events of SQS and Kinesis mappings; answers with the partial batch response, and raises
    `StreamBatchUnfinished` where that would not be heard.
    """

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        self._submissions = Submissions(ports)
        self._commands = Commands(ports)
        self._results = Results(ports)
        self._workflows = Workflows(ports)
        self._firings = Firings(ports)

    def handle(self, event: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
        """Handle every record; a bad record never fails its neighbours. Returns `batchItemFailures`."""
        try:
            failed = self._handle(event["Records"])
        finally:
            if self._ports.turn_spans is not None:
                self._ports.turn_spans.flush()
        return {"batchItemFailures": [{"itemIdentifier": item_id} for item_id in failed]}

    def _handle(self, records: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the records to deliver again."""
        source = records[0].get("eventSourceARN") if records else None
        if source == self._ports.results_queue_arn:
            return self._results.handle(records)
        if source == self._ports.wakeups_queue_arn:
            return self._wakeups(records)
        if records and records[0].get("eventSource") == "aws:kinesis":
            self._stream(records)
            return []
        if source == self._ports.held_queue_arn:
            return self._intake([record_of_held(record) for record in records])
        bound_tenant = self._ports.tenant_doors.get(str(source))
        return self._intake([record_of_sqs(record, bound_tenant) for record in records])

    def _stream(self, records: Sequence[Mapping[str, Any]]) -> None:
        """A stream's batch succeeds or comes again as a whole. What was taken of it is recognised when it does."""
        failed = self._intake([record_of_kinesis(record) for record in records])
        if failed:
            raise StreamBatchUnfinished(
                f"{len(failed)} of {len(records)} records were not taken; deliver the batch again"
            )

    def _intake(self, records: Sequence[Record]) -> list[str]:
        """Submissions together, in batches; everything else that producers and operators say, one by one."""
        failed: list[str] = []
        submissions: list[Record] = []
        for record in records:
            if record.name == SET_POLICY_DETAIL_TYPE:
                failed += self._set_policy(record)
            elif record.name in COMMANDS:
                failed += self._command(record)
            elif record.name == SUBMIT_WORKFLOW:
                failed += self._workflow(record)
            else:
                submissions.append(record)
        return failed + self._submissions.handle(submissions)

    def _workflow(self, record: Record) -> list[str]:
        try:
            return [] if self._workflows.take(record) else [record.item_id]
        except InvalidEvent as refused:
            return self._submissions.reject(reject(record, refused))
        except (PushlaneError, *UNREADABLE) as error:
            self._ports.log("workflow-failed", error=f"{type(error).__name__}: {error}")
            return [record.item_id]

    def _command(self, record: Record) -> list[str]:
        try:
            self._commands.obey(record)
        except InvalidEvent as refused:
            return self._submissions.reject(reject(record, refused))
        except (PushlaneError, *UNREADABLE) as error:
            self._ports.log("command-failed", command=record.name, error=f"{type(error).__name__}: {error}")
            return [record.item_id]
        return []

    def _set_policy(self, record: Record) -> list[str]:
        now_ms = self._ports.turn.clock.now_ms()
        try:
            made = set_by_event(record, self._ports.turn, now_ms, accept_unsigned=self._ports.accept_unsigned_tenant)
        except InvalidEvent as error:
            return self._submissions.reject(reject(record, error))
        except PushlaneError as error:
            self._ports.log("policy-not-set", error=str(error))
            return [record.item_id]
        self._ports.log("policy-set", revision=made.revision, changed_by=made.changed_by)
        return []

    def _firing(self, message: Mapping[str, Any]) -> list[str]:
        try:
            done = self._firings.take(message)
        except (PushlaneError, *UNREADABLE) as error:
            self._ports.log("firing-failed", error=f"{type(error).__name__}: {error}"[:300])
            done = False
        return [] if done else [str(message["messageId"])]

    def _wakeups(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """A turn for each pool that is woken; several wake-ups of a pool are one."""
        failed: list[str] = []
        by_pool: dict[str, list[str]] = {}
        for message in messages:
            if is_firing(message["body"]):
                failed += self._firing(message)
                continue
            try:
                pool = msgspec.json.decode(message["body"], type=WakeUp).pool
            except msgspec.DecodeError as error:
                self._ports.log("wakeup-refused", message_id=message["messageId"], error=str(error)[:200])
                continue
            by_pool.setdefault(pool, []).append(str(message["messageId"]))
        for pool, item_ids in by_pool.items():
            try:
                self._run_due(pool)
            except (PushlaneError, *UNREADABLE) as error:
                self._ports.log("turn-failed", pool=pool, error=f"{type(error).__name__}: {error}")
                failed += item_ids
        return failed

    def _run_due(self, pool: str) -> None:
        spans = self._ports.turn_spans
        if spans is not None:
            spans.begin()
        run_due(self._ports.turn, self._ports.pusher, pool)
        if spans is not None:
            spans.end(pool, ())
