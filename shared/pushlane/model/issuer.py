"""Issuers of JSON Web Tokens that are trusted, and what a token of one may stand for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pushlane.model.errors import PushlaneError
from pushlane.model.ids import Identifier, digest
from pushlane.model.principal import InvalidPrincipal, Principal, Role, require_bounds

# Issuer's name, a dot and a digest make an identifier.
IssuerName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,23}(?!\n)$")]
Url = Annotated[str, Meta(pattern=r"^https?://[\x21-\x7e]{1,500}(?!\n)$")]
ClaimName = Annotated[str, Meta(min_length=1, max_length=128)]


class KeysUnavailable(PushlaneError):
    """An issuer's keys could not be read, so its tokens can be neither taken nor refused now. Try again."""


class Algorithm(StrEnum):
    """Signatures that are accepted: those with a public key. Never `none`, and never a shared secret (HS256)."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


class Issuer(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One issuer: `iss` and `aud` as its tokens say them, and where its public keys are (a JWKS document).

    `tenants`: those that it may speak for; None: any, and the installation. `roles`: those that it may give. Tenant and
    role come from the claims of those names; where only one is allowed, a token need not say it.
    """

    name: IssuerName
    issuer: Annotated[str, Meta(min_length=1, max_length=500)]
    audience: Annotated[str, Meta(min_length=1, max_length=500)]
    jwks_url: Url
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)] = (Role.PRODUCER,)
    tenants: tuple[Identifier, ...] | None = None
    tenant_claim: ClaimName = "tenant_id"
    role_claim: ClaimName = "role"
    pool_claim: ClaimName = "pool"
    agent_claim: ClaimName = "agent_id"
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = tuple(Algorithm)


def principal_of(issuer: Issuer, claims: Mapping[str, Any]) -> Principal:
    """Whoever the claims of a verified token stand for; raises `InvalidPrincipal` naming the claim."""
    role = _role(issuer, claims)
    tenant_id = _tenant(issuer, claims)
    pool, agent_id = (_identifier(claims, name) for name in (issuer.pool_claim, issuer.agent_claim))
    if role is not Role.AGENT:
        pool = agent_id = None  # they say nothing of anybody else
    require_bounds(role, tenant_id, pool, agent_id)
    return Principal(principal_id=_named(issuer, claims), role=role, tenant_id=tenant_id, pool=pool, agent_id=agent_id)


def _role(issuer: Issuer, claims: Mapping[str, Any]) -> Role:
    said = claims.get(issuer.role_claim)
    if said is None:
        if len(issuer.roles) > 1:
            raise InvalidPrincipal(issuer.role_claim, "the issuer may give several roles, and the token says none")
        return issuer.roles[0]
    allowed = [role for role in issuer.roles if role.value in (said if isinstance(said, list) else [said])]
    if len(allowed) != 1:
        raise InvalidPrincipal(issuer.role_claim, "names no role, or several, of those that the issuer may give")
    return allowed[0]


def _tenant(issuer: Issuer, claims: Mapping[str, Any]) -> str | None:
    said = _identifier(claims, issuer.tenant_claim)
    if issuer.tenants is None:
        return said
    if said is None and len(issuer.tenants) == 1:
        return issuer.tenants[0]
    if said not in issuer.tenants:
        raise InvalidPrincipal(issuer.tenant_claim, "is none of the tenants that the issuer may speak for")
    return said


def _identifier(claims: Mapping[str, Any], name: str) -> str | None:
    said = claims.get(name)
    try:
        return None if said is None else msgspec.convert(said, Identifier)
    except msgspec.ValidationError as error:
        raise InvalidPrincipal(name, str(error)) from error


def _named(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """The subject may be any text (`auth0|5f7c`), and two issuers may name the same."""
    return f"{issuer.name}.{digest(issuer.issuer, str(claims['sub']))}"
