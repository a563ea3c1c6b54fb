"""The verb that watches the installation: top."""

import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from pushlane.cli.frames import Frame


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(top)


def top(
    pool: Annotated[str | None, typer.Option(help="Only this pool.")] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 1.0,
    minutes: Annotated[int, typer.Option(min=1, max=1_440, help="How far back tenants' figures reach.")] = 15,
    once: Annotated[bool, typer.Option("--once", help="One look, and end; as --frames 1.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="So many looks, one below the other, and end.")] = None,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Watch pools, lanes, agents and the slowest waits, on the whole screen; Ctrl-C ends it.

    Each look reads the scheduling state: on AWS that is billed, so look less often at an installation with many lanes.
    Where the output is no terminal, or with --frames, looks are printed one below the other; with --json a line each.

    \b
    Examples:
      pushlane top
      pushlane top --pool gpu --every 5 --stage prod
      pushlane top --once
      pushlane top --frames 10 --json | jq .live.waiting
    """
    from pushlane.cli.frames import top_frames
    from pushlane.cli.target import connect, now_ms

    target = connect(stage, profile, endpoint)
    count = 1 if once else frames
    rest = partial(time.sleep, every)
    looks = top_frames(target.store, now_ms, pool=pool, minutes=minutes, frames=count, pause=rest)
    try:
        if json or count is not None or not sys.stdout.isatty():
            _below_each_other(looks, json=json)
        else:
            from rich.console import Console

            on_the_screen(looks, Console())
    except KeyboardInterrupt:
        return


def _below_each_other(looks: "Iterable[Frame]", *, json: bool) -> None:
    import msgspec
    from rich.console import Console

    from pushlane.cli.screen import drawn

    console = Console()
    for frame in looks:
        if json:
            output.line(msgspec.json.encode(frame).decode())
        else:
            console.print(drawn(frame, rows=console.height if console.is_terminal else 80))
        sys.stdout.flush()


def on_the_screen(looks: "Iterable[Frame]", console: "Console") -> None:
    """Draw each look over the one before, on a screen of its own that is gone when this ends."""
    from rich.live import Live

    from pushlane.cli.screen import drawn

    with Live(console=console, screen=True, auto_refresh=False) as screen:
        for frame in looks:
            screen.update(drawn(frame, rows=console.height), refresh=True)
