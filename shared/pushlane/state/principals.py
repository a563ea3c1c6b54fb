"""Issuers of tokens and AWS identities in the config table: few, and each list in one partition."""

import msgspec

from pushlane.model.iam_identity import IamPrincipal, identity_of
from pushlane.model.ids import digest
from pushlane.model.issuer import Issuer
from pushlane.ports import ConditionFailed, Delete, Item, ItemStore, Key, Present, Put, Table
from pushlane.state.items import VERSION, text, to_json
from pushlane.state.keys import tenant_key

ISSUERS = "ISSUERS"
PRINCIPALS = "PRINCIPALS"
_MAX = 1_000


def issuer_key(issuer: str) -> Key:
    """By what its tokens say as `iss`, which can be any text."""
    return Key(Table.CONFIG, ISSUERS, f"ISSUER#{digest(issuer)}")


def principal_key(identity: str) -> Key:
    return Key(Table.CONFIG, PRINCIPALS, f"PRINCIPAL#{identity}")


def put_issuer(store: ItemStore, issuer: Issuer) -> None:
    """Trust an issuer, or change what its tokens may stand for."""
    store.write(Put(issuer_key(issuer.issuer), {"v": VERSION, "body": to_json(issuer)}))


def find_issuer(store: ItemStore, issuer: str) -> Issuer | None:
    """The trusted issuer that calls itself so."""
    key = issuer_key(issuer)
    found = store.get([key]).get(key)
    return None if found is None else _issuer(found)


def all_issuers(store: ItemStore) -> tuple[Issuer, ...]:
    """Every trusted issuer, by name."""
    found = map(_issuer, store.query(Table.CONFIG, ISSUERS, limit=_MAX))
    return tuple(sorted(found, key=lambda one: one.name))


def remove_issuer(store: ItemStore, issuer: str) -> bool:
    """Trust it no longer; False when there is none of this name."""
    return _remove(store, issuer_key(issuer))


def put_principal(store: ItemStore, principal: IamPrincipal) -> None:
    """Let an AWS role or user in; raises `ValueError` for an ARN that names neither."""
    identity = identity_of(principal.arn)
    if identity is None:
        raise ValueError(f"{principal.arn!r} is the ARN of no IAM role or user")
    store.write(Put(principal_key(identity), {"v": VERSION, "body": to_json(principal)}))


def find_principal(store: ItemStore, identity: str) -> IamPrincipal | None:
    """Whom calls of the identity stand for."""
    key = principal_key(identity)
    found = store.get([key]).get(key)
    return None if found is None else _principal(found)


def all_principals(store: ItemStore) -> tuple[IamPrincipal, ...]:
    """Every AWS identity that is let in, by ARN."""
    found = map(_principal, store.query(Table.CONFIG, PRINCIPALS, limit=_MAX))
    return tuple(sorted(found, key=lambda one: one.arn))


def remove_principal(store: ItemStore, arn: str) -> bool:
    """Let it in no longer; False when it was not."""
    identity = identity_of(arn)
    return identity is not None and _remove(store, principal_key(identity))


def tenant_status(store: ItemStore, tenant_id: str) -> str | None:
    """`active`, or what else the tenant is; None when it is not registered."""
    key = tenant_key(tenant_id)
    found = store.get([key]).get(key)
    return None if found is None else text(found.attributes, "status")


def _remove(store: ItemStore, key: Key) -> bool:
    try:
        store.write(Delete(key, (Present(),)))
    except ConditionFailed:
        return False
    return True


def _issuer(item: Item) -> Issuer:
    return msgspec.json.decode(text(item.attributes, "body"), type=Issuer)


def _principal(item: Item) -> IamPrincipal:
    return msgspec.json.decode(text(item.attributes, "body"), type=IamPrincipal)
