"""How verbs answer: a table or lines for a person, JSON for a program."""

from collections.abc import Sequence

import typer


def as_json(value: object) -> None:
    """Print any of our values as indented JSON."""
    import msgspec

    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def line(text: str) -> None:
    """Print a line for a person."""
    typer.echo(text)


def note(text: str) -> None:
    """Print a line beside the answer, to standard error."""
    typer.echo(text, err=True)


def table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; nothing to show says so."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        line(f"{title}: none")
        return
    drawn = Table(title=title, title_justify="left")
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    Console().print(drawn)


def answers(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print one thing's properties, a line each."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name, style="dim"), Text(value))
    line(title)
    Console().print(grid)
