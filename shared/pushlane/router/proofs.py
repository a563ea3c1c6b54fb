"""What reaches the streamer, proven: an emit by its attempt's token, a fact and a word by the platform's signature."""

from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model import token
from pushlane.model.claim_check import INLINE_BYTES_MAX
from pushlane.model.emitted import Emitted
from pushlane.model.errors import InvalidToken, PushlaneError
from pushlane.model.events import Fact, FactData, FactName
from pushlane.model.keyring import KeyRing
from pushlane.model.live import SignedWord, Word, check_word
from pushlane.model.nesting import nests_too_deep
from pushlane.model.timeline import ENDS, Origin, Recorded, check_fact
from pushlane.state.event_log import Said

_KIND_CHARACTERS_MAX: Final = 128
_RUNNER_CHARACTERS_MAX: Final = 128
_NUMBER_MAX: Final = 2**52


class Refused(PushlaneError):
    """A message that is dropped; `code` says why for programs."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Form(Struct, frozen=True):
    """Enough of a message to tell a word, a fact and an emit apart."""

    signature: str | None = None
    word: msgspec.Raw = msgspec.Raw()


def proven(body: str, ring: KeyRing, now_ms: int) -> Said | Word:
    """What a message says; raises `Refused`."""
    try:
        form = msgspec.json.decode(body, type=_Form)
        if bytes(form.word):
            return check_word(msgspec.json.decode(body, type=SignedWord), ring)
        if form.signature is not None:
            return _fact(msgspec.json.decode(body, type=Recorded), ring)
        return _emit(msgspec.json.decode(body, type=Emitted), ring, now_ms)
    except InvalidToken as error:
        raise Refused("unproven", str(error)) from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Refused("unreadable", str(error)) from error


def log_of_fact(data: FactData) -> str | None:
    """The log that a fact belongs in: its task's, or of a fact about a workflow as a whole the workflow's."""
    return data.task_id or data.workflow_id


def _fact(recorded: Recorded, ring: KeyRing) -> Said:
    check_fact(recorded, ring)
    fact = msgspec.json.decode(recorded.fact, type=Fact)
    data, metadata = fact.data, fact.metadata
    log = log_of_fact(data)
    if log is None or data.tenant_id is None:
        raise Refused("no-task", f"{metadata.name} is about no task")
    return Said(
        tenant_id=data.tenant_id,
        task_id=log,
        origin=Origin.FACT,
        kind=metadata.name.value,
        at_ms=metadata.occurred_at_ms,
        source_id=metadata.fact_id,
        epoch=data.epoch,
        ends=metadata.name in ENDS,
        data=msgspec.to_builtins(data),
        followers=_followers(metadata.name, data),
    )


def _followers(name: FactName, data: FactData) -> tuple[str, ...]:
    """Whose logs repeat that of a task: its workflow's, and that of the task that it is attached to."""
    if name is not FactName.TASK_ACCEPTED:
        return ()
    named = (data.workflow_id, data.parent_task_id)
    return tuple(log for log in named if log is not None and log != data.task_id)


def _emit(one: Emitted, ring: KeyRing, now_ms: int) -> Said:
    claims = token.verify(one.token, ring, now_ms)
    if (claims.task_id, claims.epoch) != (one.task_id, one.epoch):
        raise Refused("another-attempt", "the token is not of the attempt that the emit names")
    _check_form(one)
    return Said(
        tenant_id=claims.tenant_id,
        task_id=one.task_id,
        origin=Origin.AGENT,
        kind=one.kind,
        at_ms=one.emitted_at_ms,
        source_id=f"{one.epoch}/{one.runner}/{one.number}",
        epoch=one.epoch,
        runner=one.runner,
        number=one.number,
        data=one.data,
    )


def _check_form(one: Emitted) -> None:
    if not (0 < len(one.kind) <= _KIND_CHARACTERS_MAX and 0 < len(one.runner) <= _RUNNER_CHARACTERS_MAX):
        raise Refused("form", f"kind and runner have 1 to {_KIND_CHARACTERS_MAX} characters")
    if not (1 <= one.number <= _NUMBER_MAX and 0 <= one.emitted_at_ms <= _NUMBER_MAX):
        raise Refused("form", "number counts from 1, and both it and emitted_at_ms are at most 2**52")
    if nests_too_deep(one.data):
        raise Refused("form", "data nests too deep")
    size = len(msgspec.json.encode(one.data))
    if size > INLINE_BYTES_MAX:
        raise Refused("form", f"data has {size} bytes, at most {INLINE_BYTES_MAX}")
