"""Nudges: an agent's word that its attempt is finished, checked against the reservation token that it carries."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.attempt import Attempt, outcome_digest
from pushlane.model.events import Nudge
from pushlane.model.keyring import KeyRing
from pushlane.scheduling.snapshot import Finished


class Told(Struct, frozen=True):
    """A completion as a nudge tells it. `waited`: what the attempt holds stands on its item alone."""

    pool: str
    finished: Finished
    waited: bool


def finished_of(message: Mapping[str, Any], keyring: Callable[[], KeyRing], now_ms: int) -> Told:
    """The completion that an SQS message announces; raises `msgspec.DecodeError` or `InvalidToken`."""
    nudge = msgspec.json.decode(message["body"], type=Nudge)
    claims = token.verify(nudge.token, keyring(), now_ms)
    finished = Finished(
        claims.task_id,
        claims.epoch,
        nudge.runner,
        claims.reservation,
        nudge.outcome,
        traceparent=nudge.traceparent,
    )
    return Told(claims.pool, finished, nudge.waits > 0)


def as_it_stands(told: Finished, attempt: Attempt | None) -> Finished | None:
    """The completion with what the attempt holds by its own item, which is where its waits changed that; None when the
    item does not say what the nudge tells.
    """
    if attempt is None or (attempt.epoch, attempt.runner) != (told.epoch, told.runner):
        return None
    if attempt.outcome is None or outcome_digest(attempt.outcome) != outcome_digest(told.outcome):
        return None
    return msgspec.structs.replace(told, reservation=attempt.reservation, waited=attempt.waited)
