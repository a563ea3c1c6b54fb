"""docs/migrate.md is true: its Python and its commands run here, block after block, over the in-memory whole."""

import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from pushlane.cli import target
from pushlane.cli.main import app
from pushlane.inmemory.listing import InMemoryTaskListing
from pushlane.model.principal import Role
from pushlane.state.pools import wake_after_policy
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.api_transport import ApiTransport
from pushlane.testing.deliveries import WAKEUPS
from tests.unit.migrate.celery_double import FakeSignals

PAGE = Path(__file__).resolve().parents[3] / "docs" / "migrate.md"
_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class FakeSqs:
    """Two messages, then none."""

    def __init__(self, now_ms: int) -> None:
        self._left = [self._message(number, now_ms - 700) for number in range(2)]
        self.deleted: list[str] = []

    def _message(self, number: int, sent_ms: int) -> dict[str, Any]:
        return {
            "MessageId": f"m-{number}",
            "ReceiptHandle": f"r-{number}",
            "Body": json.dumps({"tenant": "boreal", "n": number}),
            "Attributes": {"SentTimestamp": str(sent_ms)},
        }

    def receive_message(self, **request: Any) -> dict[str, Any]:
        assert "SentTimestamp" in request["AttributeNames"]
        found, self._left = self._left, []
        return {"Messages": found} if found else {}

    def delete_message(self, **request: Any) -> None:
        self.deleted.append(request["ReceiptHandle"])


def _in_process(api: InMemoryApi) -> type[httpx.Client]:
    class InProcess(httpx.Client):
        def __init__(self, **how: Any) -> None:
            super().__init__(**(how | {"transport": ApiTransport(api)}))

    return InProcess


class Guide:
    """An installation in memory, a fleet's own code, and whoever follows the page."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.world = InMemoryDispatcher(tenants=("atlas", "boreal"))
        self.api = InMemoryApi(self.world)
        self.worked: list[Any] = []
        self.signals = FakeSignals()
        patch.chdir(folder)
        patch.setenv("COLUMNS", "200")  # so that no cell of a table is broken
        patch.setattr(target, "connect", lambda *_options: self)
        patch.setattr(target, "now_ms", self.world.clock.now_ms)
        patch.setenv("PUSHLANE_API_KEY", self.api.new_key(Role.AGENT, pool="default"))
        patch.setenv("PRODUCER_KEY", self.api.new_key(Role.PRODUCER, tenant_id="atlas"))
        celery = ModuleType("celery")
        celery.signals = self.signals  # type: ignore[attr-defined]  # a module of our own making
        patch.setitem(sys.modules, "celery", celery)
        patch.setattr(httpx, "Client", _in_process(self.api))
        self.store = self.world.store
        self.listing = InMemoryTaskListing(self.world.store)
        self.names: dict[str, Any] = {
            "__name__": "migrate_page",
            "fetch_rows": self._rows,
            "work": self.worked.append,
            "sqs": FakeSqs(self.world.clock.now_ms()),
            "QUEUE": "queue/old",
        }

    def wake_after_policy(self) -> None:
        wake_after_policy(self.store, self.world.sender, WAKEUPS, self.world.clock.now_ms())

    def _rows(self) -> list[dict[str, Any]]:
        now_ms = self.world.clock.now_ms()
        rows = [
            {"id": f"row-{n}", "tenant": "atlas", "created_ms": now_ms - 400 - n, "due_ms": now_ms} for n in range(3)
        ]
        return rows if not self.worked else []

    def python(self, body: str) -> None:
        exec(compile(body, "docs/migrate.md", "exec"), self.names)

    def command(self, line: str) -> Result:
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        self.world.advance(3)
        return result

    def enqueue(self, count: int, name: str) -> list[str]:
        made = [self.names["enqueue"]({"id": f"{name}-{n}"}) for n in range(count)]
        self.world.run_until_idle()
        return made

    def claim_all(self) -> int:
        rounds = 0
        while self.names["one_round_by_claims"]():
            rounds += 1
            self.world.run_until_idle()
        return rounds

    def finish_pushed(self) -> int:
        done = 0
        while self.world.sender.next_visible_of("queue/agent/pushed") is not None:
            self.world.take("pushed").succeed({})
            self.world.run_until_idle()
            done += 1
        return done


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guide:
    return Guide(tmp_path, monkeypatch)


def test_the_page_works_from_the_first_step_to_the_last(guide: Guide) -> None:
    blocks = [(found["kind"], found["body"]) for found in _BLOCK.finditer(PAGE.read_text())]
    python = iter([body for kind, body in blocks if kind == "python"])
    commands = iter(
        [line for kind, body in blocks if not kind for line in body.splitlines() if line.startswith("pushlane ")]
    )

    # 1. Measure.
    guide.python(next(python))
    guide.names["one_round"]()
    guide.names["one_round"]()
    guide.python(next(python))
    assert guide.names["sqs"].deleted == ["r-0", "r-1"]
    guide.python(next(python))
    guide.signals.run("celery-1", tenant="atlas")
    measured = guide.command(next(commands)).stdout
    assert "atlas" in measured
    assert "boreal" in measured
    assert "3 polls of 1 pollers" in measured

    # 2. Plan beside it, and keep the figures.
    assert "boreal" in guide.command(next(commands)).stdout
    assert "2 tenants" in guide.command(next(commands)).stdout

    # 3. Pollers claim.
    assert "mode poll" in guide.command(next(commands)).stdout
    guide.python(next(python))
    guide.python(next(python))
    first = guide.enqueue(3, "job")
    assert guide.enqueue(3, "job") == first
    assert guide.claim_all() == 3

    # 4. Shadow.
    guide.command(next(commands))
    guide.enqueue(5, "shadowed")
    assert guide.claim_all() == 5
    seen = guide.command(next(commands)).stdout
    assert all(word in seen for word in ("polled before (fleet)", "claimed", "planned", "shadow"))

    # 5. A share.
    guide.world.register(None, agent_id="pushed", slots=8, capabilities=("resize",))
    guide.command(next(commands))
    guide.enqueue(20, "share")
    few = guide.finish_pushed()
    assert guide.claim_all() == 20 - few
    assert "pushed" in guide.command(next(commands)).stdout
    guide.command(next(commands))
    guide.enqueue(20, "half")
    more = guide.finish_pushed()
    assert 0 <= few < more < 20
    assert guide.claim_all() == 20 - more

    # 6. Push, and the end of the move.
    guide.command(next(commands))
    guide.enqueue(6, "push")
    assert (guide.claim_all(), guide.finish_pushed()) == (0, 6)
    guide.command(next(commands))

    # Back.
    guide.command(next(commands))
    guide.enqueue(4, "back")
    assert (guide.finish_pushed(), guide.claim_all()) == (0, 4)
    assert next(python, None) is None
    assert next(commands, None) is None
