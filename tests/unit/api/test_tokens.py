"""JSON Web Tokens: only what a trusted issuer has signed for us counts, and as no more than it may say."""

import base64
import json
import subprocess
import sys
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pushlane.api.refusals import CredentialRefused, RefusalCode
from pushlane.model.issuer import Algorithm, KeysUnavailable
from pushlane.model.principal import Principal, Role
from pushlane.state.principals import remove_issuer
from tests.unit.api.callers import EC, ED, ISSUER, JWKS_URL, OTHER_RSA, RSA, START_MS, Callers, jwk_of


@pytest.fixture
def callers() -> Callers:
    made = Callers()
    made.issuer()
    return made


def come(callers: Callers, token: str) -> Principal:
    return callers.credentials.principal_of(token)


def refused(callers: Callers, token: str) -> RefusalCode:
    with pytest.raises(CredentialRefused) as caught:
        come(callers, token)
    return caught.value.code


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "r1"), (EC, "ES256", "e1"), (ED, "EdDSA", "d1")])
def test_a_token_says_who_calls(callers: Callers, key: Any, algorithm: str, kid: str) -> None:
    found = come(callers, callers.token(key, algorithm, kid))
    assert (found.role, found.tenant_id, found.key_id) == (Role.PRODUCER, "atlas", None)
    assert found.principal_id.startswith("login.")


def test_two_subjects_are_two_principals(callers: Callers) -> None:
    one, other = (come(callers, callers.token(sub=sub)).principal_id for sub in ("auth0|7", "auth0|8"))
    assert one != other


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"exp": START_MS // 1_000 - 31}, RefusalCode.EXPIRED),
        ({"nbf": START_MS // 1_000 + 31}, RefusalCode.INVALID),
        ({"aud": "https://else.example.com"}, RefusalCode.INVALID),
        ({"aud": None}, RefusalCode.INVALID),
        ({"exp": None}, RefusalCode.INVALID),
        ({"sub": None}, RefusalCode.INVALID),
        ({"sub": 7}, RefusalCode.INVALID),
        ({"exp": "tomorrow"}, RefusalCode.INVALID),
        ({"exp": True}, RefusalCode.INVALID),
        ({"exp": float("nan")}, RefusalCode.MALFORMED),
        ({"nbf": float("nan")}, RefusalCode.MALFORMED),
        ({"iss": "https://else.example.com/"}, RefusalCode.UNKNOWN),
        ({"iss": ISSUER + "x"}, RefusalCode.UNKNOWN),
        ({"tenant_id": None}, RefusalCode.FOREIGN),
        ({"tenant_id": "at#las"}, RefusalCode.FOREIGN),
        ({"tenant_id": ["atlas"]}, RefusalCode.FOREIGN),
        ({"tenant_id": "nobody"}, RefusalCode.INACTIVE_TENANT),
        ({"role": "operator"}, RefusalCode.FOREIGN),
        ({"role": "admin", "tenant_id": None}, RefusalCode.FOREIGN),
        ({"role": []}, RefusalCode.FOREIGN),
    ],
)
def test_claims_that_let_nobody_in(callers: Callers, said: dict[str, Any], code: RefusalCode) -> None:
    assert refused(callers, callers.token(**said)) is code


def test_times_have_a_little_leeway(callers: Callers) -> None:
    now_s = START_MS // 1_000
    come(callers, callers.token(exp=now_s - 29, nbf=now_s + 29))


def test_an_audience_may_be_one_of_several(callers: Callers) -> None:
    come(callers, callers.token(aud=["https://else.example.com", "https://pushlane.example.com"]))


def test_algorithm_none(callers: Callers) -> None:
    header, claims = encoded({"alg": "none", "kid": "r1"}), encoded(callers.claims())
    for signature in ("", "AA"):
        assert refused(callers, f"{header}.{claims}.{signature}") is RefusalCode.INVALID
    # Nor when it is spelled otherwise, or hidden behind a good signature's header.
    for name in ("None", "NONE", "nOnE"):
        assert refused(callers, f"{encoded({'alg': name, 'kid': 'r1'})}.{claims}.") is RefusalCode.INVALID


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_shared_secret(callers: Callers, name: str) -> None:
    import hashlib
    import hmac

    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{encoded({'alg': name, 'kid': 'r1'})}.{encoded(callers.claims())}"
    mac = hmac.new(pem, signing_input.encode(), getattr(hashlib, f"sha{name[2:]}")).digest()
    assert refused(callers, f"{signing_input}.{encoded(mac)}") is RefusalCode.INVALID


def test_a_shared_secret_in_the_issuers_document_is_not_used(callers: Callers) -> None:
    secret = b"thirty-two bytes of shared secret"
    callers.documents[JWKS_URL] = {"keys": [{"kty": "oct", "kid": "s1", "k": encoded(secret)}]}
    assert refused(callers, callers.token(secret, "HS256", "s1")) is RefusalCode.INVALID


def test_the_algorithm_has_to_fit_the_key(callers: Callers) -> None:
    p384 = ec.generate_private_key(ec.SECP384R1())
    callers.documents[JWKS_URL]["keys"] += [
        jwk_of(p384, "ES384", "p384"),
        {**jwk_of(RSA, "RS256", "enc"), "use": "enc"},
        {**jwk_of(RSA, "RS256", "ps"), "alg": "PS256"},
        {"kty": "RSA", "kid": "broken", "n": "!!", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "kid": "off", "x": encoded(b"1" * 32), "y": encoded(b"2" * 32)},
    ]
    assert refused(callers, callers.token(RSA, "RS256", "e1")) is RefusalCode.INVALID
    assert refused(callers, callers.token(RSA, "RS256", "enc")) is RefusalCode.INVALID
    assert refused(callers, callers.token(RSA, "RS256", "ps")) is RefusalCode.INVALID
    assert refused(callers, callers.token(RSA, "RS256", "broken")) is RefusalCode.INVALID
    assert refused(callers, callers.token(EC, "ES256", "off")) is RefusalCode.INVALID
    assert refused(callers, callers.token(p384, "ES384", "p384")) is RefusalCode.INVALID


def test_an_issuer_may_take_less(callers: Callers) -> None:
    callers.issuer(algorithms=(Algorithm.EDDSA,))
    assert refused(callers, callers.token()) is RefusalCode.INVALID
    come(callers, callers.token(ED, "EdDSA", "d1"))


def test_somebody_elses_signature(callers: Callers) -> None:
    assert refused(callers, callers.token(OTHER_RSA)) is RefusalCode.INVALID
    good = callers.token()
    head, body, signature = good.split(".")
    changed = encoded(callers.claims(tenant_id="birch"))
    assert refused(callers, f"{head}.{changed}.{signature}") is RefusalCode.INVALID
    assert refused(callers, f"{head}.{body}.") is RefusalCode.INVALID


def test_a_key_in_the_header_is_not_believed(callers: Callers) -> None:
    headers = {"kid": "r1", "jwk": jwk_of(OTHER_RSA, "RS256", "r1"), "jku": "https://evil.example.com/jwks"}
    token = jwt.encode(callers.claims(), OTHER_RSA, algorithm="RS256", headers=headers)
    assert refused(callers, token) is RefusalCode.INVALID
    assert callers.fetched == [JWKS_URL]


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        f"{encoded([])}.{encoded({})}.AA",
        f"{encoded({'alg': 'RS256'})}.{encoded({'iss': ISSUER})}.AA",
        f"{encoded({'alg': 'RS256', 'kid': 7})}.{encoded({'iss': ISSUER})}.AA",
        f"{encoded({'alg': 'RS256', 'kid': 'r1'})}.{encoded({'iss': [ISSUER]})}.AA",
        f"{encoded(b'[' * 2_000)}.{encoded(b'[' * 2_000)}.AA",
        f"{encoded(b'xff')}.{encoded(bytes(range(128, 255)))}.AA",
        "a" * 9_000 + ".b.c",
        "é.é.é",
    ],
)
def test_malformed(callers: Callers, token: str) -> None:
    assert refused(callers, token) is RefusalCode.MALFORMED
    assert callers.fetched == []


def test_nothing_is_fetched_for_an_issuer_that_is_not_trusted(callers: Callers) -> None:
    assert refused(callers, callers.token(iss="https://evil.example.com/")) is RefusalCode.UNKNOWN
    assert callers.fetched == []


def test_an_issuer_that_is_removed(callers: Callers) -> None:
    token = callers.token()
    come(callers, token)
    assert remove_issuer(callers.store, ISSUER)
    callers.clock.advance(1_000)
    assert refused(callers, token) is RefusalCode.UNKNOWN


def test_tenants_and_roles_of_an_issuer(callers: Callers) -> None:
    callers.issuer(tenants=("atlas",), roles=(Role.PRODUCER, Role.OPERATOR))
    assert come(callers, callers.token(tenant_id=None, role="operator")).tenant_id == "atlas"
    assert come(callers, callers.token(role=["reader", "producer"])).role is Role.PRODUCER
    assert refused(callers, callers.token(tenant_id="birch", role="producer")) is RefusalCode.FOREIGN
    assert refused(callers, callers.token(role=["producer", "operator"])) is RefusalCode.FOREIGN
    assert refused(callers, callers.token()) is RefusalCode.FOREIGN, "two roles, and none is said"


def test_only_an_issuer_of_the_installation_makes_admins(callers: Callers) -> None:
    callers.issuer(roles=(Role.ADMIN,))
    assert come(callers, callers.token(tenant_id=None)).of_installation
    assert refused(callers, callers.token(tenant_id="atlas")) is RefusalCode.FOREIGN
    callers.issuer(roles=(Role.ADMIN,), tenants=("atlas",))
    callers.clock.advance(1_000)
    assert refused(callers, callers.token(tenant_id=None)) is RefusalCode.FOREIGN


def test_an_agent_says_its_pool(callers: Callers) -> None:
    callers.issuer(roles=(Role.AGENT,))
    found = come(callers, callers.token(tenant_id=None, pool="gpu", agent_id="one"))
    assert (found.pool, found.agent_id) == ("gpu", "one")
    assert refused(callers, callers.token(tenant_id=None)) is RefusalCode.FOREIGN


def test_keys_are_kept_for_ten_minutes(callers: Callers) -> None:
    come(callers, callers.token())
    callers.clock.advance(599_999)
    come(callers, callers.token())
    assert len(callers.fetched) == 1
    callers.clock.advance(1)
    come(callers, callers.token())
    assert len(callers.fetched) == 2


def test_an_unknown_kid_is_looked_for_once_a_minute(callers: Callers) -> None:
    come(callers, callers.token())
    callers.clock.advance(60_000)
    for number in range(50):
        assert refused(callers, callers.token(kid=f"made-up-{number}")) is RefusalCode.INVALID
    assert len(callers.fetched) == 2
    # A key that the issuer has just begun to use is known within the minute.
    callers.documents[JWKS_URL]["keys"].append(jwk_of(OTHER_RSA, "RS256", "r2"))
    callers.clock.advance(60_000)
    come(callers, callers.token(OTHER_RSA, kid="r2"))
    assert len(callers.fetched) == 3


def test_a_key_that_the_issuer_withdraws_ends_with_its_document(callers: Callers) -> None:
    token = callers.token(exp=START_MS // 1_000 + 3_600)
    come(callers, token)
    callers.documents[JWKS_URL]["keys"] = []
    callers.clock.advance(600_000)
    assert refused(callers, token) is RefusalCode.INVALID


def test_an_issuer_that_does_not_answer(callers: Callers) -> None:
    document = callers.documents.pop(JWKS_URL)
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            come(callers, callers.token())
    assert len(callers.fetched) == 1, "asked once a minute"
    callers.documents[JWKS_URL] = document
    callers.clock.advance(60_000)
    come(callers, callers.token())
    del callers.documents[JWKS_URL]
    callers.clock.advance(3_600_000)
    come(callers, callers.token())  # by the document that is there, for a day
    callers.clock.advance(24 * 3_600_000)
    with pytest.raises(KeysUnavailable):
        come(callers, callers.token())


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 7}', b"[" * 10_000, b"\xff"])
def test_a_document_that_is_none(callers: Callers, document: bytes) -> None:
    callers.documents[JWKS_URL] = document
    with pytest.raises(KeysUnavailable):
        come(callers, callers.token())


def test_the_library_is_imported_when_a_token_comes() -> None:
    said = "import sys, pushlane.api.authorizer; print({'jwt', 'cryptography', 'boto3'} & {*sys.modules} or 'none')"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "none"
