"""The ring of keys that sign reservation tokens, facts, tickets, envelopes and callbacks."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from pushlane.aws.failures import SEND_ERRORS
from pushlane.aws.secrets import signing_secret
from pushlane.model.errors import PushlaneError
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.wiring import clients
from pushlane.wiring.logs import structured_log

# A key that is taken out of the ring is refused this much later; one that is put in is known at its first use.
KEPT_SECONDS: Final = 60.0
RENEWED_SECONDS: Final = 5.0


class SigningKeys:
    """Reads the signing secret at its first use, once a minute, and at a kid that it does not know: that at most once
    in 5 s, so that forged kids do not become calls. A failing read leaves the ring as it was.
    """

    def __init__(self, read: Callable[[], bytes], now: Callable[[], float], log: Callable[..., None]) -> None:
        self._read = read
        self._now = now
        self._log = log
        self._ring: KeyRing | None = None
        self._looked_at = 0.0

    def ring(self) -> KeyRing:
        """The ring, at most a minute old. Raises what the very first read raises."""
        return self._within(KEPT_SECONDS)

    def renewed(self) -> KeyRing:
        """The ring, at most 5 s old."""
        return self._within(RENEWED_SECONDS)

    def _within(self, seconds: float) -> KeyRing:
        now, ring = self._now(), self._ring
        if ring is not None and 0 <= now - self._looked_at < seconds:
            return ring
        self._looked_at = now
        self._ring = self._fresh() if ring is None else self._fresh_or(ring)
        return self._ring

    def _fresh(self) -> KeyRing:
        return msgspec.structs.replace(ring_of(self._read()), renewed=self.renewed)

    def _fresh_or(self, ring: KeyRing) -> KeyRing:
        try:
            return self._fresh()
        except (PushlaneError, *SEND_ERRORS) as error:
            self._log("keys-not-read", error=type(error).__name__, reason=str(error)[:500])
            return ring


def keyring_reader(secret_arn: str) -> Callable[[], KeyRing]:
    """The signing keys of this installation, read when they are first needed."""
    keys = SigningKeys(
        lambda: signing_secret(clients.secretsmanager(), secret_arn), time.time, structured_log("signing-keys")
    )
    return keys.ring
