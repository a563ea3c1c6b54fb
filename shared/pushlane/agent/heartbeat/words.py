"""What an agent's process and its heartbeat's process say to each other: one JSON object a line."""

import msgspec
from msgspec import Struct

from pushlane.agent.heartbeat.beats import Report, Watch


class Keep(Struct, frozen=True, kw_only=True, tag="keep"):
    """Keep this attempt alive, in this table. `ahead_ms`: how far the store's clock is ahead of this machine's."""

    number: int
    table: str
    watch: Watch
    ahead_ms: int


class Progressed(Struct, frozen=True, kw_only=True, tag="progressed"):
    """The work of this attempt showed a sign of life."""

    number: int
    at_ms: int


class Stop(Struct, frozen=True, kw_only=True, tag="stop"):
    """This attempt is over."""

    number: int


class Said(Struct, frozen=True, kw_only=True):
    """Heartbeat -> agent: what a beat of this attempt found."""

    number: int
    report: Report


Word = Keep | Progressed | Stop

_words: msgspec.json.Decoder[Word] = msgspec.json.Decoder(Word)
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def line(word: Word | Said) -> bytes:
    return msgspec.json.encode(word) + b"\n"


def word_of(said: bytes) -> Word:
    return _words.decode(said)


def said_of(said: bytes) -> Said:
    return _said.decode(said)
