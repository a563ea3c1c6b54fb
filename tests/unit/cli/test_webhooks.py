"""`pushlane callbacks` and `pushlane hooks`: what they say, and with which status they end."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.model.keyring import KeyRing
from pushlane.ports import Put
from pushlane.state.callbacks import callback_settings
from pushlane.state.hooks import hooks_of
from pushlane.state.keys import tenant_key
from pushlane.testing.dispatcher import RING
from tests.unit.api.hooked import SAMPLE, TEMPLATE
from tests.unit.values import NOW

URL = "https://hooks.example/done"
HOOK = {"name": "reviews", "scheme": "github", "template": TEMPLATE, "sample": SAMPLE}


class Installed:
    """What `connect` gives, as far as these verbs look."""

    def __init__(self) -> None:
        self.store = InMemoryItemStore(ManualClock(NOW))
        self.store.write(Put(tenant_key("atlas"), {"tenant_id": "atlas", "status": "active"}))

    def keyring(self) -> KeyRing:
        return RING


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr(target, "now_ms", lambda: NOW)
    return made


def run(*arguments: str, stdin: object = None) -> Result:
    return CliRunner().invoke(app, arguments, input=None if stdin is None else json.dumps(stdin))


def answer(*arguments: str, stdin: object = None) -> Any:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_callbacks_are_set_shown_rotated_and_removed(installed: Installed) -> None:
    assert "nobody" in run("callbacks", "show", "--tenant", "atlas").stdout
    events = ("--event", "TaskFailed", "--event", "TaskExpired")
    made = answer("callbacks", "set", URL, "--tenant", "atlas", *events)
    assert made["default"] == {"url": URL, "events": ["TaskFailed", "TaskExpired"]}
    assert made["secret"].startswith("whsec_")
    shown = run("callbacks", "show", "--tenant", "atlas").stdout
    assert made["secret"] in shown
    assert "TaskFailed" in shown
    rotated = answer("callbacks", "rotate", "--tenant", "atlas", "--overlap-hours", "1")
    assert (rotated["generation"], rotated["previous_until_ms"]) == (2, NOW + 3_600_000)
    assert run("callbacks", "remove", "--tenant", "atlas").exit_code == 0
    settings = callback_settings(installed.store, "atlas")
    assert settings is not None
    assert (settings.default, settings.secret.number) == (None, 2)
    assert run("callbacks", "remove", "--tenant", "nobody").exit_code == 0


@pytest.mark.parametrize("url", ["http://hooks.example/", "https://10.0.0.1/", "https://a@hooks.example/"])
def test_a_url_that_is_never_called_is_refused(installed: Installed, url: str) -> None:
    result = run("callbacks", "set", url, "--tenant", "atlas", "--stage", "dev")
    assert result.exception is not None
    assert "URL" in str(explained(result.exception))  # type: ignore[arg-type]  # the runner keeps what was raised
    assert callback_settings(installed.store, "atlas") is None


def test_callbacks_of_nobody_are_refused(installed: Installed) -> None:
    result = run("callbacks", "set", URL, "--tenant", "nobody")
    assert "no such tenant" in str(result.exception)


def test_hooks_are_created_listed_shown_rotated_and_removed(installed: Installed, tmp_path: Path) -> None:
    made = answer("hooks", "create", "-", "--tenant", "atlas", stdin=HOOK)
    hook_id = made["hook_id"]
    assert made["path"] == f"/v1/hooks/{hook_id}"
    assert answer("hooks", "list", "--tenant", "atlas") == [{"hook_id": hook_id, "name": "reviews", "scheme": "github"}]
    assert hook_id in run("hooks", "list", "--tenant", "atlas").stdout.replace("\n", "")
    assert answer("hooks", "show", hook_id) == made
    secret = tmp_path / "secret"
    secret.write_text("the-providers-own-secret\n")
    rotated = answer("hooks", "rotate", hook_id, "--secret-file", str(secret))
    assert rotated["secret"] is None
    [stored] = hooks_of(installed.store, "atlas")
    assert stored.secret.given == "the-providers-own-secret"
    assert "the provider's own" in run("hooks", "show", hook_id).stdout
    assert run("hooks", "remove", hook_id).exit_code == 0
    assert run("hooks", "show", hook_id).exit_code == 2


def test_a_hook_that_would_not_work_is_refused_by_its_field(installed: Installed) -> None:
    wrong = {**HOOK, "template": {"task_type": {"$": "body["}}}
    result = run("hooks", "create", "-", "--tenant", "atlas", stdin=wrong)
    assert "$.template.task_type" in str(result.exception)
    assert run("hooks", "create", "-", "--tenant", "nobody", stdin=HOOK).exit_code == 2
    assert run("hooks", "create", "missing.json", "--tenant", "atlas").exit_code == 2
    assert hooks_of(installed.store, "atlas") == ()
