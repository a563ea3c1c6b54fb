"""Public keys of issuers, from their JWKS documents.

A document is good for ten minutes. A kid that is not in it has it read again, at most once a minute, so that made-up
kids do not become calls; and a document that cannot be read leaves the one before in place for a day.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pushlane.model.issuer import KeysUnavailable
from pushlane.ports import Clock

GOOD_MS: Final = 10 * 60_000
REFETCH_MS: Final = 60_000
STALE_MS: Final = 24 * 3_600_000
_KEYS_MAX: Final = 100

PublicKey = Mapping[str, Any]
# Reads a document; raises `KeysUnavailable`.
Fetch = Callable[[str], bytes]


class _Document(Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Known(Struct, frozen=True):
    keys: Mapping[str, PublicKey]
    read_at_ms: int


class KeySets:
    """The keys of every issuer that was asked for."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._tried_at_ms: dict[str, int] = {}

    def key(self, url: str, kid: str) -> PublicKey | None:
        """The key of this kid in the document at `url`; None when it has none. Raises `KeysUnavailable`."""
        now_ms = self._clock.now_ms()
        known = self._known.get(url)
        age_ms = STALE_MS if known is None else now_ms - known.read_at_ms
        if known is None or age_ms >= GOOD_MS or kid not in known.keys:
            known = self._again(url, known, age_ms, now_ms)
        return known.keys.get(kid)

    def _again(self, url: str, known: _Known | None, age_ms: int, now_ms: int) -> _Known:
        usable = known if age_ms < STALE_MS else None
        if now_ms - self._tried_at_ms.get(url, now_ms - REFETCH_MS) < REFETCH_MS:
            if usable is None:
                raise KeysUnavailable("the issuer's keys could not be read within the last minute; try again")
            return usable
        self._tried_at_ms[url] = now_ms
        try:
            fresh = _Known(_keys_of(self._fetch(url)), now_ms)
        except KeysUnavailable:
            if usable is None:
                raise
            return usable
        self._known[url] = fresh
        return fresh


def _keys_of(document: bytes) -> dict[str, PublicKey]:
    try:
        keys = msgspec.json.decode(document, type=_Document).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise KeysUnavailable(f"the issuer's JWKS document is none: {error}") from error
    return {one["kid"]: one for one in keys[:_KEYS_MAX] if isinstance(one.get("kid"), str)}
