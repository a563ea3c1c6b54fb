"""The registry, wired for Lambda behind CloudFormation, which wants its answer at a URL that it names."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pushlane.aws.dynamodb import DynamoItemStore
from pushlane.aws.queues import SqsSender
from pushlane.model.events import WakeUp
from pushlane.ports import ItemStore, Message, Table
from pushlane.router.registry import RequestType, apply, request_of
from pushlane.settings.environment import load
from pushlane.settings.functions import RegistrySettings
from pushlane.state.items import to_json
from pushlane.wiring import clients
from pushlane.wiring.logs import structured_log
from pushlane.wiring.process import environ

_LOOK_SECONDS: Final = 2
# Kept back for the answer itself: an unanswered request blocks the stack until CloudFormation gives it up.
_ANSWER_MS: Final = 30_000
_ANSWER_SECONDS: Final = 10
_REASON_CHARACTERS_MAX: Final = 1_000
# The id of an entry whose properties were refused: CloudFormation deletes what it could not create.
_NEVER_REGISTERED: Final = "unregistered"

Answer = dict[str, str]


class Registry:
    """Applies CloudFormation's requests to a store and sends the answers.

    `wake` has a turn run on a pool: tasks may have waited for the agent that came or grew.
    """

    def __init__(
        self,
        store: ItemStore,
        wake: Callable[[str], None],
        send: Callable[[str, bytes], None],
        log: Callable[..., None],
    ) -> None:
        self._store = store
        self._wake = wake
        self._send = send
        self._log = log

    def answer(self, event: Mapping[str, Any], remaining_ms: Callable[[], int]) -> None:
        """Apply the request and put the answer to its URL."""

        def wait() -> bool:
            time.sleep(_LOOK_SECONDS)
            return remaining_ms() > _ANSWER_MS

        answer = self._answer(event, wait)
        self._send(event["ResponseURL"], json.dumps(answer).encode())

    def _answer(self, event: Mapping[str, Any], wait: Callable[[], bool]) -> Answer:
        known_id = event.get("PhysicalResourceId", _NEVER_REGISTERED)
        if event["RequestType"] == "Delete" and known_id == _NEVER_REGISTERED:
            return _reply(event, "SUCCESS", known_id, "was never registered")
        try:
            request = request_of(event)
            known_id = request.physical_id
            outcome = apply(request, self._store, wait)
            if request.type is not RequestType.DELETE:
                self._wake(request.agent.pool)
        except Exception as error:  # whatever went wrong, an unanswered request would hang the deployment for long
            self._log("registration failed", error=type(error).__name__, reason=str(error))
            return _reply(event, "FAILED", known_id, str(error) or type(error).__name__)
        self._log("registration", agent_id=request.agent.agent_id, pool=request.agent.pool, outcome=outcome)
        return _reply(event, "SUCCESS", known_id, outcome)


@cache
def build_registry() -> Registry:
    """The registry of this process, from its environment."""
    settings = load(RegistrySettings, environ())
    store = DynamoItemStore(clients.dynamodb(), {Table.SCHEDULER: settings.scheduler_table})
    sender = SqsSender(clients.sqs())

    def wake(pool: str) -> None:
        # If it is refused, the sweep wakes the pool within a minute.
        sender.send(settings.wakeups_queue_url, [Message(to_json(WakeUp(pool=pool, generation=0, due_ms=0)))])

    return Registry(store, wake, put, structured_log("registry"))


def put(url: str, body: bytes) -> None:
    """PUT without a content type, as CloudFormation's presigned URL demands; raises `OSError` if it is not accepted."""
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):
        pass


def _reply(event: Mapping[str, Any], status: str, physical_id: str, reason: str) -> Answer:
    echoed = {name: str(event[name]) for name in ("StackId", "RequestId", "LogicalResourceId")}
    return {"Status": status, "PhysicalResourceId": physical_id, "Reason": reason[:_REASON_CHARACTERS_MAX], **echoed}
