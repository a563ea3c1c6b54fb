"""Secrets that are not stored: derived from a key of the ring and what they are for, so only its name is kept."""

import base64
import hashlib
import hmac
from typing import Final

CALLBACK: Final = "callback"
HOOK: Final = "hook"
AGENT: Final = "agent"


def derived_secret(key: bytes, purpose: str, *names: str) -> bytes:
    """32 bytes that belong to `names` alone. Parts are length-prefixed, so no delimiter can forge another list."""
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in (purpose, *names):
        encoded = part.encode()
        mac.update(len(encoded).to_bytes(8, "big"))
        mac.update(encoded)
    return mac.digest()


def secret_text(secret: bytes) -> str:
    """A secret as its holder keeps it, in the form of Standard Webhooks: `whsec_` and base64."""
    return "whsec_" + base64.b64encode(secret).decode()
