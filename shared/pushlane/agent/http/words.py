"""The runtime's ports over HTTP. An agent's word is one conditional update of one item; here it is the API call that
has the platform make that very update, under the same fence.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec

from pushlane.agent.http.transport import ApiRefused, Transport
from pushlane.model.attempt import Order, Outcome, OutcomeKind
from pushlane.model.claim_check import claim_prefix
from pushlane.model.emitted import Emitted
from pushlane.model.events import Dispatch, SubmitTask
from pushlane.model.signals import Signal
from pushlane.ports import (
    Attributes,
    ConditionFailed,
    InvalidRequest,
    Item,
    Key,
    Message,
    Scalar,
    Table,
    Update,
    Write,
)
from pushlane.state.attempts import signal_attribute

RESULTS: Final = "api/results"
EVENTS: Final = "api/events"
INTAKE: Final = "api/intake"
_UNSEEN: Final = "unseen-signals"
_CONFLICT: Final = 409
_ERROR_TYPE_MAX: Final = 128
_LEASE_SECONDS_MAX: Final = 900.0
_ENDINGS: Final = {
    OutcomeKind.SUCCEEDED: "complete",
    OutcomeKind.FAILED: "fail",
    OutcomeKind.YIELDED: "yield",
    OutcomeKind.SUSPENDED: "suspend",
    OutcomeKind.CANCELLED: "stop",
}
# What the runner is told beside the signals, under the names that stand on the attempt's item.
_TOLD: Final = ("lease_until_ms", "ends_at_ms", "gave_back", "granted", "progress_at_ms", "started_at_ms")


class ApiClock:
    """The platform's clock, as its answers tell it; this machine's own runs in between, whatever it shows."""

    def __init__(self) -> None:
        self._ahead_ms: int | None = None

    def now_ms(self) -> int:
        if self._ahead_ms is None:
            return time.time_ns() // 1_000_000
        return self._ahead_ms + time.monotonic_ns() // 1_000_000

    def learn(self, told_ms: int) -> None:
        """The platform said that it is this time now; an answer was under way for a while, so it is never earlier."""
        ahead_ms = told_ms - time.monotonic_ns() // 1_000_000
        self._ahead_ms = ahead_ms if self._ahead_ms is None else max(self._ahead_ms, ahead_ms)


class AttemptOverHttp:
    """One attempt: `ItemStore` for the words on its own item, `MessageSender` for what its runtime sends, `BlobStore`
    for its large values. Anything else is an `InvalidRequest`: an agent has no other rights.
    """

    def __init__(self, transport: Transport, clock: ApiClock, dispatch: Dispatch) -> None:
        self._transport = transport
        self._clock = clock
        self._dispatch = dispatch
        self._runner = ""

    def write(self, operation: Write) -> Attributes:
        """See `ItemStore.write`."""
        if not isinstance(operation, Update) or (operation.key.table, operation.key.sk) != (
            Table.ATTEMPTS,
            self._dispatch.task_id,
        ):
            _no_right()
        said = operation.set
        if "outcome" in said:
            outcome = msgspec.json.decode(str(said["outcome"]), type=Outcome)
            return self._word(operation.key, _ENDINGS[outcome.kind], _ending(outcome))
        if "runner" in said:
            self._runner = str(said["runner"])
            return self._word(operation.key, "start", self._start(said))
        return self._word(operation.key, "check-in", self._check_in(said))

    def get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        _no_right()

    def query(self, table: Table, pk: str, *, index: str | None = None, limit: int, start: str = "") -> list[Item]:
        _no_right()

    def transact(self, operations: Sequence[Write], token: str) -> None:
        _no_right()

    def send(self, queue_url: str, messages: Sequence[Message]) -> list[int]:
        """See `MessageSender.send`. A nudge is no message here: its word has run the turn already."""
        tell = {EVENTS: self._emit, INTAKE: self._submit}.get(queue_url, self._tell)
        refused = []
        for index, message in enumerate(messages):
            try:
                tell(message.body)
            except ApiRefused:
                refused.append(index)
        return refused

    # Not `put` and `get` of `BlobStore`: an item store has a `get` of its own.
    def put_claim(self, key: str, body: bytes) -> None:
        """See `BlobStore.put`."""
        self._transport.put(self._claim(key), body, self._dispatch.token)

    def get_claim(self, key: str) -> bytes:
        """See `BlobStore.get`."""
        try:
            return self._transport.get(self._claim(key), self._dispatch.token)
        except ApiRefused as refused:
            raise KeyError(f"{key}: {refused}") from refused

    def _claim(self, key: str) -> str:
        return self._path(f"claims/{key.removeprefix(claim_prefix(self._dispatch.tenant_id))}")

    def _path(self, word: str) -> str:
        return f"/v1/attempts/{self._dispatch.task_id}/{word}"

    def _post(self, word: str, body: dict[str, Any]) -> Any:
        return self._transport.post(self._path(word), {"runner": self._runner, **body}, self._dispatch.token)

    def _word(self, key: Key, word: str, body: dict[str, Any]) -> Attributes:
        try:
            answer = self._post(word, body)
        except ApiRefused as refused:
            if refused.status != _CONFLICT:
                raise InvalidRequest(f"the API refused {word}: {refused}") from refused
            # It is the runner's still, and has not seen every signal: a check-in tells them.
            unseen = refused.code == _UNSEEN
            raise ConditionFailed(Item(key, self._word(key, "check-in", {})) if unseen else None) from refused
        if "now_ms" not in answer:
            return {}
        self._clock.learn(answer["now_ms"])
        return _attributes(answer, self._dispatch.epoch, self._runner)

    def _start(self, said: Attributes) -> dict[str, Any]:
        stall = {"stall_seconds": _number(said["stall_ms"]) / 1_000} if "stall_ms" in said else {}
        return {"lease_seconds": self._lease_seconds(said), **stall}

    def _check_in(self, said: Attributes) -> dict[str, Any]:
        """Children are not said: the platform writes them when they are submitted."""
        body: dict[str, Any] = {"lease_seconds": self._lease_seconds(said)}
        quiet_ms = self._clock.now_ms() - _number(said["progress_at_ms"])
        if quiet_ms > 0 and not said.keys() - {"lease_until_ms", "progress_at_ms"}:
            body["quiet_seconds"] = quiet_ms / 1_000
        body |= {name: msgspec.json.decode(str(said[name])) for name in ("checkpoint", "progress") if name in said}
        return body | {name: said[name] for name in ("waits", "waiting") if name in said}

    def _lease_seconds(self, said: Attributes) -> float:
        if "lease_until_ms" not in said:  # a start that leaves it as it was granted
            return min(_LEASE_SECONDS_MAX, max(1.0, self._dispatch.lease_seconds))
        left_ms = _number(said["lease_until_ms"]) - self._clock.now_ms()
        return min(_LEASE_SECONDS_MAX, max(1.0, left_ms / 1_000))

    def _emit(self, body: str) -> None:
        one = msgspec.json.decode(body, type=Emitted)
        self._post("emit", {"number": one.number, "kind": one.kind, "data": one.data})

    def _submit(self, body: str) -> None:
        data = msgspec.json.decode(body, type=SubmitTask).data
        plain: dict[str, Any] = msgspec.to_builtins(data)
        said = {name: value for name, value in plain.items() if name not in ("parent", "tenant_id")}
        self._post("children", {**said, "attached": data.parent is None or data.parent.attached})

    def _tell(self, body: str) -> None:
        said: dict[str, Any] = msgspec.json.decode(body)
        if said.get("word") == "waits":
            self._post("wait", {"number": said["number"], "usage": said.get("usage", {})})
        elif said.get("word") == "back":
            self._post("back", {"number": said["number"]})


class Blobs:
    """`BlobStore` of an attempt."""

    def __init__(self, attempt: AttemptOverHttp) -> None:
        self.put = attempt.put_claim
        self.get = attempt.get_claim


def _ending(outcome: Outcome) -> dict[str, Any]:
    """The body of a last word."""
    said: dict[str, Any] = msgspec.to_builtins(outcome)
    error = said.pop("error", None)
    kind = said.pop("kind")
    if error is not None:
        said |= {**error, "error_type": error["error_type"][:_ERROR_TYPE_MAX]}
    if kind != OutcomeKind.SUSPENDED:
        said.pop("signals_seen", None)
    if kind == OutcomeKind.SUCCEEDED:
        said.pop("checkpoint", None)
    return said


def _attributes(answer: dict[str, Any], epoch: int, runner: str) -> dict[str, Scalar]:
    """The answer as the attributes that a write of the item leaves."""
    found: dict[str, Scalar] = {"epoch": epoch, "runner": runner, "signals": answer["signals_known"]}
    found |= {name: answer[name] for name in _TOLD if answer.get(name) is not None}
    if answer["order"] != Order.CONTINUE:
        found["order"] = answer["order"]
    for one in msgspec.convert(answer["signals"], list[Signal]):
        found |= signal_attribute(one)
    return found


def _number(value: Scalar) -> int:
    return int(str(value))


def _no_right() -> NoReturn:
    raise InvalidRequest("an agent's credential is good for the words of its own attempts alone")
