"""`pushlane policy`: what an operator sees, and that a refused policy ends with 2 and leaves the old one."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.inmemory import InMemoryItemStore, ManualClock
from pushlane.ports import Key
from pushlane.state.keys import policy_key
from pushlane.state.policies import policy_history
from tests.unit.values import NOW


class Installed:
    """What `connect` gives, as far as these verbs look."""

    def __init__(self) -> None:
        self.store = InMemoryItemStore(ManualClock(NOW))
        self.woken = 0

    def wake_after_policy(self) -> None:
        self.woken += 1


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    made = Installed()
    monkeypatch.setattr(target, "connect", lambda *_options: made)
    monkeypatch.setattr(target, "now_ms", lambda: NOW)
    return made


def run(*arguments: str, stdin: object = None) -> Result:
    return CliRunner().invoke(app, ("policy", *arguments), input=None if stdin is None else json.dumps(stdin))


def answer(*arguments: str, stdin: object = None) -> Any:
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def weighted(weight: float) -> dict[str, Any]:
    return {"tenants": {"atlas": {"weight": weight}}}


def test_before_any_was_set_the_defaults_are_shown_as_such(installed: Installed) -> None:
    result = run("get")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"revision": 0})
    assert "no policy was ever set" in result.stderr
    assert answer("history") == []
    assert "none" in run("history").stdout


def test_a_policy_is_set_from_a_file_and_shown(installed: Installed, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(weighted(3)))
    result = run("set", str(path), "--by", "ann")
    assert (result.exit_code, result.stdout) == (
        0,
        "policy revision 1 is set; routers go by it within a second\n",
    )
    shown = run("get")
    assert json.loads(shown.stdout) == {"revision": 1, **weighted(3)}
    assert "revision 1: set at 2023-11-14 22:13:20 UTC by ann" in shown.stderr


def test_set_and_get_as_json(installed: Installed) -> None:
    assert answer("set", "-", "--by", "ann", stdin=weighted(3)) == {
        "revision": 1,
        "changed_at_ms": NOW,
        "changed_by": "ann",
    }
    assert answer("get") == {
        "changed_at_ms": NOW,
        "changed_by": "ann",
        "policy": {"revision": 1, **weighted(3)},
    }


def test_every_default_is_shown_on_demand(installed: Installed) -> None:
    run("set", "-", stdin={"tiers": {"low": {"min_share": 0.1}}})
    shown = answer("get", "--effective")["policy"]
    assert shown["tiers"]["low"] == {
        "min_share": 0.1,
        "longest_wait_seconds": 7200,
        "feasible_first": True,
        "late_share": 0.03,
    }
    assert (shown["revision"], shown["tiers"]["critical"]["min_share"], shown["token_cost_ms"]) == (1, 0.2, 1)


def test_what_get_prints_can_be_changed_and_set_once(installed: Installed) -> None:
    run("set", "-", stdin=weighted(1))
    seen = json.loads(run("get").stdout)
    assert run("set", "-", stdin=seen | weighted(2)).exit_code == 0
    late = run("set", "-", stdin=seen | weighted(3))
    assert late.exit_code == 2
    assert "$.revision: the policy is at revision 2, and this change was made from revision 1" in late.stderr
    assert "The current policy stays as it is." in late.stderr
    assert json.loads(run("get").stdout) == {"revision": 2, **weighted(2)}


def test_an_expected_revision_may_be_named(installed: Installed) -> None:
    assert run("set", "-", "--expect-revision", "0", stdin=weighted(1)).exit_code == 0
    refused = run("set", "-", "--expect-revision", "0", "--json", stdin=weighted(2))
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["field"] == "$.revision"
    back = {"revision": 1, **weighted(1)}
    assert run("set", "-", stdin=weighted(2)).exit_code == 0
    assert run("set", "-", "--expect-revision", "2", stdin=back).exit_code == 0
    assert json.loads(run("get").stdout) == {"revision": 3, **weighted(1)}


def test_a_refused_policy_names_the_field_and_the_old_one_stays(installed: Installed) -> None:
    run("set", "-", stdin=weighted(1))
    refused = run("set", "-", stdin=weighted(0))
    assert refused.exit_code == 2
    assert "policy refused: $.tenants.atlas.weight: " in refused.stderr
    assert "The current policy stays as it is." in refused.stderr
    assert len(policy_history(installed.store)) == 1


def test_an_earlier_revision_can_be_shown(installed: Installed) -> None:
    for weight in (1, 2):
        run("set", "-", stdin=weighted(weight))
    assert answer("get", "--revision", "1")["policy"] == {"revision": 1, **weighted(1)}
    assert answer("get", "--revision", "0")["policy"] == {"revision": 0}
    missing = run("get", "--revision", "9")
    assert isinstance(missing.exception, Exception)
    assert "revision 9: not found" in (explained(missing.exception) or "")


def test_history_is_newest_first(installed: Installed) -> None:
    for n, who in enumerate(("ann", "bob", "cy"), start=1):
        run("set", "-", "--by", who, stdin=weighted(n))
    assert [(one["revision"], one["changed_by"]) for one in answer("history", "--limit", "2")] == [
        (3, "cy"),
        (2, "bob"),
    ]
    shown = run("history").stdout
    assert shown.index("cy") < shown.index("bob") < shown.index("ann")
    assert "tenants" in shown


def test_validate_needs_no_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "connect", lambda *_options: pytest.fail("it went to look for one"))
    assert answer("validate", "-", stdin=weighted(2)) == {"valid": True}
    path = tmp_path / "policy.json"
    path.write_text('{"tiers": {"urgent": {}}}')
    refused = run("validate", str(path), "--json")
    assert refused.exit_code == 2
    assert json.loads(refused.stdout) == {
        "valid": False,
        "field": "$.tiers",
        "reason": "'urgent' is no tier: there are critical, high, normal, low, background",
    }
    assert "stays" not in refused.stderr


@pytest.mark.parametrize("verb", ["set", "validate"])
def test_a_file_that_is_not_there_is_a_usage_error(installed: Installed, verb: str) -> None:
    result = run(verb, "none.json")
    assert result.exit_code == 2
    assert "none.json cannot be read" in result.stderr
    assert installed.store.get([policy_key()]) == dict[Key, Any]()


def test_what_is_no_json_is_refused(installed: Installed) -> None:
    result = CliRunner().invoke(app, ("policy", "set", "-"), input="weight: 3")
    assert result.exit_code == 2
    assert "policy refused: $: not JSON" in result.stderr
