"""docs/client.md is true: its Python runs as it stands there, against the API in this process."""

import re
from pathlib import Path
from typing import Any

import pytest

from pushlane.agent import TaskContext, agent
from pushlane.client import api as client_api
from pushlane.client.api import Client, Retrying
from pushlane.model.principal import Role
from pushlane.testing import InMemoryDispatcher
from pushlane.testing.api import InMemoryApi
from pushlane.testing.api_transport import ApiTransport

PAGE = Path(__file__).resolve().parents[2] / "docs" / "client.md"
_BLOCK = re.compile(r"^```python\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@agent(task_types=("extract",))
def extract(ctx: TaskContext, payload: dict[str, Any]) -> dict[str, Any]:
    return {"pages": payload.get("document")}


def test_the_python_runs_block_after_block(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher = InMemoryDispatcher(tenants=("atlas",))
    dispatcher.register(extract, agent_id="one", slots=2)
    api = InMemoryApi(dispatcher)
    key = api.new_key(Role.PRODUCER, tenant_id="atlas")

    class InProcess(Client):
        """The client, led into this process where the page says nothing else."""

        def __init__(self, url: str, credential: str, **options: Any) -> None:
            here = {
                "transport": ApiTransport(api),
                "sleep": dispatcher.advance,
                "now": lambda: dispatcher.clock.now_ms() / 1_000,
            }
            super().__init__(url, key if credential == "pl_..." else credential, **{**here, **options})

    monkeypatch.setattr(client_api, "Client", InProcess)
    names: dict[str, Any] = {"__name__": "client_page"}
    blocks = [found["body"] for found in _BLOCK.finditer(PAGE.read_text())]
    for number, body in enumerate(blocks, start=1):
        exec(compile(body, f"docs/client.md, block {number}", "exec"), names)
    assert len(blocks) == 5
    assert all("assert " in body for body in blocks)


def test_the_bounds_are_those_of_the_code() -> None:
    rules = Retrying()
    said = f"Retrying(deadline_seconds={rules.deadline_seconds:.0f}, answer_seconds={rules.answer_seconds:.0f}"
    assert f"{said}, sends_max={rules.sends_max})" in PAGE.read_text()
