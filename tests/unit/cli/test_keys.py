"""`pushlane keys`: what it says, what it keeps to itself, and with which status it ends."""

import json
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.model.keyring import ring_of
from pushlane.model.principal import Role
from tests.unit.api.callers import AUDIENCE, ISSUER, JWKS_URL, SECRET, Callers
from tests.unit.client.doubles import INSTALLATION

ROLE = "arn:aws:iam::123456789012:role/Submitter"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:signing"


class Secrets:
    """One secret with versions, as Secrets Manager keeps it."""

    class exceptions:  # noqa: N801  # as boto3 calls it
        InvalidParameterException = ValueError

    def __init__(self) -> None:
        self.versions = {"v1": "the plain text that CDK generated"}
        self.current = "v1"

    def get_secret_value(self, SecretId: str, VersionStage: str = "AWSCURRENT") -> dict[str, Any]:  # noqa: N803
        assert (SecretId, VersionStage) == (ARN, "AWSCURRENT")
        return {"SecretString": self.versions[self.current], "VersionId": self.current}

    def put_secret_value(self, *, SecretString: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        version = f"v{len(self.versions) + 1}"
        self.versions[version] = SecretString
        return {"VersionId": version}

    def update_secret_version_stage(self, *, VersionStage: str, **said: Any) -> None:  # noqa: N803
        if VersionStage == "AWSCURRENT":
            assert said["RemoveFromVersionId"] == self.current
            self.current = said["MoveToVersionId"]


class Installed(Callers):
    """What `connect` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.installation = msgspec.structs.replace(INSTALLATION, signing_secret_arn=ARN)
        self.secrets = Secrets()
        self.session = self

    def client(self, name: str) -> Any:
        assert name == "secretsmanager"
        return self.secrets


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr("pushlane.cli.access.now_ms", made.clock.now_ms)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def said(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def failure(*arguments: str) -> str:
    """The message of a verb that fails, as `main.run` prints it."""
    result = run(*arguments)
    assert result.exit_code != 0
    if isinstance(result.exception, SystemExit):
        return result.output
    assert isinstance(result.exception, Exception)
    return explained(result.exception) or ""


def test_a_key_from_its_making_to_its_end(installed: Installed) -> None:
    result = run("create", "--tenant", "atlas", "--name", "export")
    text = result.stdout.strip()
    assert "only time" in result.stderr
    assert installed.credentials.principal_of(text).tenant_id == "atlas"
    (listed,) = said("list")
    assert (listed["status"], listed["name"], listed["tenant_id"]) == ("active", "export", "atlas")
    assert "secret_digest" not in listed
    assert text.rpartition("_")[2] not in run("list").stdout
    assert said("revoke", listed["key_id"])[0]["status"] == "revoked"
    assert said("list", "--tenant", "atlas")[0]["status"] == "revoked"
    assert said("list", "--tenant", "birch") == []
    assert said("list", "--installation") == []


def test_rotating_a_key(installed: Installed) -> None:
    before = said("create", "--tenant", "atlas")
    after = said("rotate", before["key_id"], "--overlap-hours", "1")
    assert after["replaces"] == before["key_id"]
    installed.clock.advance(3_600_000)
    statuses = {one["key_id"]: one["status"] for one in said("list")}
    assert statuses == {before["key_id"]: "expired", after["key_id"]: "active"}


def test_rotating_the_signing_key_keeps_what_is_in_use(installed: Installed) -> None:
    said("create", "--tenant", "atlas", "--kind", "envelope")
    done = said("rotate", "--signing", "--keep", "0")
    assert (done["current"], done["kept"], done["removed"]) == ("k1", ["k0"], [])
    ring = ring_of(installed.secrets.versions[installed.secrets.current].encode())
    assert ring.key("k0") == b"the plain text that CDK generated"
    (key,) = said("list")
    said("revoke", key["key_id"])
    assert said("rotate", "--signing", "--keep", "0")["removed"] == ["k1", "k0"]
    said("create", "--tenant", "atlas", "--kind", "envelope")
    assert said("rotate", "--signing", "--keep", "0", "--even-used")["removed"] == ["k2"]
    assert "k4 signs" in run("rotate", "--signing").stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["create"], "belongs to one tenant"),
        (["create", "--tenant", "nobody"], "tenants add"),
        (["create", "--role", "agent"], "name it"),
        (["create", "--role", "king"], "producer"),
        (["revoke", "0000000000000000"], "keys list"),
        (["rotate"], "--signing"),
        (["rotate", "0000000000000000", "--signing"], "--signing"),
        (["rotate", "0000000000000000"], "keys list"),
        (["list", "--tenant", "atlas", "--installation"], "not both"),
        (["issuers", "remove", "login"], "issuers list"),
        (["roles", "remove", ROLE], "roles list"),
        (["roles", "add", "arn:aws:iam::1:root", "--tenant", "atlas"], "IAM role"),
        (["roles", "add", ROLE], "belongs to one tenant"),
        (["roles", "add", ROLE, "--tenant", "nobody"], "tenants add"),
    ],
)
def test_errors_say_what_to_do(installed: Installed, arguments: list[str], hint: str) -> None:
    assert hint in failure(*arguments)


def test_without_a_secret_that_can_be_found(installed: Installed) -> None:
    installed.installation = INSTALLATION
    assert "deploy all stacks again" in failure("rotate", "--signing")


def issuer(*more: str) -> tuple[str, ...]:
    return ("issuers", "add", "login", "--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", JWKS_URL, *more)


def test_issuers(installed: Installed) -> None:
    assert "--any-tenant" in failure(*issuer())
    assert "tenants add" in failure(*issuer("--tenant", "nobody"))
    assert "jwks_url" in failure(*issuer("--tenant", "atlas", "--jwks", "ftp://x"))
    said(*issuer("--tenant", "atlas", "--role", "producer", "--role", "operator"))
    assert installed.credentials.principal_of(installed.token(role="operator")).role is Role.OPERATOR
    (listed,) = said("issuers", "list")
    assert (listed["name"], listed["tenants"]) == ("login", ["atlas"])
    assert "login" in run("issuers", "list").stdout
    assert "within a second" in run("issuers", "remove", "login").stdout
    assert said("issuers", "list") == []


def test_roles(installed: Installed) -> None:
    said("roles", "add", ROLE, "--tenant", "atlas")
    assert installed.credentials.of_iam(ROLE).tenant_id == "atlas"
    assert [one["arn"] for one in said("roles", "list")] == [ROLE]
    assert run("roles", "remove", ROLE).exit_code == 0
    assert said("roles", "list") == []


def test_nothing_says_a_secret(installed: Installed) -> None:
    installed.key()
    for verb in (("list",), ("list", "--json"), ("revoke", "key00001"), ("revoke", "key00001", "--json")):
        assert SECRET not in run(*verb).output
