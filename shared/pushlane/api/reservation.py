"""The proof of an attempt's word over HTTP: the reservation token of its dispatch, beside the agent's own credential.

A token proves one task, one epoch and what it holds; the attempt's runner is proven by the conditional write itself.
"""

from typing import Final

from msgspec import Struct

from pushlane.api.access import caller
from pushlane.api.operations import Request
from pushlane.api.ports import ApiPorts
from pushlane.api.problems import Problem, conflict, invalid, unknown
from pushlane.model import token
from pushlane.model.attempt import Attempt
from pushlane.model.errors import InvalidToken
from pushlane.model.token import ReservationClaims
from pushlane.ports import ConditionFailed, Key
from pushlane.state import attempts, keys
from pushlane.state.items import attempt_of

HEADER: Final = "pushlane-reservation"


class Proven(Struct, frozen=True, kw_only=True):
    """An attempt's claims, the token that they stand in, and the key of its item."""

    token: str
    claims: ReservationClaims
    key: Key


def proven(ports: ApiPorts, request: Request) -> Proven:
    """The attempt that the call speaks for. Raises 422 without a token, 403 for one that is not authentic, and 404 for
    one of another task, or of an agent that the credential does not speak for: whoever guesses learns nothing.
    """
    said = request.headers.get(HEADER)
    if not said:
        raise invalid(f"header.{HEADER}", "missing: send the `token` of the dispatch", "no_token")
    try:
        claims = token.verify(said, ports.router.keyring(), request.now_ms)
    except InvalidToken as error:
        raise Problem(403, "unproven", f"{HEADER}: {error}") from error
    held, principal = claims.reservation, caller(request)
    theirs = principal.pool == held.agent_pool and principal.agent_id in (None, held.agent_id)
    if not theirs or not principal.may_speak_for(claims.tenant_id) or claims.task_id != request.path["task_id"]:
        raise unknown("attempt")
    key = keys.attempt_key(claims.pool, claims.task_id)
    return Proven(token=said, claims=claims, key=key)


def current(ports: ApiPorts, said: Proven, runner: str) -> Attempt:
    """The attempt as it stands; raises 409 `stale` when it is not this runner's."""
    found = ports.store.get([said.key]).get(said.key)
    attempt = None if found is None else attempt_of(found)
    if attempt is None or (attempt.epoch, attempt.runner) != (said.claims.epoch, runner):
        raise stale()
    return attempt


def stale() -> Problem:
    """The word of an attempt that is over, was given to somebody else, or is another invocation's."""
    return conflict("stale", "the attempt is not this runner's, or not any more: stop, its word changes nothing")


def refused(error: ConditionFailed, said: Proven, runner: str) -> Problem:
    """What a refused write says: the attempt is lost; or it is the runner's still, and has not seen every signal."""
    item = error.item
    if item is not None and attempts.is_runners(item.attributes, said.claims.epoch, runner):
        return conflict("unseen-signals", "a signal has come that the attempt has not seen: check in, then go on")
    return stale()
