"""`pushlane tenants erase`: asked for twice, sent with a proof, and said what became of it."""

import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.main import app
from pushlane.client.erasure import StillLiving
from pushlane.ports import Message, Table
from pushlane.router.app import Router
from pushlane.state.principals import tenant_status
from pushlane.testing.deliveries import INTAKE
from tests.unit.cli.test_keys import ARN, Secrets
from tests.unit.client.doubles import INSTALLATION, RecordingClient, accepting, aws_of
from tests.unit.client.erased import GONE, KEPT, ErasedWorld


class Bucket:
    """As much of S3 as an erasure needs, over the dispatcher's blobs."""

    def __init__(self, world: ErasedWorld) -> None:
        self._blobs = world.dispatcher.blobs

    def get_paginator(self, name: str) -> "Bucket":
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == "claims"
        yield {"Contents": [{"Key": key} for key in self._blobs.keys(Prefix)]}

    def delete_objects(self, *, Delete: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        self._blobs.delete([one["Key"] for one in Delete["Objects"]])
        return {}


class Installed:
    """An installation whose doors take nothing without a proof."""

    def __init__(self, world: ErasedWorld) -> None:
        self.world = world
        self.store = world.store
        self.session = self
        self.installation = msgspec.structs.replace(INSTALLATION, signing_secret_arn=ARN)
        self.secrets = Secrets()
        self.secrets.versions["v1"] = "a key for tests only, thirty-two bytes"
        self.sent = 0
        self.aws = dataclasses.replace(aws_of(RecordingClient(self._answer)), s3=cast(Any, Bucket(world)))
        dispatcher = world.dispatcher
        dispatcher.router = Router(msgspec.structs.replace(dispatcher.router_ports(), accept_unsigned_tenant=False))

    def client(self, name: str) -> Any:
        assert name == "secretsmanager"
        return self.secrets

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        for entry in arguments["Entries"]:
            self.sent += 1
            kept = {"id": f"sent-{self.sent}", "envelope": json.loads(entry["MessageBody"])}
            self.world.dispatcher.sender.send(INTAKE, [Message(json.dumps(kept))])
        return accepting(name, arguments)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    world = ErasedWorld()
    made = Installed(world)
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr("pushlane.cli.erasing.now_ms", world.dispatcher.clock.now_ms)
    monkeypatch.setattr(time, "sleep", world.dispatcher.advance)
    monkeypatch.setattr(time, "monotonic", lambda: world.dispatcher.clock.now_ms() / 1_000)
    return made


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["tenants", "erase", *arguments], input=stdin)


def test_the_name_has_to_be_typed(installed: Installed) -> None:
    assert "nothing was done" in run(GONE, stdin="gone\n").output
    assert "--yes" in run(GONE, "--json").output
    assert run(GONE, stdin="\n").exit_code != 0
    assert tenant_status(installed.store, GONE) == "active"


def test_commands_carry_a_proof_and_nothing_of_it_is_left(installed: Installed) -> None:
    keys = [
        item.key for item in installed.store.items(Table.CONFIG) if item.key.pk.startswith("KEY") and KEPT in str(item)
    ]
    result = run(GONE, stdin=f"{GONE}\n")
    assert result.exit_code == 0, result.output
    assert "removed" in result.output
    assert installed.sent > 0
    assert installed.world.left_of(GONE) == []
    assert [item.key for item in installed.store.items(Table.CONFIG) if item.key.pk.startswith("KEY")] == keys
    said = json.loads(run(GONE, "--yes", "--json").stdout)
    assert (said["complete"], said["removed"]) == (True, {})


def test_what_has_not_ended_is_said(installed: Installed) -> None:
    while installed.world.dispatcher.take("slow", heartbeat=True).dispatch.tenant_id != GONE:
        continue
    result = run(GONE, "--yes", "--timeout", "5")
    assert isinstance(result.exception, StillLiving)
    assert tenant_status(installed.store, GONE) == "erasing"
    assert run(GONE, "--yes").exit_code == 0
