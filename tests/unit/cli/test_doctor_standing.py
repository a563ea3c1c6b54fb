"""`pushlane doctor` of how an installation stands, a dispatcher in memory; and the verb: what it says, how it ends."""

import json
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import doctor, target
from pushlane.cli.checkup.findings import Finding, Level, problem, run_checks, warning, well, worst
from pushlane.cli.checkup.standing import STUCK_MS, SWEPT_MS, Standing
from pushlane.cli.failures import explained
from pushlane.cli.main import app
from pushlane.client import NotInstalled
from pushlane.client.tenants import SUSPENDED, begin_erasing, set_status
from pushlane.model.keyring import KeyRing
from pushlane.ports import Update
from pushlane.state import keys
from pushlane.testing.dispatcher import RING
from tests.unit.cli.test_cli import Installed
from tests.unit.client.doubles import INSTALLATION


def levels(found: list[Finding]) -> list[Level]:
    return [one.level for one in found]


class _Standing:
    """A target whose state lies in memory. `date`: what the store says that time it is."""

    def __init__(self) -> None:
        self.installed = Installed()
        self.dispatcher = self.installed.dispatcher
        self.store = self.installed.store
        self.installation = msgspec.structs.replace(INSTALLATION, measures_table="measures")
        self.date = ""

    @property
    def aws(self) -> Any:
        headers = {"date": self.date} if self.date else {}

        class DynamoDb:
            def describe_table(self, **_said: Any) -> Any:
                return {"ResponseMetadata": {"HTTPHeaders": headers}}

        class Aws:
            dynamodb = DynamoDb()

        return Aws()

    def keyring(self) -> KeyRing:
        return RING

    def checks(self) -> Standing:
        return Standing(cast(Any, self), self.dispatcher.clock.now_ms)

    def park(self, count: int = 1, **data: Any) -> list[str]:
        ids = [self.dispatcher.submit(**{"task_type": "extract", "payload": {}, **data}) for _ in range(count)]
        while any(self.dispatcher.task(one) is None for one in ids):
            self.dispatcher._deliver_intake()
        return ids


@pytest.fixture
def stands() -> _Standing:
    return _Standing()


@pytest.mark.parametrize("check", ["policy", "signing_key", "tenants", "agents", "lanes", "wake_ups", "clock", "api"])
def test_what_stands_well_is_well(stands: _Standing, check: str) -> None:
    assert levels(getattr(stands.checks(), check)()) == [Level.OK]


def test_a_pool_without_agents_that_the_policy_names_is_told(stands: _Standing) -> None:
    stands.dispatcher.set_policy(pools={"gpu": {}})
    (found,) = stands.checks().policy()
    assert (found.level, "pool gpu" in found.said) == (Level.WARNING, True)


def test_an_erasure_that_is_half_done_is_told(stands: _Standing) -> None:
    begin_erasing(stands.store, "atlas")
    half, nobody = stands.checks().tenants()
    assert (half.level, half.fix, nobody.level) == (Level.WARNING, "pushlane tenants erase atlas", Level.WARNING)


def test_without_a_tenant_that_may_submit_a_way_is_told(stands: _Standing) -> None:
    set_status(stands.store, "atlas", SUSPENDED)
    (found,) = stands.checks().tenants()
    assert "pushlane tenants add" in (found.fix or "")


def test_an_agent_that_is_unavailable_or_silent_is_told(stands: _Standing) -> None:
    def change(**attributes: Any) -> None:
        stands.store.write(Update(keys.agent_key("default", "extract"), set=attributes))

    change(heartbeat_ms=10_000, heartbeat_at_ms=stands.dispatcher.clock.now_ms() - 60_000)
    (silent,) = stands.checks().agents()
    assert (silent.level, "60.0 s ago" in silent.said) == (Level.WARNING, True)
    change(status="UNAVAILABLE")
    (gone,) = stands.checks().agents()
    assert (gone.level, "default/extract is unavailable" in gone.said) == (Level.PROBLEM, True)


def test_tasks_that_no_agent_can_take_are_a_problem_after_a_while(stands: _Standing) -> None:
    stands.park(2, capabilities=["paint"])
    assert levels(stands.checks().lanes()) == [Level.OK]
    stands.dispatcher.clock.advance(STUCK_MS)
    (found,) = stands.checks().lanes()
    assert (found.level, "2 tasks of tenant atlas" in found.said) == (Level.PROBLEM, True)
    assert "can do paint" in (found.fix or "")


def test_tasks_that_wait_although_nothing_keeps_them_are_a_problem(stands: _Standing) -> None:
    stands.park(1, capabilities=["paint"])
    stands.dispatcher.clock.advance(STUCK_MS)
    stands.dispatcher.register(None, agent_id="painter", capabilities=("paint",))
    (found,) = stands.checks().lanes()
    assert (found.level, "although nothing keeps them" in found.said) == (Level.PROBLEM, True)


def test_tasks_that_wait_for_a_busy_agent_are_no_finding(stands: _Standing) -> None:
    stands.park(6)
    stands.dispatcher.clock.advance(STUCK_MS)
    assert levels(stands.checks().lanes()) == [Level.OK]


def test_an_overdue_wake_up_is_told_while_there_is_work(stands: _Standing) -> None:
    stands.park(5)
    stands.dispatcher.clock.advance(3_600_000)
    (found,) = stands.checks().wake_ups()
    assert (found.level, "pool default" in found.said) == (Level.WARNING, True)


def test_a_sweep_that_has_stopped_is_a_problem_and_one_that_is_still_to_come_is_none(stands: _Standing) -> None:
    assert levels(stands.checks().swept()) == [Level.WARNING]
    stands.dispatcher.sweep()
    assert levels(stands.checks().swept()) == [Level.OK]
    stands.dispatcher.clock.advance(SWEPT_MS + 60_000)
    assert levels(stands.checks().swept()) == [Level.PROBLEM]


def test_an_installation_without_measures_is_told(stands: _Standing) -> None:
    stands.installation = msgspec.structs.replace(INSTALLATION, measures_table=None)
    assert levels(stands.checks().swept()) == [Level.WARNING]


def test_a_wrong_clock_is_told(stands: _Standing) -> None:
    stands.date = "Tue, 14 Nov 2023 22:12:20 GMT"  # a minute before the dispatcher's time
    (found,) = stands.checks().clock()
    assert (found.level, "60.0 s ahead of" in found.said) == (Level.WARNING, True)


def ran(monkeypatch: pytest.MonkeyPatch, found: list[Finding], *arguments: str) -> Result:
    monkeypatch.setattr(target, "connect", lambda *_options: None)
    monkeypatch.setattr(doctor, "checks", lambda _target: {"all": lambda: found})
    return CliRunner().invoke(app, ["doctor", *arguments])


@pytest.mark.parametrize(
    ("found", "arguments", "status"),
    [
        ([well("a", "fine")], (), 0),
        ([warning("a", "look", "do")], (), 0),
        ([warning("a", "look", "do")], ("--strict",), 1),
        ([well("a", "fine"), problem("b", "broken", "mend it")], (), 1),
    ],
)
def test_the_exit_status_says_whether_something_is_to_be_done(
    monkeypatch: pytest.MonkeyPatch, found: list[Finding], arguments: tuple[str, ...], status: int
) -> None:
    result = ran(monkeypatch, found, *arguments)
    assert result.exit_code == status
    assert all(one.said in result.output and (one.fix or "") in result.output for one in found)
    assert json.loads(ran(monkeypatch, found, *arguments, "--json").stdout) == msgspec.to_builtins(found)


def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    def fails() -> list[Finding]:
        raise NotInstalled("no such stage")

    checks: dict[str, Callable[[], list[Finding]]] = {"first": fails, "second": lambda: [well("second", "fine")]}
    first, second = run_checks(checks, explained)
    assert (first.level, first.fix, second.level) == (Level.PROBLEM, "no such stage", Level.OK)
    assert worst([first, second]) is Level.PROBLEM
