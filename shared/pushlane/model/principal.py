"""Who is calling: the principal that a credential stands for. The tenant comes from here, never from a body."""

from enum import StrEnum

from msgspec import Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.ids import Identifier


class Role(StrEnum):
    """What a principal may do; each operation names the roles that may call it."""

    PRODUCER = "producer"
    AGENT = "agent"
    OPERATOR = "operator"
    ADMIN = "admin"


class InvalidPrincipal(PushlaneError):
    """No principal can have these bounds. `field` names the one that is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Principal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One caller. `tenant_id` None: of the installation. A producer always has a tenant; an agent always has a pool,
    and serves every tenant unless it is bound to one. `key_id` names the credential in logs and facts; it is no secret.
    `by_ticket`: it came with a stream ticket, so it may watch and do nothing else; `stream`: this one stream alone.
    """

    principal_id: Identifier
    role: Role
    tenant_id: Identifier | None = None
    pool: Identifier | None = None
    agent_id: Identifier | None = None
    key_id: Identifier | None = None
    by_ticket: bool = False
    stream: Identifier | None = None

    @property
    def of_installation(self) -> bool:
        """An operator or admin who speaks for the installation and names the tenant with each call."""
        return self.tenant_id is None and self.role in (Role.OPERATOR, Role.ADMIN)

    def may_speak_for(self, tenant_id: str) -> bool:
        """Whether the principal's calls may read or change what belongs to the tenant."""
        return self.tenant_id is None or self.tenant_id == tenant_id


def require_bounds(role: Role, tenant_id: str | None, pool: str | None, agent_id: str | None) -> None:
    """Raises `InvalidPrincipal` when a principal of this role may not have these bounds."""
    if role is Role.PRODUCER and tenant_id is None:
        raise InvalidPrincipal("tenant_id", "a producer belongs to one tenant: name it")
    if role is Role.ADMIN and tenant_id is not None:
        raise InvalidPrincipal("tenant_id", "an admin is of the installation: leave it out, or use the role operator")
    if role is Role.AGENT and pool is None:
        raise InvalidPrincipal("pool", "an agent belongs to one pool: name it")
    if role is not Role.AGENT and (pool is not None or agent_id is not None):
        raise InvalidPrincipal("pool", "only agents are bound to a pool: leave it out, or use the role agent")
