"""An SQS consumer, watched: a client that does what the given one does, and records what its receives find.

    sqs = watched(boto3.client("sqs"), probe, tenant_of=lambda message: json.loads(message["Body"])["tenant"])

The loop stays as it is. A task is taken to be picked up when it is received, and over when its message is deleted.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from pushlane.migrate.instrument import Probe

_SENT: Final = "SentTimestamp"
_OPEN_MAX: Final = 100_000
Message = Mapping[str, Any]


class WatchedSqs:
    """Every other call, and every other attribute, is the client's own."""

    def __init__(
        self,
        client: Any,
        probe: Probe,
        *,
        tenant_of: Callable[[Message], str],
        deadline_ms_of: Callable[[Message], int | None] = lambda message: None,
        task_type_of: Callable[[Message], str] = lambda message: "task",
    ) -> None:
        self._client = client
        self._probe = probe
        self._tenant_of = tenant_of
        self._deadline_ms_of = deadline_ms_of
        self._task_type_of = task_type_of
        self._open: dict[str, tuple[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def receive_message(self, **request: Any) -> Any:
        """As the client's; asks for the time of sending besides."""
        with self._probe.poll() as poll:
            answer = self._client.receive_message(**_with_sent(request))
            messages: Sequence[Message] = answer.get("Messages", ())
            poll.found(len(messages))
        for message in messages:
            self._probe.beside(partial(self._picked, message))
        return answer

    def delete_message(self, **request: Any) -> Any:
        answer = self._client.delete_message(**request)
        self._ended(request["ReceiptHandle"])
        return answer

    def delete_message_batch(self, **request: Any) -> Any:
        answer = self._client.delete_message_batch(**request)
        failed = {one["Id"] for one in answer.get("Failed", ())}
        for entry in request["Entries"]:
            if entry["Id"] not in failed:
                self._ended(entry["ReceiptHandle"])
        return answer

    def _picked(self, message: Message) -> None:
        sent = message.get("Attributes", {}).get(_SENT)
        tenant_id, task_id = self._tenant_of(message), str(message["MessageId"])
        self._open[message["ReceiptHandle"]] = (task_id, tenant_id)
        if len(self._open) > _OPEN_MAX:  # received and never deleted: the oldest will not be
            self._open.pop(next(iter(self._open)), None)
        self._probe.picked(
            task_id,
            tenant_id,
            enqueued_at_ms=None if sent is None else int(sent),
            deadline_ms=self._deadline_ms_of(message),
            task_type=self._task_type_of(message),
        )

    def _ended(self, receipt_handle: str) -> None:
        known = self._open.pop(receipt_handle, None)
        if known is not None:
            self._probe.ended(*known)


def watched(client: Any, probe: Probe, **how: Any) -> WatchedSqs:
    """The client to give to the loop in the place of its own. `tenant_of`, `deadline_ms_of` and `task_type_of` read
    what the record needs from a message as `receive_message` returns it.
    """
    return WatchedSqs(client, probe, **how)


def _with_sent(request: Mapping[str, Any]) -> dict[str, Any]:
    names = "MessageSystemAttributeNames" if "MessageSystemAttributeNames" in request else "AttributeNames"
    asked = list(request.get(names, ()))
    if _SENT in asked or "All" in asked:
        return dict(request)
    return {**request, names: [*asked, _SENT]}
