"""Entry point of the `pushlane` command. Verbs import what they need when they run, so that `--help` is quick."""

import signal
import sys
from types import FrameType
from typing import Final

import typer

from pushlane.cli import (
    agent,
    callbacks,
    commands,
    console,
    dlq,
    doctor,
    hooks,
    init,
    inspect,
    keys,
    local,
    migrate,
    policy,
    pools,
    report,
    schedules,
    simulate,
    tasks,
    tenants,
    top,
    trace,
    why,
    workflows,
)
from pushlane.cli.failures import explained

FAILED: Final = 1

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Push-based dispatch of AI-agent tasks.\n\nTry it on this machine: pushlane demo",
)
local.add_to(app)
tasks.add_to(app)
inspect.add_to(app)
console.add_to(app)
pools.add_to(app)
top.add_to(app)
trace.add_to(app)
report.add_to(app)
doctor.add_to(app)
tenants.add_to(app)
keys.add_to(app)
callbacks.add_to(app)
hooks.add_to(app)
schedules.add_to(app)
simulate.add_to(app)
policy.add_to(app)
migrate.add_to(app)
why.add_to(app)
commands.add_to(app)
dlq.add_to(app)
workflows.add_to(app)
agent.add_to(app)
init.add_to(app)


def run() -> None:
    """Run the command line of this process. Exit status: 0 done, 1 failed (the reason on standard error), 2 usage."""
    # So that everything that was started is stopped when the process is told to end.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Exception as error:  # the last frame: whatever a person can act on becomes a message, the rest a traceback
        message = explained(error)
        if message is None:
            raise
        typer.echo(f"pushlane: {message}", err=True)
        sys.exit(FAILED)


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
