"""What the streamer is told beside what happened: which log repeats another one, and who has not got all of a log.

Logs have names: that of a task or of a workflow is its id, that of a tenant's feed is `FEED#<tenant>`. Agents may send
to the streamer's queue, so these words are signed as facts are, under a prefix of their own.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Final, Literal

import msgspec
from msgspec import Struct

from pushlane.model.errors import InvalidToken
from pushlane.model.keyring import FIRST_KID, KeyRing

_PURPOSE: Final = b"pushlane.live\n"
_FEED: Final = "FEED#"


class StreamKind(StrEnum):
    """What can be followed."""

    TASK = "task"
    WORKFLOW = "workflow"
    TENANT = "tenant"


class Connection(Struct, frozen=True, kw_only=True):
    """A WebSocket connection and where it can be posted to: the API's id, its domain and its stage."""

    connection_id: str
    api_id: str
    domain: str
    stage: str


class Copy(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="copy", tag_field="word"):
    """Streamer -> itself: `log` repeats `source`, which has events up to `upto` by now. `start`: how far an earlier
    one of these has come (it only makes the next one another message).
    """

    log: str
    source: str
    tenant_id: str
    upto: int
    start: int = 0


class Subscribe(Struct, frozen=True, kw_only=True):
    """A wish: post this log's events after `after` to the connection, from now on."""

    log: str
    tenant_id: str
    connection: Connection
    subscription_id: str
    after: int


class GoOn(Struct, frozen=True, kw_only=True, tag="go-on", tag_field="word"):
    """To the streamer: somebody has not got all of the log yet. `place`: who, and how far they have come."""

    log: str
    place: str


class OpenFeed(Struct, frozen=True, kw_only=True, tag="open-feed", tag_field="word"):
    """API -> streamer: somebody reads this tenant's feed. `request_id` tells one such wish from the next."""

    log: str
    tenant_id: str
    request_id: str


Word = Copy | OpenFeed | GoOn


class SignedWord(Struct, frozen=True, kw_only=True):
    """A word to the streamer, verbatim as it was signed under the key `kid`."""

    signature: str
    word: msgspec.Raw
    kid: str = FIRST_KID
    v: Literal[1] = 1


_words: Final[msgspec.json.Decoder[Word]] = msgspec.json.Decoder(Word)


def sign_word(word: Word, ring: KeyRing) -> SignedWord:
    """A word with its signature, 64 hex digits."""
    kid, key = ring.signing()
    body = msgspec.json.encode(word)
    return SignedWord(signature=_mac(body, key), word=msgspec.Raw(body), kid=kid)


def check_word(signed: SignedWord, ring: KeyRing) -> Word:
    """The word; raises `InvalidToken` unless a holder of the ring signed just these bytes (compared in constant
    time), and what msgspec raises for one of a later version.
    """
    body = bytes(signed.word)
    if not hmac.compare_digest(signed.signature.encode(), _mac(body, ring.key(signed.kid)).encode()):
        raise InvalidToken("word to the streamer: signature does not match")
    return _words.decode(body)


def feed_log(tenant_id: str) -> str:
    """The log that repeats those of all of a tenant's tasks and workflows."""
    return _FEED + tenant_id


def is_feed(log: str) -> bool:
    return log.startswith(_FEED)


def log_of(kind: StreamKind, subject_id: str) -> str:
    """The log of a task, a workflow or a tenant."""
    return feed_log(subject_id) if kind is StreamKind.TENANT else subject_id


def _mac(body: bytes, key: bytes) -> str:
    return hmac.new(key, _PURPOSE + body, hashlib.sha256).hexdigest()
