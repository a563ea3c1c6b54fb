"""`pushlane agent run`: an author's first look at an agent, without AWS."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pushlane.cli.agent import NoAgent
from pushlane.cli.main import app

GREETER = "examples.greeter.handler:greet"
CHATTER = """
from pushlane.agent import agent

@agent(task_types=("chat",))
def chat(ctx, payload):
    ctx.emit("token", "hello")
    ctx.used(tokens=7)
    yield {"asked": True}
    ctx.sleep(90)
    return {"answer": ctx.wait_for_signal("answer").data["text"], "restored": ctx.restored}

def plain(ctx, payload):
    return {}
"""


@pytest.fixture
def chatter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"chatter_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(CHATTER)
    monkeypatch.chdir(tmp_path)
    return name


def test_the_result_is_the_answer_and_the_rest_is_told_beside_it() -> None:
    done = CliRunner().invoke(app, ["agent", "run", GREETER, "--payload", '{"name": "Ada"}'])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["greeting"] == "Hello, Ada!"
    assert "succeeded in 1 invocations" in done.stderr


def test_an_agent_that_fails_ends_with_status_1_and_says_why() -> None:
    done = CliRunner().invoke(app, ["agent", "run", GREETER])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Permanent: payload.name is missing (no retry can mend it)" in done.stderr


def test_events_sleeps_signals_and_checkpoints_are_played(chatter: str) -> None:
    run = ["agent", "run", f"{chatter}:chat"]
    done = CliRunner().invoke(app, [*run, "--signal", 'answer={"text": "yes"}', "--json"])
    said = json.loads(done.stdout)
    assert said["result"] == {"answer": "yes", "restored": {"asked": True}}
    assert (said["virtual_seconds"], said["usage"]["tokens"]) == (90, 7)
    assert 'token  "hello"' in done.stderr
    waiting = CliRunner().invoke(app, run)
    assert waiting.exit_code == 0
    assert "it waits for a signal: send one with --signal 'answer={...}'" in waiting.stderr


def test_a_payload_and_a_checkpoint_may_be_files(chatter: str, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text("{}")
    (tmp_path / "state.json").write_text('{"asked": "before"}')
    options = ["--payload", "task.json", "--checkpoint", "state.json", "--signal", 'answer={"text": "yes"}', "--json"]
    said = json.loads(CliRunner().invoke(app, ["agent", "run", f"{chatter}:chat", *options]).stdout)
    assert said["result"]["restored"] == {"asked": True}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("greet", "name it as module:function"),
        ("nowhere.at_all:greet", "there is no module 'nowhere.at_all'"),
        ("examples.greeter.handler:greeet", "has no 'greeet'"),
        ("examples.greeter.handler:lambda_handler", "mark the function with @agent"),
    ],
)
def test_what_is_no_agent_is_refused_with_what_to_do(name: str, message: str) -> None:
    done = CliRunner().invoke(app, ["agent", "run", name])
    assert isinstance(done.exception, NoAgent)
    assert message in str(done.exception)


@pytest.mark.parametrize("payload", ["[1]", "{half", "nowhere.json"])
def test_a_payload_that_is_no_object_is_a_wrong_use(payload: str) -> None:
    assert CliRunner().invoke(app, ["agent", "run", GREETER, "--payload", payload]).exit_code == 2
