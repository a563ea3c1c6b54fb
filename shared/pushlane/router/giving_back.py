"""What an attempt says of its waits -> turns: give back what it holds, and grant it again.

The words may come twice, late or never. What counts stands on the attempt's own item, and the turn's commit checks that
again; a word that finds it otherwise is moot.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.attempt import Attempt, Order
from pushlane.model.errors import InvalidToken
from pushlane.model.events import Back, Waits
from pushlane.model.task import Status
from pushlane.ports import Attributes, ConditionFailed, Equals, ItemStore, Missing, Update
from pushlane.router.duties import take_turn
from pushlane.router.ports import RouterPorts
from pushlane.router.push import Pusher
from pushlane.router.release import BATCH_MAX
from pushlane.router.resolution import Resolution, input_key
from pushlane.router.turn import Turn, TurnPorts
from pushlane.router.turns import run_turn
from pushlane.scheduling.giving_back import asking_entry
from pushlane.scheduling.snapshot import GivesBack, Input, Ready
from pushlane.state import keys
from pushlane.state.giving_back import reservation_as_read
from pushlane.state.items import agent_of, attempt_of, optional_number, status_of, task_of
from pushlane.state.loading import load_task_items

# What a word finds can have changed when its turn commits; then it looks again.
_TRIES_MAX: Final = 4

_decoders: Final[Mapping[str, msgspec.json.Decoder[Waits] | msgspec.json.Decoder[Back]]] = {
    "waits": msgspec.json.Decoder(Waits),
    "back": msgspec.json.Decoder(Back),
}


class _Word(Struct, frozen=True):
    word: str = ""


_peeking: Final = msgspec.json.Decoder(_Word)


class Said(Struct, frozen=True):
    """One word of one attempt, as its token names it."""

    pool: str
    task_id: str
    epoch: int
    word: Waits | Back


def is_of_a_wait(message: Mapping[str, Any]) -> bool:
    """Whether a message of the results queue is about a wait, and no nudge."""
    try:
        return _peeking.decode(message["body"]).word in _decoders
    except msgspec.DecodeError:
        return False


class GivingBack:
    """Handles the words of attempts about their waits."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports

    def handle(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the messages to deliver again. An attempt gives back before it asks again, so that comes first."""
        said = {str(m["messageId"]): one for m in messages if (one := self._said(m)) is not None}
        failed: list[str] = []
        for kind in (Waits, Back):
            for pool in dict.fromkeys(one.pool for one in said.values()):
                of_kind = {i: one for i, one in said.items() if one.pool == pool and isinstance(one.word, kind)}
                undone = self._obey(pool, list({one.task_id: one for one in of_kind.values()}.values()))
                failed += [item_id for item_id, one in of_kind.items() if one.task_id in undone]
        return failed

    def _said(self, message: Mapping[str, Any]) -> Said | None:
        try:
            word = _decoders[_peeking.decode(message["body"]).word].decode(message["body"])
            claims = token.verify(word.token, self._ports.keyring(), self._ports.turn.clock.now_ms())
        except (msgspec.DecodeError, InvalidToken) as error:
            self._ports.log("wait-refused", message_id=message["messageId"], error=str(error)[:200])
            return None
        return Said(claims.pool, claims.task_id, claims.epoch, word)

    def _obey(self, pool: str, said: Sequence[Said]) -> set[str]:
        """One turn for all of them; returns the tasks whose word has to be delivered again."""
        left = list(said)
        for attempt_number in range(_TRIES_MAX):
            if attempt_number:
                self._ports.turn.back_off(attempt_number)
            inputs = self._inputs(pool, left)
            if not inputs:
                return set()
            resolved = run_turn(self._ports, pool, list(inputs.values()))
            results = {task_id: resolved.get(input_key(one)) for task_id, one in inputs.items()}
            # What met another state than it was decided on may have nothing left to say.
            unsettled = {i for i, one in results.items() if one is None or one.resolution is Resolution.MOOT}
            left = [one for one in left if one.task_id in unsettled]
        return {one.task_id for one in left}

    def _inputs(self, pool: str, said: Sequence[Said]) -> dict[str, Input]:
        found = _attempts(self._ports.turn.store, pool, [one.task_id for one in said])
        meant = [(one, found[one.task_id]) for one in said if one.task_id in found]
        current = [(one, a) for one, a in meant if a.epoch == one.epoch and a.runner == one.word.runner]
        gives = {
            attempt.task_id: GivesBack(attempt, one.word.usage)
            for one, attempt in current
            if isinstance(one.word, Waits) and may_give_back(attempt, one.word.number)
        }
        asking = [a for one, a in current if isinstance(one.word, Back) and a.waited.gave_back == one.word.number]
        return {**gives, **asks_of(self._ports.turn, asking)}


def may_give_back(attempt: Attempt, number: int) -> bool:
    """It is in its wait `number`, and holds what it held before it."""
    waits = attempt.outcome is None and attempt.waiting and attempt.waits == number
    return waits and attempt.waited.gave_back < number and not attempt.waited.holds_nothing


def asks_of(ports: TurnPorts, attempts: Iterable[Attempt]) -> dict[str, Ready]:
    """By task: what asks again of the attempts that hold nothing, wait no longer, and do not ask yet. One whose agent
    takes nothing more is asked to yield, and goes on elsewhere.
    """
    back = [a for a in attempts if a.outcome is None and a.waited.holds_nothing and not a.waiting]
    asking = {a.task_id: a for a in back if _may_go_on(ports.store, a)}
    tasks = load_task_items(ports.store, list(asking))
    policy, ready = ports.policies.current(), dict[str, Ready]()
    for task_id, stored in tasks.items():
        if _waits_unasked(stored, asking[task_id]):
            uncounted = optional_number(stored, "uncounted") or 0
            entry = asking_entry(task_of(stored), asking[task_id], policy, uncounted)
            ready[task_id] = Ready(entry, Status.WAITING)
    return ready


def look_after(ports: TurnPorts, pusher: Pusher, attempts: Iterable[Attempt]) -> None:
    """What the sweep does for attempts that hold nothing: those whose word was lost ask, and those that ask an agent
    which has gone are told to yield.
    """
    found = list(attempts)
    for pool in dict.fromkeys(one.pool for one in found):
        ready: list[Input] = list(asks_of(ports, [one for one in found if one.pool == pool]).values())
        for first in range(0, len(ready), BATCH_MAX):
            take_turn(ports, pusher, Turn(ports, pusher, pool), ready[first : first + BATCH_MAX])


def _may_go_on(store: ItemStore, attempt: Attempt) -> bool:
    held = attempt.reservation
    key = keys.agent_key(held.agent_pool, held.agent_id)
    found = store.get([key]).get(key)
    if found is not None and agent_of(found).accepting:
        return True
    _recall(store, attempt)
    return False


def _recall(store: ItemStore, attempt: Attempt) -> None:
    """Ask an attempt that holds nothing to yield: it finds the order while it waits for its grant."""
    as_read = (
        Equals("epoch", attempt.epoch),
        Equals("runner", attempt.runner or ""),
        Missing("outcome_digest"),
        Missing("order"),
        *reservation_as_read(attempt.waited),
    )
    try:
        key = keys.attempt_key(attempt.pool, attempt.task_id)
        store.write(Update(key, set={"order": Order.PREEMPT.value}, conditions=as_read))
    except ConditionFailed:
        return  # it was told already, or has got what it asked for


def _waits_unasked(stored: Attributes, attempt: Attempt) -> bool:
    waits = status_of(stored) is Status.WAITING and stored.get("epoch") == attempt.epoch
    return waits and "waits_at" not in stored


def _attempts(store: ItemStore, pool: str, task_ids: Sequence[str]) -> dict[str, Attempt]:
    found = store.get([keys.attempt_key(pool, task_id) for task_id in task_ids])
    return {key.sk: attempt_of(item) for key, item in found.items()}
