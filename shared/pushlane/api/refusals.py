"""Why a credential is refused. The caller is told that it is; which of these it was stands in the log alone."""

from enum import StrEnum

from pushlane.model.errors import PushlaneError


class RefusalCode(StrEnum):
    """What is wrong with a credential."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    FOREIGN = "foreign"
    INACTIVE_TENANT = "inactive_tenant"


class CredentialRefused(PushlaneError):
    """There is no credential, or it lets nobody in. `reason` is for the log: it holds no secret."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        super().__init__(f"credential refused ({code}): {reason}")
        self.code = code
        self.reason = reason
