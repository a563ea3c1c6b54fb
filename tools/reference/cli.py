"""docs/reference/cli.md: every verb of the `pushlane` command, from the Typer app."""

from collections.abc import Iterator
from typing import Any, Final

import typer

from pushlane.cli.main import app
from tools.reference.markdown import code, opening, table

# The same wherever they are, so they are explained once.
_SHARED: Final = ("--json", "--stage", "--profile", "--endpoint")
_EXAMPLES: Final = ("Example:", "Examples:")
_SAID: Final = """\
`pushlane VERB --help` says the same. `pushlane --install-completion` has your shell complete verbs and options.

Exit status: 0 done, 1 failed (the reason is on standard error), 2 wrong usage, or a policy that is refused."""


def page() -> str:
    """The page."""
    root = typer.main.get_command(app)
    verbs = list(_verbs(root, "pushlane"))
    contents = "\n".join(f"- [`{name}`](#{name.replace(' ', '-')}): {_summary(verb)}" for name, verb in verbs)
    shared = "\n".join(_shared_options(verbs))
    start = opening("The `pushlane` command", "the Typer app in `shared/pushlane/cli`", _SAID)
    described = "\n".join(_described(name, verb) for name, verb in verbs)
    return f"{start}\n{contents}\n\n## Options that verbs share\n\n{shared}\n{described}"


def _verbs(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The verbs and sub-verbs by their whole names, in the order of `--help`."""
    for word, verb in command.commands.items():
        if verb.hidden:
            continue
        if hasattr(verb, "commands"):
            if verb.invoke_without_command:  # a verb of its own, with verbs below it
                yield f"{name} {word}", verb
            yield from _verbs(verb, f"{name} {word}")
        else:
            yield f"{name} {word}", verb


def _summary(verb: Any) -> str:
    return " ".join(str(verb.help or "").split("\n\n")[0].split())


def _shared_options(verbs: list[tuple[str, Any]]) -> Iterator[str]:
    """Said once, from the first verb that has each; what a single verb says differently stands with that verb."""
    records = {option: said for _, verb in reversed(verbs) for option, said in _options(verb) if _shares(option)}
    ordered = sorted(records.items(), key=lambda pair: _SHARED.index(pair[0].split()[0]))
    yield table(["option", "meaning"], ((code(option), said) for option, said in ordered))


def _shares(option: str) -> bool:
    return option.split()[0] in _SHARED


def _options(verb: Any) -> list[tuple[str, str]]:
    context = verb.context_class(verb, info_name="")
    records = (one.get_help_record(context) for one in verb.params)
    return [(record[0], record[1]) for record in records if record is not None]


def _described(name: str, verb: Any) -> str:
    """Heading, usage, what it does, its own options, examples."""
    context = verb.context_class(verb, info_name="")
    usage = " ".join([name, *verb.collect_usage_pieces(context)])
    paragraphs, examples = _help(verb)
    own = [(code(option), said) for option, said in _options(verb) if not _shares(option)]
    parts = [f"## `{name}`\n", f"```\n{usage}\n```\n", *(f"{one}\n" for one in paragraphs)]
    parts += [table(["argument or option", "meaning"], own)] if own else []
    parts += [f"```\n{examples}\n```\n"] if examples else []
    return "\n".join(["", *parts])


def _help(verb: Any) -> tuple[list[str], str]:
    """The paragraphs of the help, and its examples."""
    paragraphs, examples = [], ""
    for paragraph in str(verb.help or "").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.strip("\b ")]
        if lines and lines[0].strip() in _EXAMPLES:
            examples = "\n".join(line.removeprefix("  ") for line in lines[1:])
        else:
            paragraphs.append("\n".join(lines))
    return paragraphs, examples
