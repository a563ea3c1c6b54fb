"""Verbs for authors of agents: run one here, without AWS."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushlane.cli import output
from pushlane.cli.options import Json
from pushlane.model.errors import PushlaneError

if TYPE_CHECKING:
    from pushlane.agent import AgentDefinition
    from pushlane.agent.rehearsal import AgentRun


class NoAgent(PushlaneError):
    """What was named on the command line is no agent."""


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    agents = typer.Typer(no_args_is_help=True, help="Write and try agents.")
    agents.command()(run)
    app.add_typer(agents, name="agent")


def run(
    agent: Annotated[str, typer.Argument(help="module:name of an `@agent` function, found from this folder.")],
    payload: Annotated[str, typer.Option(help="A JSON object, or a file of one (- for standard input).")] = "{}",
    task_type: Annotated[str | None, typer.Option("--type", help="Task type; default: the agent's first.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Go on from this state: a JSON object, or a file.")] = None,
    signal: Annotated[
        list[str] | None, typer.Option(help="name=JSON object, sent when the agent waits; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Run an agent on one payload here: no AWS, no queue, sleeps pass at once.

    Events, checkpoints and log lines are shown as they come. Ends with status 1 when the agent fails.

    \b
    Examples:
      pushlane agent run examples.greeter.handler:greet --payload '{"name": "Ada"}'
      pushlane agent run my_agent:work --payload task.json --signal 'approve={"by": "me"}' --json
    """
    from pushlane.agent.rehearsal import run_agent

    done = run_agent(
        _agent(agent),
        _object("--payload", payload),
        task_type=task_type,
        checkpoint=None if checkpoint is None else _object("--checkpoint", checkpoint),
        signals=[_signal(one) for one in signal or ()],
        listen=_show,
    )
    if json:
        output.as_json(done)
    else:
        _summary(done)
    if done.error is not None:
        raise typer.Exit(1)


def _summary(done: "AgentRun") -> None:
    import msgspec

    tokens = "" if done.usage.tokens is None else f", {done.usage.tokens} tokens"
    slept = f", slept {done.virtual_seconds:g} s" if done.virtual_seconds else ""
    output.note(f"{done.kind.value} in {done.invocations} invocations{slept}{tokens}")
    if done.error is not None:
        again = "would be retried" if done.error.retryable else "no retry can mend it"
        output.note(f"{done.error.error_type}: {done.error.message} ({again})")
    if done.awaits is not None:
        output.note(f"it waits for a signal: send one with --signal '{done.awaits}={{...}}'")
    if done.result is not None:
        output.line(msgspec.json.format(msgspec.json.encode(done.result), indent=2).decode())


def _show(kind: str, said: Any) -> None:
    import msgspec

    output.note(f"{kind}  {msgspec.json.encode(said).decode()}")


def _agent(name: str) -> "AgentDefinition":
    from pushlane.agent import AgentDefinition

    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise NoAgent(f"{name!r}: name it as module:function, as in examples.greeter.handler:greet")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise NoAgent(f"there is no module {module_name!r} to be found from {Path.cwd()}") from error
    except AttributeError as error:
        raise NoAgent(f"module {module_name!r} has no {attribute!r}") from error
    if not isinstance(found, AgentDefinition):
        raise NoAgent(f"{name} is no agent: mark the function with @agent(task_types=(...,))")
    return found


def _signal(said: str) -> tuple[str, dict[str, Any]]:
    name, _, data = said.partition("=")
    return name, _object("--signal", data or "{}")


def _object(option: str, said: str) -> dict[str, Any]:
    """The JSON object that an option gives, or the file that it names."""
    import msgspec

    try:
        content = said.encode() if said.lstrip().startswith("{") else _file(said)
        found: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
    except OSError as error:
        raise typer.BadParameter(f"{said}: {error.strerror}", param_hint=option) from error
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"no JSON object: {error}", param_hint=option) from error
    return found


def _file(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
