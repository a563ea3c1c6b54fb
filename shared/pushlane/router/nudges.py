"""Nudges: an agent's word that its attempt is finished, checked against the reservation token that it carries."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pushlane.model import token
from pushlane.model.events import Nudge
from pushlane.scheduling.snapshot import Finished


def finished_of(message: Mapping[str, Any], signing_key: Callable[[], bytes], now_ms: int) -> tuple[str, Finished]:
    """The pool, and the completion that an SQS message announces; raises `msgspec.DecodeError` or `InvalidToken`."""
    nudge = msgspec.json.decode(message["body"], type=Nudge)
    claims = token.verify(nudge.token, signing_key(), now_ms)
    return claims.pool, Finished(claims.task_id, claims.epoch, nudge.runner, claims.reservation, nudge.outcome)
