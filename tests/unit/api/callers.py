"""A config table with tenants, keys and issuers, and what knows callers over it."""

import json
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pushlane.api.credentials import CredentialPorts, Credentials
from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.access_key import AccessKey, KeyKind, api_key_text, secret_digest
from pushlane.model.issuer import Issuer, KeysUnavailable
from pushlane.model.keyring import KeyRing
from pushlane.model.principal import Role
from pushlane.ports import Put
from pushlane.state import keys
from pushlane.state.access_keys import add_key
from pushlane.state.principals import put_issuer

START_MS: Final = 1_700_000_000_000
SECRET: Final = "ab" * 32
RING: Final = KeyRing("k1", {"k0": b"the first key of all", "k1": b"the key that signs now"})
ISSUER: Final = "https://login.example.com/"
AUDIENCE: Final = "https://pushlane.example.com"
JWKS_URL: Final = "https://login.example.com/.well-known/jwks.json"

# Made once: they are dear.
RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC: Final = ec.generate_private_key(ec.SECP256R1())
ED: Final = ed25519.Ed25519PrivateKey.generate()


def jwk_of(key: Any, algorithm: str, kid: str) -> dict[str, Any]:
    """The public key as a JWKS document says it."""
    said: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return said | {"kid": kid, "use": "sig"}


class Callers:
    """`shown` below is what a caller shows; `documents` what the issuers publish."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.store = InMemoryItemStore(self.clock)
        self.documents: dict[str, Any] = {
            JWKS_URL: {"keys": [jwk_of(RSA, "RS256", "r1"), jwk_of(EC, "ES256", "e1"), jwk_of(ED, "EdDSA", "d1")]}
        }
        self.fetched: list[str] = []
        for tenant_id in ("atlas", "birch"):
            self.tenant(tenant_id, "active")
        self.credentials = self.elsewhere()

    def elsewhere(self) -> Credentials:
        """What knows callers in another process: it remembers nothing."""
        return Credentials(CredentialPorts(store=self.store, clock=self.clock, keyring=lambda: RING, fetch=self._fetch))

    def tenant(self, tenant_id: str, status: str) -> None:
        self.store.write(Put(keys.tenant_key(tenant_id), {"tenant_id": tenant_id, "status": status}))

    def key(self, key_id: str = "key00001", **said: Any) -> str:
        """Add a key; returns what its holder shows."""
        defaults: dict[str, Any] = {"kind": KeyKind.API, "role": Role.PRODUCER, "tenant_id": "atlas"}
        digest = secret_digest(SECRET)
        made = AccessKey(key_id=key_id, created_at_ms=START_MS, secret_digest=digest, **{**defaults, **said})
        add_key(self.store, made)
        return api_key_text(key_id, SECRET)

    def issuer(self, **said: Any) -> Issuer:
        defaults: dict[str, Any] = {"name": "login", "issuer": ISSUER, "audience": AUDIENCE, "jwks_url": JWKS_URL}
        made = Issuer(**{**defaults, **said})
        put_issuer(self.store, made)
        return made

    def claims(self, **said: Any) -> dict[str, Any]:
        now_s = self.clock.now_ms() // 1_000
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|7", "exp": now_s + 600, "tenant_id": "atlas"}
        return {name: value for name, value in (claims | said).items() if value is not None}

    def token(self, key: Any = RSA, algorithm: str = "RS256", kid: str | None = "r1", **said: Any) -> str:
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(self.claims(**said), key, algorithm=algorithm, headers=headers)

    def _fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        found = self.documents.get(url)
        if found is None:
            raise KeysUnavailable(f"{url}: answered 503")
        return found if isinstance(found, bytes) else json.dumps(found).encode()


def event(
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    *,
    path: str = "/v1/tasks",
    method: str = "GET",
    **request: Any,
) -> dict[str, Any]:
    """An HTTP API event or authorizer event, payload 2.0."""
    said: dict[str, Any] = {"version": "2.0", "type": "REQUEST", "rawPath": path, "headers": headers or {}}
    if query:
        said["queryStringParameters"] = query
    http = {"method": method, "path": path}
    return said | {"requestContext": {"http": http, "stage": "$default", "requestId": "r-1", **request}}


def connect_event(headers: dict[str, str] | None = None, query: dict[str, str] | None = None) -> dict[str, Any]:
    """A WebSocket API's `$connect` as its authorizer gets it: absent things are null."""
    return {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:us-east-1:000000000000:abc/dev/$connect",
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "requestId": "r-2"},
    }
