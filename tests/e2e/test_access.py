"""Who is let in by the deployed authorizer, for how long, and a tenant that is erased from a deployment."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest

from pushlane.cli.erasing import erase_tenant
from pushlane.cli.target import Target
from pushlane.client.access_keys import KeyMaker, NewKey
from pushlane.client.tenants import add_tenant
from pushlane.model.issuer import Issuer
from pushlane.model.keyring import KeyRing
from pushlane.ports import Table
from pushlane.state.principals import put_issuer, remove_issuer
from tests.e2e.api_deployment import TENANT, ApiDeployed, new_key
from tests.e2e.conftest import eventually
from tests.unit.api.callers import OTHER_RSA, RSA, jwk_of

pytestmark = pytest.mark.e2e

LEAVING = "leaving-ltd"
# What API Gateway, or its emulator, says where the authorizer says no.
REFUSED = {401, 403}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def status(api: ApiDeployed, credential: str | None, path: str = "/v1/tasks") -> int:
    headers = {} if credential is None else {"authorization": f"Bearer {credential}"}
    return httpx.get(f"{api.http_url}{path}", headers=headers, timeout=30).status_code


def test_a_key_from_its_making_to_its_end(api: ApiDeployed) -> None:
    maker = KeyMaker(api.deployed.store, now_ms, lambda: KeyRing("k0", {"k0": b""}))
    created = maker.create(NewKey(tenant_id=TENANT))
    assert status(api, created.text) == 200
    after = maker.rotate(created.key.key_id, overlap_seconds=60)
    assert [status(api, created.text), status(api, after.text)] == [200, 200]
    maker.revoke(created.key.key_id)
    eventually(lambda: status(api, created.text) in REFUSED or None, "the revoked key is refused", 5)
    assert status(api, after.text) == 200
    for other in (None, "pl_x", created.text[:-1] + "0", "not.a.token", api.ticket()):
        assert status(api, other) in REFUSED, other


class _Jwks(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"keys": [jwk_of(RSA, "RS256", "r1")]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def jwks_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/keys"
    server.shutdown()
    server.server_close()


def test_tokens_of_a_trusted_issuer(api: ApiDeployed, jwks_url: str) -> None:
    issuer = Issuer(name="e2e", issuer="https://e2e.example.com", audience="us", jwks_url=jwks_url, tenants=(TENANT,))
    put_issuer(api.deployed.store, issuer)
    time.sleep(1.1)  # that there is no such issuer is remembered for a second

    def token(key: Any = RSA, **said: Any) -> str:
        claims = {"iss": issuer.issuer, "aud": "us", "sub": "one", "exp": now_ms() // 1_000 + 60, **said}
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "r1"})

    assert status(api, token()) == 200
    for other in (token(OTHER_RSA), token(aud="them"), token(exp=1), token(tenant_id="birch"), token(role="admin")):
        assert status(api, other) in REFUSED
    remove_issuer(api.deployed.store, issuer.issuer)
    eventually(lambda: status(api, token()) in REFUSED or None, "the issuer is not trusted any more", 5)


def test_a_tenant_is_erased(api: ApiDeployed, capsys: pytest.CaptureFixture[str]) -> None:
    store = api.deployed.store
    add_tenant(store, LEAVING, now_ms())
    time.sleep(1.1)
    key = new_key(api.deployed, LEAVING)
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=api.http_url, headers=headers, timeout=30) as http:
        tells = {"do": "tell", "steps": 3, "seconds": 0.1, "value": "done"}
        ids = [_submitted(http, tells) for _ in range(3)]
        nobody = http.post("/v1/tasks", json={"task_type": "nobody-does-this", "payload": {}})
        assert nobody.status_code == 202, nobody.text
        schedule = {"name": "nightly", "expression": "rate(1 day)", "task": {"task_type": "chaos", "payload": {}}}
        made = http.post("/v1/schedules", json=schedule)
        assert made.status_code in (200, 201), made.text
        eventually(lambda: http.get(f"/v1/tasks/{ids[0]}").json()["status"] == "SUCCEEDED" or None, "one has ended", 30)
    kept = api.submit(tells)

    erase_tenant(Target(api.deployed.session, api.deployed.installation), LEAVING, 120, json=True)

    said = json.loads(capsys.readouterr().out)
    assert said["complete"]
    assert {"tasks", "event logs", "keys", "schedules"} <= set(said["removed"])
    left = [item for table in Table for item in store.scan(table) if LEAVING in f"{item}" or _about(item, ids)]
    assert [f"{item}"[:400] for item in left] == []
    assert (
        api.deployed.aws.s3.list_objects_v2(
            Bucket=api.deployed.installation.claims_bucket, Prefix=f"claims/{LEAVING}/"
        ).get("KeyCount", 0)
        == 0
    )
    assert status(api, key) in REFUSED
    eventually(lambda: api.http.get(f"/v1/tasks/{kept}").json()["status"] == "SUCCEEDED" or None, "others go on", 30)


def _submitted(http: httpx.Client, payload: dict[str, Any]) -> str:
    answer = http.post("/v1/tasks", json={"task_type": "chaos", "payload": payload})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def _about(item: Any, ids: list[str]) -> bool:
    return any(task_id in f"{item}" for task_id in ids)
