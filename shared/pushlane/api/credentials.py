"""A credential string to the principal that shows it, or a typed refusal. The same for API Gateway's authorizer, for
the WebSocket's `$connect`, and for an application in process.

Credentials: an API key or a token of a trusted issuer (`Authorization: Bearer` or `x-api-key`), or a stream ticket
(`?ticket=`). What lets nobody in raises; nothing here falls back to less.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from pushlane.api.jwks import Fetch, KeySets
from pushlane.api.refusals import CredentialRefused, RefusalCode
from pushlane.api.tokens import Tokens
from pushlane.model.access_key import PREFIX, AccessKey, KeyKind, KeyStatus, parse_api_key, secret_matches
from pushlane.model.errors import InvalidToken
from pushlane.model.iam_identity import IamPrincipal, identity_of
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Principal
from pushlane.model.ticket import open_ticket, watcher
from pushlane.ports import Clock, ItemStore
from pushlane.state.access_keys import find_key
from pushlane.state.cached import Cached
from pushlane.state.principals import find_issuer, find_principal, tenant_status

AUTHORIZATION: Final = "authorization"
API_KEY_HEADER: Final = "x-api-key"
TICKET: Final = "ticket"
KEY: Final = "key"
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<credential>[\x21-\x7e]+)", re.ASCII)
# The streams, which are all that a ticket opens.
_STREAM_PATH: Final = re.compile(r"/v1/(?:(?:tasks|workflows)/(?P<stream>[^/]+)/)?events", re.ASCII)
_ACTIVE: Final = "active"


class CredentialPorts(Struct, frozen=True, kw_only=True):
    """What it takes to know a caller. `fetch` reads an issuer's JWKS document."""

    store: ItemStore
    clock: Clock
    keyring: Callable[[], KeyRing]
    fetch: Fetch


class Credentials:
    """Knows callers. What it has read of the config table it believes for a second."""

    def __init__(self, ports: CredentialPorts) -> None:
        store, clock = ports.store, ports.clock
        self._clock = clock
        self._keyring = ports.keyring
        self._keys: Cached[AccessKey | None] = Cached(lambda key_id: find_key(store, key_id), clock)
        self._tenants: Cached[str | None] = Cached(lambda tenant_id: tenant_status(store, tenant_id), clock)
        self._identities: Cached[IamPrincipal | None] = Cached(lambda one: find_principal(store, one), clock)
        issuers = Cached(lambda issuer: find_issuer(store, issuer), clock)
        self._tokens = Tokens(issuers.get, KeySets(ports.fetch, clock))

    def authenticate(
        self, headers: Mapping[str, str], query: Mapping[str, str], *, method: str, path: str
    ) -> Principal:
        """The caller of an HTTP request; raises `CredentialRefused`, and `KeysUnavailable` or `StoreUnavailable` when
        that cannot be said now. Headers by lower-case name. A ticket counts where a stream is read, and nowhere else.
        """
        if TICKET in query and not _shows(headers):
            found = self._by_ticket(query[TICKET])
            check_reach(found, method, path)
            return found
        return self._by_header(headers)

    def authenticate_connection(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Principal:
        """The caller of a WebSocket's `$connect`. A browser shows a ticket; `?key=` is for tools that can set no
        headers, and a credential in a URL ends up in logs: prefer the others.
        """
        if _shows(headers):
            return self._by_header(headers)
        if TICKET in query:
            return self._by_ticket(query[TICKET])
        if KEY in query:
            return self.principal_of(query[KEY])
        raise CredentialRefused(RefusalCode.MISSING, "no header and no `ticket`")

    def principal_of(self, credential: str) -> Principal:
        """Whoever shows this API key or token."""
        if credential.startswith(PREFIX):
            return self._active(self._by_key(credential))
        return self._active(self._tokens.principal(credential, self._clock.now_ms()))

    def of_iam(self, arn: str) -> Principal:
        """Whom a request stands for that AWS has verified to be signed by this identity."""
        identity = identity_of(arn)
        found = None if identity is None else self._identities.get(identity)
        if found is None:
            raise CredentialRefused(RefusalCode.UNKNOWN, "no principal is registered for this AWS identity")
        return self._active(found.principal())

    def _by_header(self, headers: Mapping[str, str]) -> Principal:
        bearer, key = headers.get(AUTHORIZATION), headers.get(API_KEY_HEADER)
        if bearer is None and key is None:
            raise CredentialRefused(RefusalCode.MISSING, "neither Authorization nor x-api-key")
        if bearer is None:
            return self.principal_of((key or "").strip(" "))
        found = _BEARER.fullmatch(bearer.strip(" "))
        if found is None:
            raise CredentialRefused(RefusalCode.MALFORMED, "Authorization is not `Bearer <credential>`")
        if key is not None and key.strip(" ") != found["credential"]:
            raise CredentialRefused(RefusalCode.MALFORMED, "Authorization and x-api-key differ")
        return self.principal_of(found["credential"])

    def _by_key(self, text: str) -> Principal:
        parsed = parse_api_key(text)
        if parsed is None:
            raise CredentialRefused(RefusalCode.MALFORMED, "no API key has this form")
        key_id, secret = parsed
        key = self._keys.get(key_id)
        # One answer for all that does not fit, after the same time: whoever guesses ids learns nothing.
        if not secret_matches(key, secret) or key is None or key.kind is not KeyKind.API:
            raise CredentialRefused(RefusalCode.UNKNOWN, "no API key of this id and secret")
        self._check_usable(key)
        return key.principal()

    def _by_ticket(self, ticket: str) -> Principal:
        try:
            claims = open_ticket(ticket, self._keyring(), self._clock.now_ms())
        except InvalidToken as error:
            expired = str(error).endswith("expired")
            raise CredentialRefused(RefusalCode.EXPIRED if expired else RefusalCode.INVALID, str(error)) from error
        if claims.principal.key_id is not None:
            key = self._keys.get(claims.principal.key_id)
            if key is None:
                raise CredentialRefused(RefusalCode.REVOKED, "the ticket was made with a key that is gone")
            self._check_usable(key)
        return self._active(watcher(claims))

    def _check_usable(self, key: AccessKey) -> None:
        if key.status is not KeyStatus.ACTIVE:
            raise CredentialRefused(RefusalCode.REVOKED, f"key {key.key_id} was revoked")
        if key.expired(self._clock.now_ms()):
            raise CredentialRefused(RefusalCode.EXPIRED, f"key {key.key_id} has expired")

    def _active(self, principal: Principal) -> Principal:
        """Nobody speaks for a tenant that is not there, or is being erased."""
        tenant_id = principal.tenant_id
        if tenant_id is not None and self._tenants.get(tenant_id) != _ACTIVE:
            raise CredentialRefused(RefusalCode.INACTIVE_TENANT, f"tenant {tenant_id} is not active")
        return principal


def check_reach(principal: Principal, method: str, path: str) -> None:
    """Raises `CredentialRefused` where a principal came by ticket and this is not the stream that it opens."""
    if not principal.by_ticket:
        return
    found = _STREAM_PATH.fullmatch(path)
    if method != "GET" or found is None or principal.stream not in (None, found["stream"]):
        raise CredentialRefused(RefusalCode.FOREIGN, "a ticket opens the stream that it was made for, and nothing else")


def _shows(headers: Mapping[str, str]) -> bool:
    return AUTHORIZATION in headers or API_KEY_HEADER in headers
