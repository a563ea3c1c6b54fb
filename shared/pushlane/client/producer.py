"""The producer's client: submit through any door, and see what became of it."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from pushlane.aws.backoff import DEFAULT_BACKOFF, Backoff
from pushlane.aws.blobs import S3BlobStore
from pushlane.aws.dynamodb import KEYS_MAX, DynamoItemStore
from pushlane.client import claims
from pushlane.client.aws_clients import AwsClients
from pushlane.client.commands import Commands, door_of
from pushlane.client.delivery import deliver
from pushlane.client.doors import Record, doors
from pushlane.client.envelope import Submission, encoded_payload, prepare, with_payload
from pushlane.client.errors import InvalidSubmission, ResultUnavailable, StillRunning, SubmissionRefused, TaskUnknown
from pushlane.client.installation import Installation
from pushlane.client.records import TaskRecord, record_of
from pushlane.client.signing import signed
from pushlane.client.why import Why, why
from pushlane.client.workflows import Workflows
from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.envelope_proof import EnvelopeKey
from pushlane.model.events import SUBMIT_DETAIL_TYPE, SubmitData
from pushlane.model.task import Door, Status
from pushlane.ports import BlobStore, ItemStore
from pushlane.state.keys import task_key

POLL_SECONDS: Final = 0.2


class Submitted(Struct, frozen=True, kw_only=True):
    """A submission that a door has taken. `returned_at_ms`: when its success came back, on the producer's clock."""

    task_id: str
    tenant_id: str
    door: Door
    idempotency_key: str
    returned_at_ms: int


class Refused(Struct, frozen=True, kw_only=True):
    """A submission that the door did not take, or did not answer for. `index` is its place in what was submitted."""

    index: int
    task_id: str
    idempotency_key: str
    reason: str


class Batch(Struct, frozen=True, kw_only=True):
    """What became of many submissions; together they are all of them, each in the order given."""

    accepted: tuple[Submitted, ...]
    refused: tuple[Refused, ...]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _random_key() -> str:
    return uuid.uuid4().hex


class Client(Commands, Workflows):
    """Submits tasks and workflows to one installation, sends commands to them and reads them back.

    Every submission carries an idempotency key (a random one when none is given), so its task id is known at once and
    a repeat, through whatever door, is the same task. With an `envelope_key` all that goes out is signed, so doors that
    see no caller know whose it is.

    Reading goes to the tasks table directly: that is the operator's way, with the operator's credentials, and the only
    one until the HTTP API exists. It needs `dynamodb:BatchGetItem` on that table and `s3:GetObject` on the claims
    bucket (`why` also reads and queries the other tables), and it is not separated by tenant.
    """

    def __init__(
        self,
        installation: Installation,
        aws: AwsClients,
        *,
        store: ItemStore | None = None,
        blobs: BlobStore | None = None,
        now_ms: Callable[[], int] = _now_ms,
        new_key: Callable[[], str] = _random_key,
        backoff: Backoff = DEFAULT_BACKOFF,
        envelope_key: EnvelopeKey | None = None,
    ) -> None:
        self._doors = doors(installation, aws)
        self._store = store or DynamoItemStore(aws.dynamodb, installation.tables)
        self._blobs = blobs or S3BlobStore(aws.s3, installation.claims_bucket)
        self._now_ms = now_ms
        self._new_key = new_key
        self._backoff = backoff
        self._envelope_key = envelope_key

    def submit(
        self,
        data: SubmitData | Mapping[str, Any],
        *,
        door: Door | str = Door.SQS,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Submitted:
        """Submit one task; `traceparent` (W3C) names the trace that it goes on in. Raises `InvalidSubmission` (naming
        the field) before anything is sent, and `SubmissionRefused` when the door did not take it; then repeat it with
        the key that the error names.
        """
        batch = self.submit_many([data], door=door, correlation_id=correlation_id, traceparent=traceparent)
        for refused in batch.refused:
            raise SubmissionRefused(str(door), refused.idempotency_key, refused.reason)
        return batch.accepted[0]

    def submit_many(
        self,
        items: Iterable[SubmitData | Mapping[str, Any]],
        *,
        door: Door | str = Door.SQS,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Batch:
        """Submit tasks in as few requests as the door allows, and say of each whether it was taken.

        All are checked first: `InvalidSubmission` means that none was sent.
        """
        way = door_of(door)
        trace = {"correlation_id": correlation_id, "traceparent": traceparent}
        prepared = [self._prepared(index, data, trace) for index, data in enumerate(items)]
        submissions = [self._claimed(one) for one in prepared]
        records = [
            Record(index=index, tenant_id=one.tenant_id, body=self._signed(one))
            for index, one in enumerate(submissions)
        ]
        done = deliver(self._doors[way], records, now_ms=self._now_ms, backoff=self._backoff)
        accepted = [_submitted(submissions[index], way, at_ms) for index, at_ms in sorted(done.returned_at_ms.items())]
        refused = [_refused(submissions[index], index, reason) for index, reason in sorted(done.refused.items())]
        return Batch(accepted=tuple(accepted), refused=tuple(refused))

    def tasks(self, task_ids: Iterable[str]) -> dict[str, TaskRecord]:
        """Those of the tasks that exist, as they stand now."""
        keys = [task_key(task_id) for task_id in dict.fromkeys(task_ids)]
        parts = [self._store.get(keys[start : start + KEYS_MAX]) for start in range(0, len(keys), KEYS_MAX)]
        return {key.pk: record_of(item) for found in parts for key, item in found.items()}

    def task(self, task_id: str) -> TaskRecord:
        """One task as it stands now; raises `TaskUnknown`."""
        record = self.tasks([task_id]).get(task_id)
        if record is None:
            raise TaskUnknown(task_id)
        return record

    def wait(
        self, task_ids: Iterable[str], *, timeout_seconds: float, poll_seconds: float = POLL_SECONDS
    ) -> dict[str, TaskRecord]:
        """All the tasks once every one is at rest (ended, or dead-lettered); raises `StillRunning` naming those that
        are not in time.

        Looks every `poll_seconds`, at unfinished tasks only. A system that should react without asking subscribes to
        the facts bus instead.
        """
        ended: dict[str, TaskRecord] = {}
        pending = set(task_ids)
        deadline_ms = self._now_ms() + timeout_seconds * 1_000
        while pending:
            found = self.tasks(pending)
            ended |= {task_id: record for task_id, record in found.items() if record.at_rest}
            pending -= ended.keys()
            if pending and self._now_ms() >= deadline_ms:
                raise StillRunning(pending, timeout_seconds, pending - found.keys())
            if pending:
                self._backoff.sleep(poll_seconds)
        return ended

    def result(self, task: TaskRecord | str) -> dict[str, Any]:
        """What a succeeded task returned, fetched from S3 if it was large; raises `ResultUnavailable`."""
        record = self.task(task) if isinstance(task, str) else task
        if record.status is not Status.SUCCEEDED:
            why = f": {record.error.error_type}: {record.error.message}" if record.error else ""
            raise ResultUnavailable(f"task {record.task_id} is {record.status}{why}")
        return claims.resolve(self._blobs, record.result or {})

    def why(self, task_id: str) -> Why:
        """Why the task is where it is: what it waits for now, its place, and how long; raises `TaskUnknown`."""
        return why(self._store, task_id, self._now_ms())

    def _signed(self, submission: Submission) -> str:
        return signed(submission.encoded(), SUBMIT_DETAIL_TYPE, self._envelope_key)

    def _prepared(
        self, index: int, data: SubmitData | Mapping[str, Any], trace: Mapping[str, str | None]
    ) -> Submission:
        try:
            return prepare(data, fresh_key=self._new_key(), submitted_at_ms=self._now_ms(), **trace)
        except InvalidSubmission as error:
            raise InvalidSubmission(error.field, f"{error.reason} (submission {index})") from error

    def _claimed(self, submission: Submission) -> Submission:
        encoded = encoded_payload(submission)
        if len(encoded) <= INLINE_BYTES_MAX:
            return submission
        return with_payload(submission, claims.store(self._blobs, submission.tenant_id, encoded))


def _submitted(submission: Submission, door: Door, returned_at_ms: int) -> Submitted:
    return Submitted(
        task_id=submission.task_id,
        tenant_id=submission.tenant_id,
        door=door,
        idempotency_key=submission.idempotency_key,
        returned_at_ms=returned_at_ms,
    )


def _refused(submission: Submission, index: int, reason: str) -> Refused:
    key = submission.idempotency_key
    return Refused(index=index, task_id=submission.task_id, idempotency_key=key, reason=reason)
