"""The agent's three words on its attempt, each one conditional update: start, check in, finish.

The fence is (epoch, runner): a duplicate delivery has another call id and cannot start what has a runner; a reclaimed
attempt's item is gone or of a later epoch, so a zombie's word finds no item that fits.
"""

from pushlane.model.attempt import Outcome, outcome_digest
from pushlane.ports import AnyOf, Conditions, Equals, Key, Missing, Scalar, Table, Update
from pushlane.state.items import outcome_attributes


def attempt_item(attempt_pk: str, task_id: str) -> Key:
    return Key(Table.ATTEMPTS, attempt_pk, task_id)


def start(key: Key, epoch: int, call_id: str, started_at_ms: int, lease_until_ms: int) -> Update:
    """Become the runner, unless another invocation is. Repeating it with the same call id changes nothing more."""
    conditions: Conditions = (
        Equals("epoch", epoch),
        AnyOf((Missing("runner"), Equals("runner", call_id))),
        Missing("outcome_digest"),
    )
    started: dict[str, Scalar] = {"runner": call_id, "started_at_ms": started_at_ms, "lease_until_ms": lease_until_ms}
    return Update(key, set=started, conditions=conditions)


def check_in(key: Key, epoch: int, call_id: str, lease_until_ms: int, more: dict[str, Scalar]) -> Update:
    """Extend the lease and store what is new (`checkpoint`, `progress`, both JSON)."""
    fence: Conditions = (Equals("epoch", epoch), Equals("runner", call_id), Missing("outcome_digest"))
    return Update(key, set={"lease_until_ms": lease_until_ms, **more}, conditions=fence)


def finish(key: Key, epoch: int, call_id: str, outcome: Outcome, now_ms: int) -> Update:
    """FINISHED: from here on the attempt is never reclaimed. The lease ends now, so the sweep sees it at once if the
    nudge is lost.
    """
    said = AnyOf((Missing("outcome_digest"), Equals("outcome_digest", outcome_digest(outcome))))
    fence: Conditions = (Equals("epoch", epoch), Equals("runner", call_id), said)
    return Update(key, set={**outcome_attributes(outcome), "lease_until_ms": now_ms}, conditions=fence)
