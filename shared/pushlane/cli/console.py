"""The verb `console`: the web page, without a deployed API."""

import threading
import webbrowser
from typing import Annotated

import typer

from pushlane.cli import output
from pushlane.cli.options import Endpoint, Json, Profile, Stage, StageName


def add_to(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(console)


def console(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: any free one.", min=0, max=65535)] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    json: Json = False,
    stage: Stage = StageName.LOCAL,
    profile: Profile = None,
    endpoint: Endpoint = None,
) -> None:
    """Serve the console on this machine until interrupted, and print the address that opens it.

    It reads the installation's tables with your credentials; nobody else can open it without the printed address.

    \b
    Examples:
      pushlane console
      pushlane console --open
      pushlane console --stage prod --profile operations --port 8080
    """
    from pushlane.cli.target import connect
    from pushlane.local.console import LocalConsole
    from pushlane.local.page_server import serving

    target = connect(stage, profile, endpoint)
    page = LocalConsole(target.session, target.installation, target.client)
    with serving(page.answer, port) as server:
        address = page.address(server.url)
        if json:
            output.as_json({"url": address})
        else:
            output.line(f"The console is at {address}")
            output.note("Stop it with Ctrl-C.")
        if open_browser:
            webbrowser.open(address)
        _until_interrupted()


def _until_interrupted() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        output.note("stopped")
