"""Dead-letter queues for an operator: what lies there, sent back at a capped rate, or thrown away.

`StartMessageMoveTask` is not used: it sends a submission back as another one, and not every backend has it. A message
is sent first and deleted second, so a crash in between can only send it twice, and twice is the same submission,
attempt or wake-up.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from pushlane.aws.queues import SqsSender
from pushlane.client.aws_clients import AwsClients
from pushlane.client.installation import Installation
from pushlane.client.overview import queue_depth
from pushlane.client.pace import Pace
from pushlane.client.stream_records import read_records
from pushlane.client.way_back import Back, DeadMessage, Stays, StreamPosition, StreamRecord, way_back
from pushlane.model.dead_letters import DeadLetterKind, DeadLetterPlace
from pushlane.model.errors import PushlaneError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH: Final = 10
# For how long a look hides messages at most; they are shown again right after it.
_LOOK_SECONDS: Final = 30
_WORK_SECONDS: Final = 60
_VISIBILITY_SECONDS_MAX: Final = 12 * 3600
# An empty answer of a long poll that asked every server; a short one can be empty beside messages.
_WAIT_SECONDS: Final = 1


class QueueUnknown(PushlaneError):
    """No dead-letter queue of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"{name}: no dead-letter queue; there are {', '.join(sorted(known))}")
        self.name = name


class DeadQueue(Struct, frozen=True, kw_only=True):
    """One dead-letter queue. `oldest_ms`: when the oldest of (up to) ten of its messages was sent."""

    name: str
    kind: DeadLetterKind
    waiting: int
    in_flight: int
    oldest_ms: int | None = None


class Kept(Struct, frozen=True, kw_only=True):
    """A message that stayed where it was, and why."""

    message_id: str
    reason: str


class Moved(Struct, frozen=True, kw_only=True):
    """What a redrive or discard did. `left`: how many more were there when it began, by SQS's own approximate count."""

    queue: str
    moved: int
    kept: tuple[Kept, ...]
    left: int


class DeadMessages:
    """The dead-letter queues of one installation, by the names that its stacks gave them."""

    def __init__(self, installation: Installation, aws: AwsClients) -> None:
        self._installation = installation
        self._sqs = aws.sqs
        self._kinesis = aws.kinesis
        self._sender = SqsSender(aws.sqs, fair_queues=installation.stage != "local")

    def place(self, name: str) -> DeadLetterPlace:
        """The queue of this name; raises `QueueUnknown` that lists the names."""
        places = {place.name: place for place in self._installation.dead_letter_queues}
        if name not in places:
            raise QueueUnknown(name, tuple(places))
        return places[name]

    def queues(self) -> tuple[DeadQueue, ...]:
        """Every dead-letter queue, those with messages first."""
        found = [self._seen(place) for place in self._installation.dead_letter_queues]
        return tuple(sorted(found, key=lambda one: (-one.waiting - one.in_flight, one.name)))

    def peek(self, name: str, limit: int) -> tuple[DeadMessage, ...]:
        """Up to `limit` messages, oldest first. They are there for others again when this returns."""
        queue = _Queue(self._sqs, self.place(name).url, _LOOK_SECONDS)
        try:
            return tuple(sorted((dead for dead in queue.take(limit)), key=lambda one: one.sent_at_ms))
        finally:
            queue.release()

    def redrive(self, name: str, limit: int | None, pace: Pace, told: Callable[[int], None]) -> Moved:
        """Send messages back where they came from, as they were or as the same submission, and delete them.

        `told` hears after each how many there were. Raises what SQS raises; what is not deleted by then is still there.
        """
        place = self.place(name)

        def send(dead: DeadMessage) -> str | None:
            ways = way_back(place, dead, self._installation, self._stream)
            return ways.reason if isinstance(ways, Stays) else self._sent(ways, pace)

        return self._each(place, limit, pace, told, send)

    def discard(self, name: str, limit: int | None, pace: Pace, told: Callable[[int], None]) -> Moved:
        """Delete messages for good."""

        def drop(_dead: DeadMessage) -> None:
            pace.wait()

        return self._each(self.place(name), limit, pace, told, drop)

    def _each(
        self,
        place: DeadLetterPlace,
        limit: int | None,
        pace: Pace,
        told: Callable[[int], None],
        done: Callable[[DeadMessage], str | None],
    ) -> Moved:
        """`done` says why a message has to stay. Not more are taken than there were at the beginning, so that what
        fails again at once and comes back keeps nobody busy for ever.
        """
        there = queue_depth(self._sqs, place.url).waiting
        visible_in = round(_WORK_SECONDS + 2 * _BATCH * pace.interval_seconds)
        queue = _Queue(self._sqs, place.url, min(visible_in, _VISIBILITY_SECONDS_MAX))
        moved, kept = 0, list[Kept]()
        try:
            for dead in queue.take(there if limit is None else min(limit, there)):
                if (reason := done(dead)) is not None:
                    kept.append(Kept(message_id=dead.message_id, reason=reason))
                    continue
                queue.delete(dead)
                moved += 1
                told(moved)
        finally:
            queue.release()
        return Moved(queue=place.name, moved=moved, kept=tuple(kept), left=max(0, there - moved))

    def _sent(self, ways: Sequence[Back], pace: Pace) -> str | None:
        for one in ways:
            pace.wait()
            if self._sender.send(one.queue_url, [one.message]):
                return f"{one.queue_url} did not take it; try again"
        return None

    def _stream(self, position: StreamPosition) -> tuple[StreamRecord, ...] | Stays:
        return read_records(self._kinesis, self._installation.stream_name, position)

    def _seen(self, place: DeadLetterPlace) -> DeadQueue:
        depth = queue_depth(self._sqs, place.url)
        oldest = [dead.sent_at_ms for dead in self.peek(place.name, _BATCH)] if depth.waiting else []
        return DeadQueue(
            name=place.name,
            kind=place.kind,
            waiting=depth.waiting,
            in_flight=depth.in_flight,
            oldest_ms=min(oldest, default=None),
        )


class _Queue:
    """Messages taken from one queue: each once, and put back unless deleted."""

    def __init__(self, sqs: "SQSClient", url: str, visibility_seconds: int) -> None:
        self._sqs = sqs
        self._url = url
        self._visibility_seconds = visibility_seconds
        self._handles: dict[str, str] = {}
        self._seen: set[str] = set()

    def take(self, limit: int) -> Iterator[DeadMessage]:
        """Up to `limit` messages, until there is none that was not seen."""
        while len(self._seen) < limit:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(_BATCH, limit - len(self._seen)),
                VisibilityTimeout=self._visibility_seconds,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["All"],
            )
            messages = answer.get("Messages", [])
            fresh = [one for one in messages if one["MessageId"] not in self._seen]
            self._handles |= {one["MessageId"]: one["ReceiptHandle"] for one in messages}
            self._seen |= {one["MessageId"] for one in fresh}
            if not fresh:
                return
            yield from (_dead(one, fifo=self._url.endswith(".fifo")) for one in fresh)

    def delete(self, dead: DeadMessage) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=self._handles[dead.message_id])
        del self._handles[dead.message_id]

    def release(self) -> None:
        """Show everything again that was taken and not deleted. What is not released is shown when its time is over."""
        handles = list(self._handles.values())
        for start in range(0, len(handles), _BATCH):
            entries: Any = [
                {"Id": str(place), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for place, handle in enumerate(handles[start : start + _BATCH])
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._handles.clear()


def _dead(message: Any, *, fifo: bool) -> DeadMessage:
    attributes = message.get("Attributes", {})
    return DeadMessage(
        message_id=message["MessageId"],
        body=message["Body"],
        sent_at_ms=int(attributes.get("SentTimestamp", 0)),
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        group=attributes.get("MessageGroupId"),
        fifo=fifo,
    )
