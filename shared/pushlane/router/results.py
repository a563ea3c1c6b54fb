"""Nudges of agents -> turns: what an ended attempt leads to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pushlane.model.attempt import OutcomeKind
from pushlane.model.errors import InvalidToken
from pushlane.model.events import FactName
from pushlane.model.ids import digest
from pushlane.router.giving_back import GivingBack, is_of_a_wait
from pushlane.router.nudges import Told, as_it_stands, finished_of
from pushlane.router.ports import RouterPorts
from pushlane.router.quarantine import record_fact
from pushlane.router.resolution import Resolution, Resolved, input_key
from pushlane.router.turns import run_turn
from pushlane.scheduling.snapshot import Finished, Input
from pushlane.state import keys
from pushlane.state.items import attempt_of
from pushlane.state.loading import load_retry_states


class Results:
    """Handles batches of the results queue."""

    def __init__(self, ports: RouterPorts) -> None:
        self._ports = ports
        self._giving_back = GivingBack(ports)

    def handle(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Returns the messages to deliver again."""
        of_waits = [message for message in messages if is_of_a_wait(message)]
        failed = self._giving_back.handle(of_waits) if of_waits else []
        by_pool: dict[str, dict[str, Told]] = {}
        for message in messages:
            told = None if is_of_a_wait(message) else self._told(message)
            if told is not None:
                by_pool.setdefault(told.pool, {})[str(message["messageId"])] = told
        for pool, named in by_pool.items():
            failed += self._finish(pool, named)
        return failed

    def _told(self, message: Mapping[str, Any]) -> Told | None:
        """The completion that a nudge announces; a forged or unreadable nudge is dropped (the attempt is the truth)."""
        try:
            return finished_of(message, self._ports.keyring, self._ports.turn.clock.now_ms())
        except (msgspec.DecodeError, InvalidToken) as error:
            self._ports.log("nudge-refused", message_id=message["messageId"], error=str(error)[:200])
            return None

    def _finish(self, pool: str, named: Mapping[str, Told]) -> list[str]:
        """One turn for all of them, and one more look at those that were refused: an attempt that has waited holds
        something else than its token says, and its end is refused as told.
        """
        told = {item_id: one.finished for item_id, one in named.items()}
        waited = self._as_they_stand(pool, [one.finished for one in named.values() if one.waited])
        first = {item_id: waited.get(input_key(one), one) for item_id, one in told.items()}
        failed, stale = self._take(pool, first)
        stored = self._as_they_stand(pool, list(stale.values()))
        again = {item_id: stored[key] for item_id, one in stale.items() if (key := input_key(one)) in stored}
        failed_again, stale_again = self._take(pool, again) if again else ([], {})
        for item_id, one in stale.items():
            if item_id not in again or item_id in stale_again:
                self._stale(one)
        return [*failed, *failed_again]

    def _take(self, pool: str, named: Mapping[str, Finished]) -> tuple[list[str], dict[str, Finished]]:
        """The messages to deliver again, and what was refused as stale."""
        resolved: dict[str, Resolved] = {}
        for told in _by_task(named.values()):
            resolved |= run_turn(self._ports, pool, self._with_retry(told))
        said = {item_id: resolved.get(input_key(one)) for item_id, one in named.items()}
        stale = [i for i, one in said.items() if one is not None and one.resolution is Resolution.STALE]
        return [i for i, one in said.items() if one is None], {i: named[i] for i in stale}

    def _as_they_stand(self, pool: str, told: Sequence[Finished]) -> dict[str, Finished]:
        """By input key: the completions of live attempts that have waited, with what they hold now."""
        wanted = {keys.attempt_key(pool, one.task_id): one for one in told}
        found = self._ports.turn.store.get(list(wanted)) if wanted else {}
        stored = [as_it_stands(one, attempt_of(found[key])) for key, one in wanted.items() if key in found]
        return {input_key(one): one for one in stored if one is not None and one.waited.gave_back}

    def _with_retry(self, finished: Sequence[Finished]) -> list[Input]:
        """The next step after a failure depends on the task, so those read it. Successes do not, unless something may
        wait in a lane for the attempt that succeeded.
        """
        unread = [one for one in finished if one.outcome.kind is OutcomeKind.SUCCEEDED and not one.waited.holds_nothing]
        leaning = [(one.task_id, one.epoch) for one in finished if one not in unread]
        states = load_retry_states(self._ports.turn.store, leaning, self._ports.turn.policies.current())
        return [msgspec.structs.replace(one, retry=states.get((one.task_id, one.epoch))) for one in finished]

    def _stale(self, one: Finished) -> None:
        fact_id = digest("stale", one.task_id, str(one.epoch), one.runner)
        attributes: dict[str, str | int | bool | list[str]] = {
            "tenant_id": one.reservation.tenant_id,
            "task_id": one.task_id,
            "epoch": one.epoch,
            "agent_id": one.reservation.agent_id,
            "reason": "the attempt was no longer current; its result was not taken",
        }
        record_fact(self._ports.turn.store, self._ports.turn.clock, FactName.RESULT_STALE, fact_id, attributes)


def _by_task(told: Iterable[Finished]) -> list[list[Finished]]:
    """For one turn each: a task's latest attempt first, what is said of earlier ones after it. A turn changes a task
    once.
    """
    turns: list[dict[str, Finished]] = []
    for one in sorted(told, key=lambda said: -said.epoch):
        free = next((turn for turn in turns if one.task_id not in turn), None)
        if free is None:
            free = {}
            turns.append(free)
        free[one.task_id] = one
    return [list(turn.values()) for turn in turns]
