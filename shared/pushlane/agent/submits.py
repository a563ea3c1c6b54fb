"""Tasks that a running attempt submits: its children."""

from typing import Any

import msgspec

from pushlane.agent.attempt import LiveAttempt
from pushlane.agent.errors import ChildFailed, Permanent
from pushlane.agent.waits import Waits
from pushlane.model.errors import PushlaneError
from pushlane.model.events import CAUSATION_DEPTH_MAX, SUBMIT_DETAIL_TYPE, SubmitData, SubmitMetadata, SubmitTask
from pushlane.model.ids import digest, intake_queue_of, intake_slot, keyed_task_id
from pushlane.model.signals import CHILD_PREFIX
from pushlane.model.task import ParentTask, Status
from pushlane.ports import Message
from pushlane.state.items import to_json


class NotSubmitted(PushlaneError):
    """The intake queue did not take the child; the attempt fails with this and is retried, unless it is caught."""


class Child:
    """A submitted task. `task_id` is known at once and the same in every attempt."""

    def __init__(self, live: LiveAttempt, waits: Waits, task_id: str, *, attached: bool) -> None:
        self.task_id = task_id
        self.attached = attached
        self._live = live
        self._waits = waits

    def result(self, timeout_seconds: float | None = None) -> dict[str, Any]:
        """The child's result. Until there is one the attempt is suspended: it costs nothing meanwhile, and the function
        runs again from its checkpoint.

        Raises `ChildFailed` when it ended otherwise, `SignalTimeout` when it has not ended in time, `ValueError` for a
        detached child: nobody hears of its end.
        """
        if not self.attached:
            raise ValueError(f"child {self.task_id} is detached: submit it with attached=True to wait for it")
        name = CHILD_PREFIX + self.task_id
        told = self._waits.wait_for_child(name, timeout_seconds)
        if told.data.get("status") != Status.SUCCEEDED:
            raise ChildFailed(self.task_id, str(told.data.get("status")))
        return dict(self._live.claims.redeem(told.data.get("result") or {}))


def submit(
    live: LiveAttempt, waits: Waits, task_type: str, payload: object, *, key: str, attached: bool, more: dict[str, Any]
) -> Child:
    """Submit a child task; see `TaskContext.submit`. The attempt's reservation token vouches for the tenant."""
    depth = live.dispatch.cause_depth + 1
    if depth > CAUSATION_DEPTH_MAX:
        raise Permanent(f"submit({key!r}): tasks are nested {CAUSATION_DEPTH_MAX} deep already")
    idempotency_key = f"child/{digest(live.dispatch.task_id, key)}"
    child = Child(live, waits, keyed_task_id(live.dispatch.tenant_id, idempotency_key), attached=attached)
    if waits.told(CHILD_PREFIX + child.task_id) is not None:
        return child  # it has ended already: an earlier run submitted it
    data = _data(
        live, {**more, "task_type": task_type, "payload": payload, "idempotency_key": idempotency_key}, attached
    )
    if attached and child.task_id not in live.children:
        live.children.append(child.task_id)
        live.say({"children": list(live.children)})
    _send(live, data, depth)
    return child


def _data(live: LiveAttempt, said: dict[str, Any], attached: bool) -> SubmitData:
    """The child as a submission; raises `Permanent` naming the field that cannot be."""
    parent = ParentTask(task_id=live.dispatch.task_id, attached=attached)
    try:
        plain = msgspec.to_builtins({**said, "tenant_id": live.dispatch.tenant_id, "parent": parent}, str_keys=True)
        data = msgspec.convert(plain, SubmitData)
    except (msgspec.ValidationError, TypeError) as error:
        raise Permanent(f"submit: {error}") from error
    return msgspec.structs.replace(data, payload=live.claims.bounded(data.payload, "child's payload"))


def _send(live: LiveAttempt, data: SubmitData, depth: int) -> None:
    slot = intake_slot(data.tenant_id)
    metadata = SubmitMetadata(
        name=SUBMIT_DETAIL_TYPE,
        version=1,
        correlation_id=live.dispatch.correlation_id,
        traceparent=live.dispatch.traceparent,
        depth=depth,
        intake=slot,
        token=live.dispatch.token or None,
        submitted_at_ms=live.now_ms(),
    )
    urls = live.ports.intake_queue_urls
    said = to_json(SubmitTask(metadata=metadata, data=data))
    message = Message(said, group=data.tenant_id, trace_header=live.trace_header)
    if live.ports.sender.send(urls[intake_queue_of(slot, len(urls))], [message]):
        raise NotSubmitted(f"submit: the intake queue did not take a {data.task_type} task; try again")
