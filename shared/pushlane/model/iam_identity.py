"""AWS identities as callers: roles and users by account and name, however an ARN spells them."""

import re
from typing import Final

from msgspec import Struct

from pushlane.model.ids import Identifier, digest
from pushlane.model.principal import Principal, Role

_PARTITION: Final = r"arn:(?P<partition>aws[a-z-]*)"
_NAME: Final = r"(?P<name>[\w+=,.@-]{1,128})"
# Of a role with a path (`role/teams/a/Name`) the ARN of its sessions says the name alone; names are unique.
_FORMS: Final = (
    ("role", re.compile(rf"{_PARTITION}:iam::(?P<account>\d{{12}}):role/(?:[!-.0-~]+/)*{_NAME}", re.ASCII)),
    ("role", re.compile(rf"{_PARTITION}:sts::(?P<account>\d{{12}}):assumed-role/{_NAME}/[\w+=,.@-]+", re.ASCII)),
    ("user", re.compile(rf"{_PARTITION}:iam::(?P<account>\d{{12}}):user/(?:[!-.0-~]+/)*{_NAME}", re.ASCII)),
)
ARN_CHARACTERS_MAX: Final = 2_048


class IamPrincipal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom calls that are signed by an AWS role or user stand for. `arn`: as it was registered."""

    arn: str
    role: Role
    tenant_id: Identifier | None = None
    pool: Identifier | None = None
    agent_id: Identifier | None = None

    def principal(self) -> Principal:
        """The caller."""
        return Principal(
            principal_id=f"iam.{identity_of(self.arn)}",
            role=self.role,
            tenant_id=self.tenant_id,
            pool=self.pool,
            agent_id=self.agent_id,
        )


def identity_of(arn: str) -> str | None:
    """One digest for a role and all of its sessions, or for a user; None for what cannot be a caller (the root user,
    federated users, services).
    """
    for kind, form in _FORMS if len(arn) <= ARN_CHARACTERS_MAX else ():
        if (found := form.fullmatch(arn)) is not None:
            return digest("iam", found["partition"], found["account"], kind, found["name"])
    return None
