"""What the verbs around access do, and how they say it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pushlane.aws.secrets import signing_secret
from pushlane.cli import output
from pushlane.cli.target import Target, now_ms
from pushlane.client.access_keys import Created, KeyMaker, NewKey, TenantInactive, signing_kids_in_use
from pushlane.client.errors import NotInstalled
from pushlane.client.signing_keys import rotate_signing_key
from pushlane.model.access_key import AccessKey, described
from pushlane.model.errors import PushlaneError
from pushlane.model.iam_identity import IamPrincipal, identity_of
from pushlane.model.issuer import Issuer
from pushlane.model.keyring import KeyRing, ring_of
from pushlane.model.principal import InvalidPrincipal, require_bounds
from pushlane.state.access_keys import all_keys, keys_of
from pushlane.state.principals import (
    all_issuers,
    all_principals,
    put_issuer,
    put_principal,
    remove_issuer,
    remove_principal,
    tenant_status,
)

_HEADINGS: Final = ("key", "kind", "role", "of", "status", "expires", "name")
_ACTIVE: Final = "active"


class Access:
    """Keys, issuers and roles of one installation."""

    def __init__(self, target: Target, *, json: bool = False) -> None:
        self._target = target
        self._json = json
        self._maker = KeyMaker(target.store, now_ms, self._ring)

    def create(self, new: NewKey) -> None:
        self._say_created(self._maker.create(new), "made")

    def rotate(self, key_id: str, overlap_seconds: int) -> None:
        created = self._maker.rotate(key_id, overlap_seconds)
        ends = f"goes on for {overlap_seconds / 3_600:g} h" if overlap_seconds else "opens nothing any more"
        self._say_created(created, f"made; {key_id} {ends}")

    def rotate_signing(self, keep: int, *, even_used: bool) -> None:
        client = self._target.session.client("secretsmanager")
        needed = () if even_used else signing_kids_in_use(self._target.store, now_ms())
        done = rotate_signing_key(client, self._secret_arn(), now_ms(), keep=keep, needed=needed)
        if self._json:
            output.as_json(done)
            return
        output.line(f"{done.current} signs from now on; still verified: {', '.join(done.kept) or 'no other'}")
        if done.removed:
            output.line(f"removed: {', '.join(done.removed)}; what they signed is refused within a minute")

    def list(self, tenant_id: str | None, *, every: bool) -> None:
        found = all_keys(self._target.store) if every else keys_of(self._target.store, tenant_id)
        if self._json:
            output.as_json([described(key, now_ms()) for key in found])
        else:
            output.table("Keys", _HEADINGS, [_row(key) for key in found])

    def revoke(self, key_ids: Sequence[str]) -> None:
        revoked = [self._maker.revoke(key_id) for key_id in key_ids]
        if self._json:
            output.as_json([described(key, now_ms()) for key in revoked])
            return
        for key in revoked:
            output.line(f"{key.key_id}: revoked; every function knows within a second")

    def add_issuer(self, said: Mapping[str, Any]) -> None:
        made = _converted(said, Issuer)
        self._check_tenants(made.tenants or ())
        put_issuer(self._target.store, made)
        self._say(made, f"{made.name}: trusted for {_tenants(made.tenants)} as {', '.join(made.roles)}")

    def list_issuers(self) -> None:
        found = all_issuers(self._target.store)
        if self._json:
            output.as_json(found)
            return
        rows = [(one.name, one.issuer, one.audience, _tenants(one.tenants), ", ".join(one.roles)) for one in found]
        output.table("Issuers", ("name", "issuer", "audience", "tenants", "roles"), rows)

    def remove_issuer(self, name: str) -> None:
        named = [one for one in all_issuers(self._target.store) if name in (one.name, one.issuer)]
        if not named:
            raise InvalidPrincipal("name", f"no trusted issuer is called {name!r}: see `pushlane keys issuers list`")
        for one in named:
            remove_issuer(self._target.store, one.issuer)
        said = "\n".join(f"{one.name}: not trusted any more; every function knows within a second" for one in named)
        self._say({"removed": [one.name for one in named]}, said)

    def add_role(self, said: Mapping[str, Any]) -> None:
        made = _converted(said, IamPrincipal)
        require_bounds(made.role, made.tenant_id, made.pool, made.agent_id)
        if identity_of(made.arn) is None:
            raise InvalidPrincipal("arn", f"{made.arn!r} is no IAM role or user: arn:aws:iam::<account>:role/<name>")
        self._check_tenants(() if made.tenant_id is None else (made.tenant_id,))
        put_principal(self._target.store, made)
        self._say(made, f"{made.arn}: let in as {made.role} of {made.tenant_id or 'the installation'}")

    def list_roles(self) -> None:
        found = all_principals(self._target.store)
        if self._json:
            output.as_json(found)
            return
        rows = [(one.arn, one.role, one.tenant_id or "installation", one.pool or "") for one in found]
        output.table("Roles", ("arn", "role", "of", "pool"), rows)

    def remove_role(self, arn: str) -> None:
        if not remove_principal(self._target.store, arn):
            raise InvalidPrincipal("arn", f"{arn!r} is not let in: see `pushlane keys roles list`")
        self._say({"removed": [arn]}, f"{arn}: not let in any more; every function knows within a second")

    def _ring(self) -> KeyRing:
        return ring_of(signing_secret(self._target.session.client("secretsmanager"), self._secret_arn()))

    def _secret_arn(self) -> str:
        found = self._target.installation.signing_secret_arn
        if found is None:
            raise NotInstalled("the stacks do not say where the signing secret is: deploy all stacks again")
        return found

    def _check_tenants(self, tenant_ids: Sequence[str]) -> None:
        for tenant_id in tenant_ids:
            if (status := tenant_status(self._target.store, tenant_id)) != _ACTIVE:
                raise TenantInactive(tenant_id, status)

    def _say_created(self, created: Created, how: str) -> None:
        if self._json:
            output.as_json({**described(created.key, now_ms()), "text": created.text})
            return
        output.note(f"{created.key.key_id}: {how}. This is the only time that it is shown:")
        output.line(created.text)

    def _say(self, value: object, text: str) -> None:
        if self._json:
            output.as_json(value)
        else:
            output.line(text)


def _converted(said: Mapping[str, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.convert(dict(said), kind)
    except msgspec.ValidationError as error:
        raise PushlaneError(f"not stored: {error}") from error


def _row(key: AccessKey) -> tuple[str, ...]:
    of = "/".join(part for part in (key.tenant_id or "installation", key.pool, key.agent_id) if part)
    expires = "never" if key.expires_at_ms is None else _day(key.expires_at_ms)
    return key.key_id, key.kind.value, key.role.value, of, key.state(now_ms()), expires, key.name or ""


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M")


def _tenants(tenants: Sequence[str] | None) -> str:
    return "any tenant" if tenants is None else ", ".join(tenants)
